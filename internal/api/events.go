package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/intake"
)

const (
	headerIdempotencyKey     = "Idempotency-Key"
	headerIdempotentReplayed = "Idempotent-Replayed"
	headerIdempotencyStatus  = "Idempotency-Status"
	receiptBytes             = 256 // most receipts fit
	mediaTypeJSON            = "application/json"
)

// postEvent is POST /v1/events/{type}[?version=] and POST /v1/events/{type}/{version}.
func (s *Server) postEvent(c *fiber.Ctx, p publication) error {
	req, limit, err := s.eventRequest(c)
	if err != nil {
		return err
	}
	if req.Data, err = s.readBody(c, limit); err != nil {
		return err
	}
	return writeAccepted(c, p, req)
}

// writeAccepted passes an event to the door and answers with its receipt.
func writeAccepted(c *fiber.Ctx, p publication, req ingest.Request) error {
	result, err := p.accept(req)
	if err != nil {
		return err
	}
	markResult(c, result.Replayed, result.Bypassed)
	return writeReceipt(c, fiber.StatusAccepted, result.Receipt)
}

func markResult(c *fiber.Ctx, replayed, bypassed bool) {
	if replayed {
		c.Set(headerIdempotentReplayed, "true")
	}
	if bypassed {
		c.Set(headerIdempotencyStatus, "bypassed")
	}
}

func writeReceipt(c *fiber.Ctx, status int, receipt event.Receipt) error {
	c.Status(status)
	c.Response().Header.SetContentType(mediaTypeJSON)
	var room [receiptBytes]byte
	c.Response().SetBody(receipt.AppendJSON(room[:0])) // copies into a pooled buffer
	return nil
}

// eventRequest reads everything of a request but its body, and how many bytes that may
// have.
func (s *Server) eventRequest(c *fiber.Ctx) (ingest.Request, int, error) {
	req, limit, err := s.eventType(c)
	if err != nil {
		return req, 0, err
	}
	h := &c.Request().Header
	if req.Attributes, err = attributes(h, req.Type); err != nil {
		return req, 0, err
	}
	req.Identity, err = identity(h, req)
	return req, limit, err
}

// eventType reads type, version and media type of an event, and how many bytes its data
// may have.
func (s *Server) eventType(c *fiber.Ctx) (ingest.Request, int, error) {
	caller := s.access.caller(c)
	req := ingest.Request{Client: caller.Name, Type: strings.Clone(c.Params("type"))}
	if err := s.access.permit(c, caller, req.Type); err != nil {
		return req, 0, err
	}
	var err error
	if req.Version, err = version(c); err != nil {
		return req, 0, err
	}
	limit, err := s.lookup(c, req)
	if err == nil {
		req.Headers, err = s.recordHeaders(c, req)
	}
	if err == nil {
		err = setContentType(&req, string(c.Request().Header.ContentType()))
	}
	return req, limit, err
}

// lookup looks the definition up, so that an unknown type is refused whatever else is
// wrong, and returns how many bytes its data may have. The door looks it up again,
// because types may be reloaded in between.
func (s *Server) lookup(c *fiber.Ctx, req ingest.Request) (int, error) {
	definition, err := s.catalog.Lookup(req.Type, req.Version)
	var e *event.Error
	switch {
	case err == nil:
		return limitOf(definition, s.cfg.BodyLimit), nil
	case errors.As(err, &e) && e.Kind == event.UnknownEventType && event.ValidTypeName(req.Type) && hasKey(c):
		// A keyed event may have been written before its type was removed: the door
		// knows. Events without a key are refused at once.
		return s.cfg.BodyLimit, nil
	}
	return 0, err
}

// hasKey reports whether the headers alone show that a retry would be recognised.
func hasKey(c *fiber.Ctx) bool {
	h := &c.Request().Header
	return len(h.Peek(headerIdempotencyKey)) > 0 || len(h.Peek("ce-id")) > 0 ||
		strings.HasPrefix(string(h.ContentType()), mediaTypeCloudEvents) // whose events all have an id
}

// readBody reads the body and decodes it, to at most limit bytes.
func (s *Server) readBody(c *fiber.Ctx, limit int) ([]byte, error) {
	used, err := contentCoding(c)
	if err != nil {
		return nil, err
	}
	return exchangeOf(c).body.ReadDecoded(used, limit)
}

// codings are the content codings that bodies may have, as Accept-Encoding lists them.
const codings = intake.Gzip + ", " + intake.Zstd + ", " + intake.Brotli

// contentCoding is the coding of c's body, empty for none.
func contentCoding(c *fiber.Ctx) (string, error) {
	values := c.Request().Header.PeekAll(fiber.HeaderContentEncoding)
	if len(values) == 0 {
		return "", nil
	}
	if len(values) == 1 {
		switch strings.ToLower(string(values[0])) {
		case "", "identity":
			return "", nil
		case intake.Gzip, "x-gzip": // RFC 9110 §8.4.1.3
			return intake.Gzip, nil
		case intake.Zstd:
			return intake.Zstd, nil
		case intake.Brotli:
			return intake.Brotli, nil
		}
	}
	c.Set(fiber.HeaderAcceptEncoding, codings) // RFC 9110 §15.5.16
	return "", event.Refuse(event.UnsupportedMediaType, "The body's Content-Encoding is not supported: send one of %s, or none.", codings)
}

// version is the parameter of that name in the path or the query, empty if there is none.
func version(c *fiber.Ctx) (string, error) {
	inPath := strings.Clone(c.Params("version"))
	switch {
	case inPath != "" && c.Context().QueryArgs().Has("version"):
		return "", event.Refuse(event.MalformedRequest, "The version is in the path already; leave the query parameter version out.")
	case inPath != "":
		return inPath, nil
	}
	return queriedVersion(c)
}

// queriedVersion is the query parameter version, empty if there is none.
func queriedVersion(c *fiber.Ctx) (string, error) {
	v := c.Context().QueryArgs().PeekMulti("version")
	switch {
	case len(v) == 0:
		return "", nil
	case len(v) > 1 || len(v[0]) == 0:
		return "", event.Refuse(event.MalformedRequest, "The query parameter version must be given once and not be empty, for example ?version=v1.")
	}
	return string(v[0]), nil
}

func writeJSON(c *fiber.Ctx, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	c.Status(status)
	c.Response().Header.SetContentType(mediaTypeJSON)
	c.Response().SetBodyRaw(body)
	return nil
}
