package api

import (
	"fmt"
	"sync"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/auth"
	"eventgateway/internal/describe"
	"eventgateway/internal/schema"
)

// maxViews bounds what is kept for callers who may see different event types.
const maxViews = 32

// views are the event types as callers see them, and the documents about them. They
// are made at the first request after event types changed, and kept: with hundreds of
// event types, documents have megabytes.
type views struct {
	base *describe.Base

	mu       sync.Mutex
	of       *schema.Set
	byGrants map[string]seen
}

// seen is what callers with the same grants see.
type seen struct {
	set *schema.Set
	described
}

// described makes each document once.
type described struct {
	openJSON, openYAML, async func() (file, error)
}

// get returns what a caller sees of a set.
func (v *views) get(set *schema.Set, caller *auth.Caller) seen {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of != set || len(v.byGrants) == maxViews {
		v.of, v.byGrants = set, map[string]seen{}
	}
	grants := caller.Grants()
	own, ok := v.byGrants[grants]
	if !ok {
		own.set = set.Only(caller.May)
		own.described = v.describe(own.set)
		v.byGrants[grants] = own
	}
	return own
}

// view is what the request's caller may see.
func (s *site) view(c *fiber.Ctx) seen { return s.views.get(s.catalog.Set(), s.access.caller(c)) }

func (v *views) describe(set *schema.Set) described {
	open := sync.OnceValues(func() (describe.OpenAPI, error) { return v.base.OpenAPI(set) })
	return described{
		openJSON: sync.OnceValues(func() (file, error) {
			doc, err := open()
			if err != nil {
				return file{}, fmt.Errorf("describe the interface: %w", err)
			}
			return newFile(mediaTypeJSON, doc.JSON)
		}),
		openYAML: sync.OnceValues(func() (file, error) {
			doc, err := open()
			if err != nil {
				return file{}, fmt.Errorf("describe the interface: %w", err)
			}
			return newFile("application/yaml", doc.YAML())
		}),
		async: sync.OnceValues(func() (file, error) {
			text, err := describe.AsyncAPI(set)
			if err != nil {
				return file{}, fmt.Errorf("describe the topics: %w", err)
			}
			return newFile(mediaTypeJSON, text)
		}),
	}
}

// getOpenAPI is GET /openapi.json[?type=]: of all event types, of one, or, if type is
// empty, of none.
func (s *site) getOpenAPI(c *fiber.Ctx) error {
	only := c.Context().QueryArgs()
	if !only.Has("type") {
		return s.sendDocument(func(d described) (file, error) { return d.openJSON() })(c)
	}
	set, name := s.view(c).set, string(only.Peek("type"))
	if name != "" {
		if err := s.access.permit(c, s.access.caller(c), name); err != nil {
			return err
		}
		if _, err := set.Lookup(name, ""); err != nil {
			return err
		}
	}
	doc, err := s.views.base.OpenAPIOf(set, name)
	if err != nil {
		return fmt.Errorf("describe the interface: %w", err)
	}
	f, err := newFile(mediaTypeJSON, doc)
	if err != nil {
		return err
	}
	f.kept = false
	return f.send(c)
}

// sendDocument is GET for one of the documents.
func (s *site) sendDocument(which func(described) (file, error)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		f, err := which(s.view(c).described)
		if err != nil {
			return err
		}
		return f.send(c)
	}
}
