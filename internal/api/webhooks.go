package api

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/budget"
	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/webhook"
)

// Webhook is a third party that may post to /v1/webhooks/{source}.
type Webhook struct {
	Source *webhook.Source
	Key    *webhook.KeyRule // nil: as the event type says
	// DeadLetters is the topic for deliveries that do not fit their schema; empty
	// refuses them.
	DeadLetters string
	// TypesBegin is what all event types begin with that its deliveries become.
	TypesBegin string
}

// webhooks takes deliveries of third parties.
type webhooks struct {
	sources   map[string]Webhook // by name
	budget    *budget.Budget
	bodyLimit int // bytes
	addresses addresses
	metrics   *metrics
	logger    *slog.Logger
	reporter  reporter
}

// post is POST /v1/webhooks/{source}. Providers act upon the status: a 2xx says
// that the delivery is kept, however often it comes; a 5xx asks them to send it again.
func (w *webhooks) post(c *fiber.Ctx, p publication) error {
	name := c.Params("source")
	source, ok := w.sources[name]
	if !ok {
		return unknownSource()
	}
	name = strings.Clone(name)
	text, err := readUncompressed(c, w.bodyLimit)
	if err != nil {
		return err
	}
	request := webhook.Request{Method: fiber.MethodPost, URL: string(c.Request().RequestURI()), Header: headers(c), Body: text, Limit: w.bodyLimit}
	received, err := w.receive(c, source, request)
	var rejection *webhook.Rejection
	switch {
	case errors.As(err, &rejection):
		return w.reject(c, name, source, rejection)
	case err != nil:
		return err
	case received.Answer != nil:
		writeAnswer(c, received.Answer)
		return nil
	}
	reqs := make([]ingest.Request, len(received.Deliveries))
	for i, d := range received.Deliveries {
		reqs[i] = source.Request(name, d, request.Header)
	}
	return w.accept(c, p, source.Source.Reply(), reqs)
}

// receive verifies and maps a delivery, when it is its turn. What is made of the body, a
// form's fields as JSON or the deliveries of a list, may be as large as the body again.
func (w *webhooks) receive(c *fiber.Ctx, source Webhook, request webhook.Request) (webhook.Intake, error) {
	work, err := w.budget.Begin(len(request.Body) / linear)
	if err != nil {
		return webhook.Intake{}, err
	}
	defer work.End()
	if len(request.Body) > smallAnswer {
		if err := exchangeOf(c).body.Hold(len(request.Body)); err != nil {
			return webhook.Intake{}, err
		}
	}
	return source.Source.Receive(request, time.Now())
}

func writeAnswer(c *fiber.Ctx, a *webhook.Answer) {
	c.Status(a.Status)
	c.Response().Header.SetContentType(a.ContentType)
	c.Response().SetBodyRaw(a.Body)
}

// register is GET and HEAD /v1/webhooks/{source}, with which providers check the URL
// before they deliver to it. HEAD only asks whether there is something. A GET asks for
// its challenge back; where the source has none, there is only POST.
func (w *webhooks) register(c *fiber.Ctx) error {
	name := c.Params("source")
	source, ok := w.sources[name]
	if !ok {
		return unknownSource()
	}
	if c.Method() == fiber.MethodHead {
		c.Status(fiber.StatusOK)
		return nil
	}
	request := webhook.Request{Method: fiber.MethodGet, URL: string(c.Request().RequestURI()), Header: headers(c)}
	answer, ok, err := source.Source.Register(request)
	var rejection *webhook.Rejection
	switch {
	case !ok:
		c.Set(fiber.HeaderAllow, "POST, HEAD, OPTIONS")
		return fiber.ErrMethodNotAllowed
	case errors.As(err, &rejection):
		return w.reject(c, strings.Clone(name), source, rejection)
	case err != nil:
		return err
	}
	writeAnswer(c, answer)
	return nil
}

// readUncompressed reads a body that may not have a content coding.
func readUncompressed(c *fiber.Ctx, limit int) ([]byte, error) {
	if used, err := contentCoding(c); err == nil && used == "" {
		return exchangeOf(c).body.ReadAll(limit)
	}
	c.Set(fiber.HeaderAcceptEncoding, "identity")
	return nil, event.Refuse(event.UnsupportedMediaType, "Signatures are over the body as it is sent, so webhooks may not be compressed: send the body without Content-Encoding.")
}

func unknownSource() *event.Error {
	return event.Refuse(event.UnknownSource,
		"There is no webhook source of this name. The operator adds it under webhooks in the gateway's configuration.")
}

// reject refuses a delivery that is not verified, and logs why.
func (w *webhooks) reject(c *fiber.Ctx, name string, source Webhook, r *webhook.Rejection) error {
	w.metrics.rejected.WithLabelValues(name, string(r.Reason)).Inc()
	w.logger.Warn("webhook rejected", "source", name, "reason", string(r.Reason), "remote", w.addresses.client(c))
	c.Set(fiber.HeaderWWWAuthenticate, source.Source.Challenge())
	return event.Refuse(event.Unauthenticated, "%s", r.Detail)
}

// Request makes the request to the door for a delivery to the source of this name, whose
// headers a dead letter keeps.
func (w Webhook) Request(name string, d webhook.Delivery, h http.Header) ingest.Request {
	req := ingest.Request{
		Client: name, Type: d.EventType, MediaType: d.MediaType, Data: d.Data,
		Attributes: event.Attributes{Source: "/webhooks/" + name}, TypesBegin: w.TypesBegin,
	}
	if d.ID != "" {
		req.Identity = event.Identity{Kind: event.IdentityWebhook, Parts: []string{d.ID}}
	}
	readable := d.Data
	if d.Err != nil {
		req.Fault, readable = d.Err, nil
	}
	if w.Key != nil {
		req.Key = &ingest.KeyRule{Pointers: w.Key.Pointers(readable)}
	}
	if w.DeadLetters != "" {
		if req.Type == "" {
			req.Type = name + ".unmapped"
		}
		credential := ""
		if w.Source != nil {
			credential = w.Source.CredentialHeader()
		}
		req.DeadLetter = &ingest.DeadLetter{Topic: w.DeadLetters, Headers: keptHeaders(h, credential)}
	}
	return req
}

// accept passes deliveries to the door. If all of several were accepted, the
// answer is that of a batch; otherwise it is the problem that decides whether the
// provider should send them again. Those that were accepted are then recognised.
func (w *webhooks) accept(c *fiber.Ctx, p publication, reply *webhook.Reply, reqs []ingest.Request) error {
	if len(reqs) == 1 {
		if err := writeAccepted(c, p, reqs[0]); err != nil {
			return webhookError(err)
		}
	} else {
		answers := p.acceptBatch(reqs)
		if err := decisive(answers); err != nil {
			return err
		}
		if err := w.reporter.writeBatch(c, reqs, answers); err != nil {
			return err
		}
	}
	writeReply(c, reply)
	return nil
}

// writeReply makes the answer to an accepted delivery the one that the provider expects;
// nil leaves the receipt.
func writeReply(c *fiber.Ctx, r *webhook.Reply) {
	if r == nil {
		return
	}
	c.Status(r.Status)
	if r.Receipt {
		return
	}
	c.Response().ResetBody()
	c.Response().Header.SetContentType(r.ContentType)
	if r.Body == "" {
		c.Response().Header.SetNoDefaultContentType(true)
	}
	c.Response().SetBodyString(r.Body)
}

// decisive is the error that says what to do about all deliveries of a request: the
// first that a redelivery can fix, otherwise the first, nil if there is none. Its
// outcome covers all deliveries: it must not deny one that was written.
func decisive(answers []ingest.BatchResult) error {
	var first, fixable *event.Error
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
		if p := problems[e.Kind]; fixable == nil && p.retryable && p.status >= fiber.StatusInternalServerError {
			fixable = e
		}
		if first == nil {
			first = e
		}
	}
	switch {
	case first == nil:
		return nil
	case fixable == nil && maybeWritten == 0:
		return first
	case fixable == nil:
		refused := *first
		refused.Outcome = event.Unknown
		refused.Detail = fmt.Sprintf("Of %d events, %d are written or may be; of another: %s", len(answers), maybeWritten, sentence(first.Detail))
		return &refused
	case fixable.Outcome != event.NotWritten || maybeWritten == 0:
		return fixable
	}
	e := event.MaybeWritten(event.OutcomeUnknown, fixable.Err,
		"Of %d events, %d are written or may be; of another: %s Deliver all again: what was accepted is recognised.", len(answers), maybeWritten, sentence(fixable.Detail))
	e.RetryAfter = fixable.RetryAfter
	return e
}

// webhookError is what a provider is told: many take a 409 for a final refusal.
func webhookError(err error) error {
	var e *event.Error
	if errors.As(err, &e) && e.Kind == event.RequestInProgress {
		return event.MaybeWritten(event.OutcomeUnknown, nil, "The same delivery is being written right now by another request. Deliver it again.")
	}
	return err
}

// handshake is OPTIONS /v1/webhooks/{source}.
func (w *webhooks) handshake(c *fiber.Ctx) error {
	if _, ok := w.sources[c.Params("source")]; !ok {
		return unknownSource()
	}
	return handshake(c)
}

// headers copies a request's headers.
func headers(c *fiber.Ctx) http.Header {
	h := http.Header{}
	c.Request().Header.VisitAll(func(name, value []byte) { h.Add(string(name), string(value)) })
	return h
}

// secretHeaders are credentials and do not go into a dead letter. A signature is not a
// credential.
var secretHeaders = map[string]bool{"Authorization": true, "Proxy-Authorization": true, "Cookie": true, "X-Api-Key": true, "X-Gitlab-Token": true}

// keptHeaders are a delivery's headers as a dead letter keeps them, without the one that
// has the source's secret.
func keptHeaders(h http.Header, credential string) []event.Header {
	kept := make([]event.Header, 0, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if !secretHeaders[name] && name != credential {
			kept = append(kept, event.Header{Name: "http_" + strings.ToLower(name), Value: strings.Join(h[name], ", ")})
		}
	}
	return kept
}
