package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/webhook"
)

// Webhook is a third party that may post to /v1/webhooks/{source}.
type Webhook struct {
	Source *webhook.Source
	Key    *ingest.KeyRule // nil: as the event type says
	// DeadLetters is the topic for deliveries that do not fit their schema; empty
	// refuses them.
	DeadLetters string
}

// postWebhook is POST /v1/webhooks/{source}. Answers are what providers act upon: a
// 2xx for what is kept, however often it comes; a 5xx for what they shall send
// again.
func (s *Server) postWebhook(c *fiber.Ctx) error {
	name := c.Params("source")
	source, ok := s.cfg.Webhooks[name]
	if !ok {
		return s.writeProblem(c, unknownSource(), true)
	}
	name = strings.Clone(name)
	text, err := s.readUncompressed(c)
	if err != nil {
		return s.writeProblem(c, err, true)
	}
	request := webhook.Request{Method: fiber.MethodPost, URL: string(c.Request().RequestURI()), Header: headers(c), Body: text}
	intake, err := source.Source.Receive(request, time.Now())
	var rejection *webhook.Rejection
	switch {
	case errors.As(err, &rejection):
		return s.rejectWebhook(c, name, source, rejection)
	case err != nil:
		return s.writeProblem(c, err, true)
	case intake.Answer != nil:
		c.Status(intake.Answer.Status)
		c.Response().Header.SetContentType(intake.Answer.ContentType)
		c.Response().SetBodyRaw(intake.Answer.Body)
		return nil
	}
	reqs := make([]ingest.Request, len(intake.Deliveries))
	for i, d := range intake.Deliveries {
		reqs[i] = source.request(name, d, request.Header)
	}
	return s.acceptWebhook(c, reqs)
}

func unknownSource() *event.Error {
	return event.Refuse(event.UnknownSource,
		"There is no webhook source of this name. The operator adds it under webhooks in the gateway's configuration.")
}

// rejectWebhook answers a delivery that is not believed, and leaves a line for
// whoever wonders why.
func (s *Server) rejectWebhook(c *fiber.Ctx, name string, source Webhook, r *webhook.Rejection) error {
	s.metrics.rejected.WithLabelValues(name, string(r.Reason)).Inc()
	s.logger.Warn("webhook rejected", "source", name, "reason", string(r.Reason), "remote", s.remote(c))
	c.Set(fiber.HeaderWWWAuthenticate, source.Source.Challenge())
	return s.writeProblem(c, event.Refuse(event.Unauthenticated, "%s", r.Detail), true)
}

// request is what a delivery asks of the door.
func (w Webhook) request(name string, d webhook.Delivery, h http.Header) ingest.Request {
	req := ingest.Request{
		Client: name, Type: d.EventType, MediaType: d.MediaType, Data: d.Data, Key: w.Key,
		Identity:   event.Identity{Kind: event.IdentityWebhook, Parts: []string{d.ID}},
		Attributes: event.Attributes{Source: "/webhooks/" + name},
	}
	if d.Err != nil {
		req.Fault = d.Err
	}
	if w.DeadLetters != "" {
		if req.Type == "" {
			req.Type = name + ".unmapped"
		}
		req.DeadLetter = &ingest.DeadLetter{Topic: w.DeadLetters, Headers: keptHeaders(h)}
	}
	return req
}

// acceptWebhook passes deliveries through the door. Several are answered like a
// batch if all were accepted; else with the problem that decides whether they
// shall come again, when those that were accepted are recognised.
func (s *Server) acceptWebhook(c *fiber.Ctx, reqs []ingest.Request) error {
	if len(reqs) == 1 {
		result, err := s.door.Accept(context.Background(), reqs[0])
		if err != nil {
			return s.writeProblem(c, webhookError(err), true)
		}
		markResult(c, result.Replayed, result.Bypassed)
		return writeReceipt(c, statusAcceptedWithReceipt, result.Receipt)
	}
	answers := s.door.AcceptBatch(context.Background(), reqs)
	if err := decisive(answers); err != nil {
		return s.writeProblem(c, err, true)
	}
	return s.writeBatch(c, reqs, answers)
}

// decisive is the error that says what to do about all deliveries of a request:
// the first that a redelivery can mend, else the first, else nil. Its outcome is that
// of all: it may not deny the deliveries beside it.
func decisive(answers []ingest.BatchResult) error {
	var first, mendable *event.Error
	maybeWritten := 0
	for _, a := range answers {
		var e *event.Error
		if a.Err == nil || !errors.As(webhookError(a.Err), &e) {
			maybeWritten++
			continue
		}
		if e.Outcome != event.NotWritten {
			maybeWritten++
		}
		if p := problems[e.Kind]; mendable == nil && p.retryable && p.status >= fiber.StatusInternalServerError {
			mendable = e
		}
		if first == nil {
			first = e
		}
	}
	switch {
	case first == nil:
		return nil
	case mendable == nil && maybeWritten == 0:
		return first
	case mendable == nil:
		refused := *first
		refused.Outcome = event.Unknown
		refused.Detail = fmt.Sprintf("Of %d events, %d are written or may be; of another: %s", len(answers), maybeWritten, sentence(first.Detail))
		return &refused
	case mendable.Outcome != event.NotWritten || maybeWritten == 0:
		return mendable
	}
	e := event.MaybeWritten(event.OutcomeUnknown, mendable.Err,
		"Of %d events, %d are written or may be; of another: %s Deliver all again: what was accepted is recognised.", len(answers), maybeWritten, sentence(mendable.Detail))
	e.RetryAfter = mendable.RetryAfter
	return e
}

// webhookError is what a provider is told: many take a 409 for a refusal for good.
func webhookError(err error) error {
	var e *event.Error
	if errors.As(err, &e) && e.Kind == event.RequestInProgress {
		return event.MaybeWritten(event.OutcomeUnknown, nil, "The same delivery is being written right now by another request. Deliver it again.")
	}
	return err
}

// webhookHandshake is OPTIONS /v1/webhooks/{source}.
func (s *Server) webhookHandshake(c *fiber.Ctx) error {
	if _, ok := s.cfg.Webhooks[c.Params("source")]; !ok {
		return s.writeProblem(c, unknownSource(), true)
	}
	return s.handshake(c)
}

// headers copies a request's headers.
func headers(c *fiber.Ctx) http.Header {
	h := http.Header{}
	c.Request().Header.VisitAll(func(name, value []byte) { h.Add(string(name), string(value)) })
	return h
}

// secretHeaders are credentials as such: they do not go into a dead letter. A
// signature is none.
var secretHeaders = map[string]bool{"Authorization": true, "Proxy-Authorization": true, "Cookie": true, "X-Gitlab-Token": true}

// keptHeaders are a delivery's headers as a dead letter keeps them.
func keptHeaders(h http.Header) []event.Header {
	kept := make([]event.Header, 0, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if !secretHeaders[name] {
			kept = append(kept, event.Header{Name: "http_" + strings.ToLower(name), Value: strings.Join(h[name], ", ")})
		}
	}
	return kept
}
