package api

import (
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"eventgateway/internal/cloudevent"
	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
)

// Limits of request headers that become record headers, in bytes: a topic's records have
// room for some 4 KiB of headers and key beside their data.
const (
	maxKeptHeader  = 1024
	maxKeptHeaders = 2048 // all of an event together
)

// recordHeaders are those that the type and version of an event keep of its request. An
// unknown type keeps none.
func (s *Server) recordHeaders(c *fiber.Ctx, req ingest.Request) ([]event.Header, error) {
	def, err := s.catalog.Lookup(req.Type, req.Version)
	if err != nil {
		return nil, nil //nolint:nilerr // the door refuses it, and knows what was written before
	}
	return keptOf(&c.Request().Header, def)
}

// keptOf are the record headers that an event type keeps of a request (x-event.headers),
// copied. A header that was not sent is not kept; values are as sent.
func keptOf(h *fasthttp.RequestHeader, def *event.Definition) ([]event.Header, error) {
	if len(def.Headers) == 0 {
		return nil, nil
	}
	kept := make([]event.Header, 0, len(def.Headers))
	size := 0
	for _, rule := range def.Headers {
		values := h.PeekAll(rule.Request)
		switch {
		case len(values) == 0:
			continue
		case len(values) > 1:
			return nil, event.Refuse(event.MalformedRequest, "The header %s is there %d times; send it once: events of type %s keep it.", rule.Request, len(values), def.Type)
		case len(values[0]) > maxKeptHeader:
			return nil, event.Refuse(event.MalformedRequest, "The header %s has %d bytes; events of type %s keep it, and it may have %d.", rule.Request, len(values[0]), def.Type, maxKeptHeader)
		case !cloudevent.Plain(string(values[0])):
			return nil, event.Refuse(event.MalformedRequest, "The header %s must be UTF-8 without control characters: events of type %s keep it.", rule.Request, def.Type)
		}
		if size += len(values[0]); size > maxKeptHeaders {
			return nil, event.Refuse(event.MalformedRequest, "The headers that events of type %s keep have more than %d bytes together.", def.Type, maxKeptHeaders)
		}
		kept = append(kept, event.Header{Name: rule.Record, Value: string(values[0])})
	}
	return kept, nil
}
