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

	mu    sync.Mutex
	of    *schema.Set
	ready rendered
}

type rendered struct {
	openJSON, openYAML, async file
	anchors                   map[string]string // of event types in /docs
}

// get returns the documents of a set.
func (d *documents) get(set *schema.Set) (rendered, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of == set {
		return d.ready, nil
	}
	open, err := d.base.OpenAPI(set)
	if err != nil {
		return rendered{}, fmt.Errorf("describe the interface: %w", err)
	}
	async, err := describe.AsyncAPI(set)
	if err != nil {
		return rendered{}, fmt.Errorf("describe the topics: %w", err)
	}
	r := rendered{anchors: open.Anchors}
	for _, each := range []struct {
		to        *file
		mediaType string
		text      []byte
	}{
		{&r.openJSON, mediaTypeJSON, open.JSON}, {&r.openYAML, "application/yaml", open.YAML}, {&r.async, mediaTypeJSON, async},
	} {
		if *each.to, err = newFile(each.mediaType, each.text); err != nil {
			return rendered{}, err
		}
	}
	d.of, d.ready = set, r
	return r, nil
}

// getOpenAPI is GET /openapi.json[?type=]: of all event types, of one, or, if type is
// empty, of none.
func (s *Server) getOpenAPI(c *fiber.Ctx) error {
	only := c.Context().QueryArgs()
	if !only.Has("type") {
		return s.sendDocument(func(r rendered) file { return r.openJSON })(c)
	}
	set, name := s.catalog.Set(), string(only.Peek("type"))
	if name != "" {
		if _, err := set.Lookup(name, ""); err != nil {
			return s.writeProblem(c, err, false)
		}
	}
	described, err := s.documents.base.OpenAPIOf(set, name)
	if err != nil {
		return fmt.Errorf("describe the interface: %w", err)
	}
	f, err := newFile(mediaTypeJSON, described.JSON)
	if err != nil {
		return err
	}
	return f.send(c)
}

// sendDocument is GET for one of the documents.
func (s *Server) sendDocument(which func(rendered) file) fiber.Handler {
	return func(c *fiber.Ctx) error {
		r, err := s.documents.get(s.catalog.Set())
		if err != nil {
			return err
		}
		return which(r).send(c)
	}
}
