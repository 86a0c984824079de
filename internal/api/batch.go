package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"eventgateway/internal/cloudevent"
	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/intake"
)

// itemBytes is what an event of a batch takes beside its data, until the batch is
// answered: its request, its attempt, and its part of the answer.
const itemBytes = 2 << 10

// parseBatch reads a batch, and reserves the memory that its events take.
func (s *Server) parseBatch(c *fiber.Ctx, text []byte) ([]cloudevent.Item, error) {
	work, err := s.budget.Begin(len(text) / linear)
	if err != nil {
		return nil, err
	}
	defer work.End()
	body := exchangeOf(c).body
	if err := holdBase64(body, text); err != nil {
		return nil, err
	}
	items, err := cloudevent.ParseBatch(text)
	if err == nil {
		err = body.Hold(itemBytes * len(items))
	}
	return items, err
}

// linear is how many times longer a text may be that is only read through, without a
// tree, to take as long as one that is checked.
const linear = 4

// holdBase64 reserves the memory for data that come in base64 inside a text.
func holdBase64(body *intake.Body, text []byte) error {
	if len(text) <= smallAnswer || !bytes.Contains(text, []byte("data_base64")) {
		return nil
	}
	return body.Hold(len(text) * 3 / 4)
}

// postBatch publishes each event of a batch on its own.
func (s *Server) postBatch(c *fiber.Ctx, p publication) error {
	if err := s.mayAnswer(c); err != nil {
		return err
	}
	key, err := batchKey(&c.Request().Header)
	if err != nil {
		return err
	}
	text, err := s.readBody(c, s.cfg.BodyLimit)
	if err != nil {
		return err
	}
	items, err := s.parseBatch(c, text)
	if err != nil {
		return err
	}
	if err := s.access.chargeBatch(c, len(items)); err != nil {
		return err
	}
	reqs := make([]ingest.Request, len(items))
	var trace event.Attributes
	setTrace(&trace, &c.Request().Header)
	for i, item := range items {
		reqs[i] = s.batchItem(c, item, key, i)
		reqs[i].Attributes.TraceParent, reqs[i].Attributes.TraceState = trace.TraceParent, trace.TraceState
	}
	return s.reporter.writeBatch(c, reqs, p.acceptBatch(reqs))
}

// batchItem makes a request of one event. Its Fault is what is wrong with the event.
func (s *Server) batchItem(c *fiber.Ctx, item cloudevent.Item, key string, index int) ingest.Request {
	req, err := s.cloudEventRequest(c, item.Event, item.Err)
	req.Fault = err
	switch {
	case key != "":
		req.Identity = event.Identity{Kind: event.IdentityBatch, Parts: []string{key}, Index: strconv.Itoa(index)}
	case req.Attributes.ID != "" && req.Attributes.Source != "":
		req.Identity = event.Identity{Kind: event.IdentityCloudEvent, Parts: []string{req.Attributes.Source, req.Attributes.ID}}
	}
	return req
}

// batchKey is the Idempotency-Key of a batch, empty if there is none.
func batchKey(h *fasthttp.RequestHeader) (string, error) {
	id, err := identity(h, ingest.Request{})
	if err != nil || id.IsZero() {
		return "", err
	}
	return id.Parts[0], nil
}

// writeBatch answers 202 if every event was accepted, else 207 (RFC 4918 §11.1).
func (r reporter) writeBatch(c *fiber.Ctx, reqs []ingest.Request, answers []ingest.BatchResult) error {
	status := fiber.StatusAccepted
	replayed, bypassed := len(answers) > 0, false
	var wait time.Duration
	body := append(make([]byte, 0, (receiptBytes+64)*len(answers)+16), `{"items":[`...)
	for i, a := range answers {
		if i > 0 {
			body = append(body, ',')
		}
		body = strconv.AppendInt(append(body, `{"index":`...), int64(i), 10)
		if a.Err == nil {
			body = a.Result.Receipt.AppendJSON(append(body, `,"status":202,"receipt":`...))
			body = append(body, '}')
			replayed = replayed && a.Result.Replayed
			bypassed = bypassed || a.Result.Bypassed
			continue
		}
		p, after := r.problem(a.Err, !reqs[i].Identity.IsZero())
		text, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("encode problem: %w", err)
		}
		body = strconv.AppendInt(append(body, `,"status":`...), int64(p.Status), 10)
		body = append(append(append(body, `,"problem":`...), text...), '}')
		status, replayed, wait = fiber.StatusMultiStatus, false, max(wait, after)
	}
	if wait > 0 {
		c.Set(fiber.HeaderRetryAfter, retryAfter(wait))
	}
	markResult(c, replayed, bypassed)
	c.Status(status)
	c.Response().Header.SetContentType(mediaTypeJSON)
	c.Response().SetBodyRaw(append(body, `]}`...))
	return nil
}
