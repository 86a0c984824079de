package api

import (
	"fmt"
	"sync"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/describe"
	"eventgateway/internal/schema"
)

// documents are made when they are first asked for after event types changed,
// and kept: with hundreds of event types they have megabytes.
type documents struct {
	base *describe.Base

	mu  sync.Mutex
	of  *schema.Set
	are described
}

// described makes each document once.
type described struct {
	openJSON, openYAML, async func() (file, error)
}

// get returns the documents of a set.
func (d *documents) get(set *schema.Set) described {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of != set {
		d.of, d.are = set, d.describe(set)
	}
	return d.are
}

func (d *documents) describe(set *schema.Set) described {
	open := sync.OnceValues(func() (describe.OpenAPI, error) { return d.base.OpenAPI(set) })
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
func (s *Server) getOpenAPI(c *fiber.Ctx) error {
	only := c.Context().QueryArgs()
	if !only.Has("type") {
		return s.sendDocument(func(d described) (file, error) { return d.openJSON() })(c)
	}
	set, name := s.catalog.Set(), string(only.Peek("type"))
	if name != "" {
		if _, err := set.Lookup(name, ""); err != nil {
			return s.writeProblem(c, err, false)
		}
	}
	doc, err := s.documents.base.OpenAPIOf(set, name)
	if err != nil {
		return fmt.Errorf("describe the interface: %w", err)
	}
	f, err := newFile(mediaTypeJSON, doc.JSON)
	if err != nil {
		return err
	}
	return f.send(c)
}

// sendDocument is GET for one of the documents.
func (s *Server) sendDocument(which func(described) (file, error)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		f, err := which(s.documents.get(s.catalog.Set()))
		if err != nil {
			return err
		}
		return f.send(c)
	}
}
