package api

import (
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"eventgateway/internal/cloudevent"
	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
)

// postCloudEvent is POST /v1/events: a CloudEvent in binary or structured mode, or
// a batch of them (CloudEvents HTTP binding 1.0 §3).
func (s *Server) postCloudEvent(c *fiber.Ctx, p publication) error {
	h := &c.Request().Header
	mt, err := parseType(string(h.ContentType()))
	if err != nil {
		return err
	}
	switch {
	case mt == mediaTypeBatch:
		return s.postBatch(c, p)
	case mt == mediaTypeStructured:
		return s.postStructured(c, p)
	case strings.HasPrefix(mt, mediaTypeCloudEvents): // CloudEvents HTTP binding 1.0 §3
		return event.Refuse(event.UnsupportedMediaType,
			"Of the formats of CloudEvents only JSON is supported: send application/cloudevents+json or application/cloudevents-batch+json.")
	}
	return s.postBinary(c, p)
}

// postStructured takes an event that is the body.
func (s *Server) postStructured(c *fiber.Ctx, p publication) error {
	h := &c.Request().Header
	if _, err := identity(h, ingest.Request{}); err != nil { // before the body is read
		return err
	}
	text, err := s.readBody(c, s.cfg.BodyLimit)
	if err != nil {
		return err
	}
	e, err := s.parseStructured(c, text)
	setTrace(&e.Attributes, h)
	req, err := s.cloudEventRequest(c, e, err)
	if err != nil {
		return err
	}
	if req.Identity, err = identity(h, req); err != nil {
		return err
	}
	return writeAccepted(c, p, req)
}

// parseStructured reads an event when it is its turn.
func (s *Server) parseStructured(c *fiber.Ctx, text []byte) (cloudevent.Event, error) {
	work, err := s.budget.Begin(len(text) / linear)
	if err != nil {
		return cloudevent.Event{}, err
	}
	defer work.End()
	if err := holdBase64(exchangeOf(c).body, text); err != nil {
		return cloudevent.Event{}, err
	}
	return cloudevent.Parse(text)
}

// postBinary takes an event whose attributes are headers and whose data is the body.
func (s *Server) postBinary(c *fiber.Ctx, p publication) error {
	h := &c.Request().Header
	e, err := binary(h)
	req, err := s.cloudEventRequest(c, e, err)
	if err != nil {
		return err
	}
	if req.Identity, err = identity(h, req); err != nil {
		return err
	}
	limit, err := s.lookup(c, req)
	if err != nil {
		return err
	}
	if req.Data, err = s.readBody(c, limit); err != nil {
		return err
	}
	return writeAccepted(c, p, req)
}

// binary reads an event's attributes from the headers.
func binary(h *fasthttp.RequestHeader) (cloudevent.Event, error) {
	e, err := envelope(h)
	if err != nil {
		return e, err
	}
	if missing := e.Missing(); len(missing) > 0 {
		return e, event.Refuse(event.MalformedRequest,
			"This is not a CloudEvent: the header ce-%s is missing. Send ce-specversion (1.0), ce-id, ce-source and ce-type; or Content-Type: application/cloudevents+json; or post plain data to /v1/events/{type}.", missing[0])
	}
	e.DataContentType = string(h.ContentType())
	return e, nil
}

// cloudEventRequest makes a request of an event. If the event has a fault, what could be
// read still gives its entity. cloudevent copies all strings, so none points into the
// body.
func (s *Server) cloudEventRequest(c *fiber.Ctx, e cloudevent.Event, fault error) (ingest.Request, error) {
	caller := s.access.caller(c)
	req := ingest.Request{Client: caller.Name, Type: e.Type, Data: e.Data, Attributes: e.Attributes, MediaType: mediaTypeJSON}
	if e.Type != "" {
		if err := s.access.permit(c, caller, e.Type); err != nil {
			req.Data = nil // no entity key: events held back behind it would tell whether the type exists
			return req, err
		}
	}
	if err := setContentType(&req, e.DataContentType); err != nil && fault == nil {
		fault = err
	}
	var err error
	if req.Version, err = s.versionOf(e.Type, e.DataSchema); err == nil {
		req.Headers, err = s.recordHeaders(c, req)
	}
	if err != nil && fault == nil {
		fault = err
	}
	return req, fault
}

// versionOf finds the version that a dataschema names: by the schema's $id, or by
// the address under which the gateway itself serves it.
func (s *Server) versionOf(eventType, dataSchema string) (string, error) {
	if dataSchema == "" {
		return "", nil
	}
	set := s.catalog.Set()
	if _, err := set.Lookup(eventType, ""); err != nil {
		return "", nil // the door refuses it, and knows what was written before
	}
	if version, ok := set.VersionOfSchema(eventType, dataSchema); ok {
		return version, nil
	}
	own, _ := strings.CutPrefix(dataSchema, s.cfg.PublicURL)
	if version, ok := strings.CutPrefix(own, "/v1/event-types/"+eventType+"/schema?version="); ok && version != "" {
		if _, err := set.Lookup(eventType, version); err == nil {
			return version, nil
		}
	}
	e := event.Refuse(event.SchemaViolation,
		"The attribute dataschema names no version of %s that the gateway has. Leave it out to mean the newest; GET /v1/event-types/%s lists the versions.", eventType, eventType)
	e.Violations = []event.Violation{{Pointer: "", Keyword: "dataschema", Message: "is the schema of no known version"}}
	return "", e
}

// The handshake of the CloudEvents web hook specification, §4: a sender asks
// whether it may deliver here, and at what rate.
const (
	headerRequestOrigin = "WebHook-Request-Origin"
	headerAllowedOrigin = "WebHook-Allowed-Origin"
	headerRequestRate   = "WebHook-Request-Rate"
	headerAllowedRate   = "WebHook-Allowed-Rate"
)

// handshake is OPTIONS where events are delivered. Every origin may deliver: when an
// event comes, its credentials or signature decide who may publish it. A callback,
// WebHook-Request-Callback, is not called: the answer is the grant.
func handshake(c *fiber.Ctx) error {
	c.Set(fiber.HeaderAllow, "POST, OPTIONS")
	h := &c.Request().Header
	if origin := h.Peek(headerRequestOrigin); len(origin) > 0 && len(origin) <= 253 {
		c.Set(headerAllowedOrigin, string(origin))
		if len(h.Peek(headerRequestRate)) > 0 {
			c.Set(headerAllowedRate, "*")
		}
	}
	c.Status(fiber.StatusOK)
	return nil
}
