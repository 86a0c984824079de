package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"html/template"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/auth"
	"eventgateway/internal/describe"
	"eventgateway/internal/schema"
)

// maxViews bounds the grants whose event types are remembered. To find them again takes
// microseconds.
const maxViews = 1024

// views are the event types as callers see them, and what is made of them. Callers that
// see the same types share it, however their grants are written.
type views struct {
	base *describe.Base

	mu       sync.Mutex
	of       *schema.Set
	byGrants map[string]*seen
	byTypes  map[[sha256.Size]byte]*seen
	made     *made
}

// seen is what some callers see.
type seen struct {
	set  *schema.Set
	base *describe.Base
	key  string // of set in made
	made *made
}

// get returns what a caller sees of a set.
func (v *views) get(set *schema.Set, caller *auth.Caller) *seen {
	grants := caller.Grants()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of != set {
		v.made = newMade(maxMadeBytes)
	}
	if v.of != set || len(v.byGrants) == maxViews {
		v.of, v.byGrants, v.byTypes = set, map[string]*seen{}, map[[sha256.Size]byte]*seen{}
	}
	own, ok := v.byGrants[grants]
	if !ok {
		only := set.Only(caller.May)
		types := sha256.Sum256([]byte(strings.Join(only.Names(), " ")))
		if own, ok = v.byTypes[types]; !ok {
			own = &seen{set: only, base: v.base, key: string(types[:]), made: v.made}
			v.byTypes[types] = own
		}
		v.byGrants[grants] = own
	}
	return own
}

// view is what the request's caller may see.
func (s *site) view(c *fiber.Ctx) *seen { return s.views.get(s.catalog.Set(), s.access.caller(c)) }

func (s *seen) openJSON() (file, error) {
	return s.made.get(s.key+"openapi.json", func() (file, error) {
		doc, err := s.base.OpenAPI(s.set)
		if err != nil {
			return file{}, fmt.Errorf("describe the interface: %w", err)
		}
		return newFile(mediaTypeJSON, doc.JSON)
	})
}

func (s *seen) openYAML() (file, error) {
	return s.made.get(s.key+"openapi.yaml", func() (file, error) {
		doc, err := s.base.OpenAPI(s.set)
		if err != nil {
			return file{}, fmt.Errorf("describe the interface: %w", err)
		}
		return newFile("application/yaml", doc.YAML())
	})
}

// openOne describes one event type that there is, or, without a name, none.
func (s *seen) openOne(name string) (file, error) {
	return s.made.get(s.key+"openapi.json?type="+name, func() (file, error) {
		doc, err := s.base.OpenAPIOf(s.set, name)
		if err != nil {
			return file{}, fmt.Errorf("describe the interface: %w", err)
		}
		return newFile(mediaTypeJSON, doc)
	})
}

func (s *seen) async() (file, error) {
	return s.made.get(s.key+"asyncapi.json", func() (file, error) {
		text, err := describe.AsyncAPI(s.set)
		if err != nil {
			return file{}, fmt.Errorf("describe the topics: %w", err)
		}
		return newFile(mediaTypeJSON, text)
	})
}

// list is GET /v1/event-types.
func (s *seen) list() (file, error) {
	return s.made.get(s.key+"event-types", func() (file, error) {
		views := []eventTypeView{}
		for _, t := range s.set.Types() {
			views = append(views, view(t))
		}
		text, err := json.Marshal(map[string]any{"event_types": views})
		if err != nil {
			return file{}, fmt.Errorf("encode answer: %w", err)
		}
		return file{mediaType: mediaTypeJSON, plain: text}, nil
	})
}

// originMark stands in a page that is kept for the URL by which a caller reached the
// gateway: callers choose it, so a page for each could not be kept.
const originMark = "http://origin-of-the-gateway.invalid"

// landing is the page of all event types, with the caller's URL in its examples.
func (s *seen) landing(origin string, asked bool) ([]byte, error) {
	page, err := s.made.get(s.key+"landing", func() (file, error) {
		anchors := describe.Anchors(s.set)
		all := s.set.Types()
		types := make([]landingType, 0, len(all))
		for _, t := range all {
			docs := "/docs"
			if len(all) >= manyTypes {
				docs += "?type=" + t.Name
			}
			types = append(types, landing(t, originMark, docs+"#"+anchors[t.Name], asked))
		}
		var page bytes.Buffer
		if err := landingTemplate.Execute(&page, map[string]any{"Types": types}); err != nil {
			return file{}, fmt.Errorf("render page: %w", err)
		}
		return file{plain: page.Bytes()}, nil
	})
	if err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(page.plain, []byte(originMark), []byte(template.HTMLEscapeString(origin))), nil
}

// getOpenAPI is GET /openapi.json[?type=]: of all event types, of one, or, if type is
// empty, of none.
func (s *site) getOpenAPI(c *fiber.Ctx) error {
	only := c.Context().QueryArgs()
	if !only.Has("type") {
		return s.sendDocument((*seen).openJSON)(c)
	}
	own, name := s.view(c), string(only.Peek("type"))
	if name != "" {
		if err := s.access.permit(c, s.access.caller(c), name); err != nil {
			return err
		}
		if _, err := own.set.Lookup(name, ""); err != nil {
			return err
		}
	}
	f, err := own.openOne(name)
	if err != nil {
		return err
	}
	f.kept = false
	return f.send(c)
}

// sendDocument is GET for one of the documents.
func (s *site) sendDocument(which func(*seen) (file, error)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		f, err := which(s.view(c))
		if err != nil {
			return err
		}
		return f.send(c)
	}
}
