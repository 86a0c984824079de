package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
)

const (
	headerIdempotencyKey      = "Idempotency-Key"
	headerIdempotentReplayed  = "Idempotent-Replayed"
	headerIdempotencyStatus   = "Idempotency-Status"
	receiptBytes              = 256 // most receipts fit
	mediaTypeJSON             = "application/json"
	statusAcceptedWithReceipt = fiber.StatusAccepted
)

// postEvent is POST /v1/events/{type}[?version=] and POST /v1/events/{type}/{version}.
func (s *Server) postEvent(c *fiber.Ctx) error {
	req, limit, err := s.eventRequest(c)
	if err == nil {
		req.Data, err = s.readBody(c, limit)
	}
	return s.accept(c, req, err)
}

// accept passes a request through the door and answers; err says why it is not to
// be.
func (s *Server) accept(c *fiber.Ctx, req ingest.Request, err error) error {
	keyed := !req.Identity.IsZero()
	if err != nil {
		return s.writeProblem(c, err, keyed)
	}
	// fasthttp does not tell when a client goes away, and an event under way
	// is finished anyway: its outcome belongs into the claim.
	result, err := s.door.Accept(context.Background(), req)
	if err != nil {
		return s.writeProblem(c, err, keyed)
	}
	markResult(c, result.Replayed, result.Bypassed)
	return writeReceipt(c, statusAcceptedWithReceipt, result.Receipt)
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
	c.Response().SetBody(receipt.AppendJSON(room[:0])) // copies into a buffer that is used again
	return nil
}

// eventRequest reads a request up to its body, and how large that may be. On an error
// the request holds what was read so far.
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

// eventType reads what an event is: type, version, media type; and how many bytes its
// data may have.
func (s *Server) eventType(c *fiber.Ctx) (ingest.Request, int, error) {
	caller := s.caller(c)
	req := ingest.Request{Client: caller.Name, Type: strings.Clone(c.Params("type"))}
	if err := s.permit(c, caller, req.Type); err != nil {
		return req, 0, err
	}
	var err error
	if req.Version, err = version(c); err != nil {
		return req, 0, err
	}
	limit, err := s.lookup(c, req)
	if err == nil {
		err = setContentType(&req, string(c.Request().Header.ContentType()))
	}
	return req, limit, err
}

// lookup looks for the definition, so that an unknown type is refused whatever else is
// wrong, and returns how many bytes its data may have. The door looks again: types
// may be reloaded in between.
func (s *Server) lookup(c *fiber.Ctx, req ingest.Request) (int, error) {
	definition, err := s.catalog.Lookup(req.Type, req.Version)
	var e *event.Error
	switch {
	case err == nil:
		return s.limitOf(definition), nil
	case errors.As(err, &e) && e.Kind == event.UnknownEventType && event.ValidTypeName(req.Type) && hasKey(c):
		// A keyed event may have been written before its type went away: the
		// door knows. Everybody else is told at once.
		return s.cfg.BodyLimit, nil
	}
	return 0, err
}

// readBody reads the body, inflated, of at most limit bytes.
func (s *Server) readBody(c *fiber.Ctx, limit int) ([]byte, error) {
	used, err := coding(c)
	if err != nil {
		return nil, err
	}
	return bodyOf(c).readDecoded(used, limit)
}

// version is the path's or the query's parameter of that name, empty if neither is
// there.
func version(c *fiber.Ctx) (string, error) {
	inPath := strings.Clone(c.Params("version"))
	v := c.Context().QueryArgs().PeekMulti("version")
	switch {
	case inPath != "" && len(v) > 0:
		return "", event.Refuse(event.MalformedRequest, "The version is in the path already; leave the query parameter version out.")
	case inPath != "":
		return inPath, nil
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
