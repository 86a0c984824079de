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
	req, err := s.eventRequest(c)
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

// eventRequest reads a request up to its body. On an error the request holds
// what was read so far.
func (s *Server) eventRequest(c *fiber.Ctx) (ingest.Request, error) {
	req, err := s.eventData(c)
	if err != nil {
		return req, err
	}
	h := &c.Request().Header
	if req.Attributes, err = attributes(h, req.Type); err != nil {
		return req, err
	}
	req.Identity, err = identity(h, req)
	return req, err
}

// eventData reads what an event is: type, version, media type, data.
func (s *Server) eventData(c *fiber.Ctx) (ingest.Request, error) {
	caller := s.caller(c)
	req := ingest.Request{Client: caller.Name, Type: strings.Clone(c.Params("type"))}
	if err := s.permit(c, caller, req.Type); err != nil {
		return req, err
	}
	if err := s.lookup(c, &req); err != nil {
		return req, err
	}
	if err := setMediaType(&req, &c.Request().Header); err != nil {
		return req, err
	}
	req.Data = c.Request().Body()
	return req, nil
}

// lookup looks for the definition, so that an unknown type is refused whatever
// else is wrong. The door looks again: types may be reloaded in between.
func (s *Server) lookup(c *fiber.Ctx, req *ingest.Request) error {
	var err error
	if req.Version, err = version(c); err != nil {
		return err
	}
	_, err = s.catalog.Lookup(req.Type, req.Version)
	var e *event.Error
	// A keyed event may have been written before its type went away: the
	// door knows. Everybody else is told at once.
	if errors.As(err, &e) && e.Kind == event.UnknownEventType && event.ValidTypeName(req.Type) && hasKey(c) {
		return nil
	}
	return err
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
