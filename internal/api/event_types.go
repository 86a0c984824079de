package api

import (
	"encoding/json"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/schema"
)

// eventTypeView is an event type as callers see it, by its newest version.
type eventTypeView struct {
	Type        string   `json:"type"`
	Title       string   `json:"title,omitempty"`
	Description string   `json:"description,omitempty"`
	Topic       string   `json:"topic"`
	Key         []string `json:"key"` // JSON Pointers; null: no entity
	Idempotency string   `json:"idempotency"`
	Newest      string   `json:"newest"`
	Versions    []string `json:"versions"`
	Publish     string   `json:"publish"` // path to post to
	Schema      string   `json:"schema"`  // path of the schema
}

type eventTypeDetail struct {
	eventTypeView
	ContentMode string            `json:"content_mode"`         // of the newest version's records
	BodyLimit   int               `json:"body_limit"`           // bytes of its data
	Headers     map[string]string `json:"headers,omitempty"`    // record headers by request header
	Tombstones  bool              `json:"tombstones,omitempty"` // DELETE is allowed
	Examples    []json.RawMessage `json:"examples"`
}

func view(t schema.EventType) eventTypeView {
	idempotency := "optional"
	if t.Newest.IdempotencyRequired {
		idempotency = "required"
	}
	return eventTypeView{
		Type: t.Name, Title: t.Title, Description: t.Description,
		Topic: t.Newest.Topic, Key: t.Newest.KeyPointers, Idempotency: idempotency,
		Newest: t.Newest.Version, Versions: t.Versions,
		Publish: "/v1/events/" + t.Name, Schema: "/v1/event-types/" + t.Name + "/schema",
	}
}

func contentMode(def *event.Definition) string {
	if def.Structured {
		return "structured"
	}
	return "binary"
}

// limitOf is how many bytes the data of an event may have here.
func limitOf(def *event.Definition, bodyLimit int) int {
	if def.BodyLimit > 0 {
		return min(bodyLimit, def.BodyLimit)
	}
	return bodyLimit
}

func headersKept(def *event.Definition) map[string]string {
	kept := map[string]string{}
	for _, rule := range def.Headers {
		kept[rule.Request] = rule.Record
	}
	return kept
}

// listEventTypes is GET /v1/event-types.
func (s *site) listEventTypes(c *fiber.Ctx) error {
	f, err := s.view(c).list()
	if err != nil {
		return err
	}
	c.Status(fiber.StatusOK)
	c.Response().Header.SetContentType(f.mediaType)
	c.Response().SetBodyRaw(f.plain)
	return nil
}

// getEventType is GET /v1/event-types/{type}.
func (s *site) getEventType(c *fiber.Ctx) error {
	name := c.Params("type")
	if err := s.access.permit(c, s.access.caller(c), name); err != nil {
		return err
	}
	set := s.view(c).set
	t, ok := set.Type(name)
	if !ok {
		_, err := set.Lookup(name, "")
		return err
	}
	examples := t.Examples
	if examples == nil {
		examples = []json.RawMessage{}
	}
	return writeJSON(c, fiber.StatusOK, eventTypeDetail{
		view(t), contentMode(t.Newest), limitOf(t.Newest, s.bodyLimit), headersKept(t.Newest), t.Newest.Tombstones, examples,
	})
}

// getSchema is GET /v1/event-types/{type}/schema[?version=].
func (s *site) getSchema(c *fiber.Ctx) error {
	v, err := version(c)
	if err != nil {
		return err
	}
	if err := s.access.permit(c, s.access.caller(c), c.Params("type")); err != nil {
		return err
	}
	raw, err := s.view(c).set.Schema(c.Params("type"), v)
	if err != nil {
		return err
	}
	c.Response().Header.SetContentType("application/schema+json")
	return c.Send(raw)
}

// acceptable is what a dry run says of data that would be accepted.
type acceptable struct {
	Valid   bool    `json:"valid"`
	Type    string  `json:"type"`
	Version string  `json:"version"`
	Topic   string  `json:"topic"`
	Key     *string `json:"key"` // null for a type without entity
}

// validate is POST /v1/event-types/{type}/validate: a dry run. It answers as a POST of
// the event with an Idempotency-Key would, with the same problem if it is refused.
func (s *Server) validate(c *fiber.Ctx) error {
	req, limit, err := s.eventType(c)
	if err == nil {
		req.Data, err = s.readBody(c, limit)
	}
	if err != nil {
		return err
	}
	req.Identity.Kind = event.IdentityKey // nothing is written, so no key is needed
	plan := ingest.NewPlan(s.catalog.Set(), &req)
	if plan.Problem != nil {
		return plan.Problem
	}
	return writeJSON(c, fiber.StatusOK, acceptable{true, plan.Definition.Type, plan.Definition.Version, plan.Topic, plan.Key})
}

// suggest adds to the problem of an unknown event type which ones the caller may have
// meant, of those that it sees. It is only for a request about one event type: a batch
// would cost a search for each of its events.
func (s *site) suggest(c *fiber.Ctx, e *event.Error) *event.Error {
	asked := exchangeOf(c).eventType
	if e.Kind != event.UnknownEventType || asked == "" {
		return e
	}
	set := s.view(c).set
	if _, exists := set.Type(asked); exists { // it is a version that is unknown
		return e
	}
	hinted := *e
	hinted.Detail += set.Suggest(asked)
	return &hinted
}
