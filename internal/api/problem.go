package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/event"
	"eventgateway/internal/intake"
)

const mediaTypeProblem = "application/problem+json"

// problemDocument is the body of every error (RFC 9457 §3).
type problemDocument struct {
	Type      string            `json:"type"`
	Title     string            `json:"title"`
	Status    int               `json:"status"`
	Detail    string            `json:"detail"`
	Outcome   event.Outcome     `json:"outcome"`
	Retryable bool              `json:"retryable"`
	Errors    []event.Violation `json:"errors,omitempty"`
}

// problemOf makes an *event.Error of any error that a handler, or fiber, returned.
func problemOf(c *fiber.Ctx, x *exchange, err error) *event.Error {
	var e *event.Error
	var unrouted *fiber.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &unrouted) && unrouted.Code == fiber.StatusNotFound:
		return event.Refuse(event.NotFound,
			"There is nothing at this path. Events are posted to /v1/events/{type}; /v1/event-types lists the types and /docs describes everything.")
	case errors.As(err, &unrouted) && unrouted.Code == fiber.StatusMethodNotAllowed:
		return event.Refuse(event.MethodNotAllowed, "%s is not allowed here; allowed is: %s.", methodName(c), c.GetRespHeader(fiber.HeaderAllow))
	}
	return x.failure(err)
}

// methodName returns the method, or a placeholder if it is unknown: answers do not echo
// arbitrary input.
func methodName(c *fiber.Ctx) string {
	if intake.UnknownMethod(c.Context()) {
		return "This method"
	}
	return c.Method()
}

// reporter writes problem documents, and logs errors of the gateway itself.
type reporter struct{ logger *slog.Logger }

// write answers with err. keyed says that a retry of the request would be
// recognised, or writes nothing.
func (r reporter) write(c *fiber.Ctx, err error, keyed bool) error {
	p, after := r.problem(err, keyed)
	if after > 0 {
		c.Set(fiber.HeaderRetryAfter, retryAfter(after))
	}
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode problem: %w", err)
	}
	c.Status(p.Status)
	c.Response().Header.SetContentType(mediaTypeProblem)
	c.Response().SetBodyRaw(body)
	return nil
}

// problem makes the document for err, and returns how long to wait before a retry, 0
// if a retry has no chance. Errors of the gateway itself are logged.
func (r reporter) problem(err error, keyed bool) (problemDocument, time.Duration) {
	var e *event.Error
	if !errors.As(err, &e) {
		e = event.Failure(err)
	}
	kind := e.Kind
	p, ok := problems[kind]
	if !ok {
		kind, p = event.Internal, problems[event.Internal]
	}
	// A retry of an unknown outcome without any key could write twice, so
	// nothing may invite one.
	retryable := p.retryable && (keyed || e.Outcome != event.Unknown)
	if p.status >= fiber.StatusInternalServerError && e.Err != nil {
		r.logger.Error("request failed", "problem", kind, "outcome", e.Outcome, "error", e.Err)
	}
	var after time.Duration
	if retryable {
		after = max(e.RetryAfter, p.retryAfter)
	}
	return problemDocument{
		Type: "/problems/" + string(kind), Title: p.title, Status: p.status, Detail: sentence(e.Detail),
		Outcome: e.Outcome, Retryable: retryable, Errors: e.Violations,
	}, after
}

// sentence gives a detail, which may come from another package, a capital letter and a
// full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// retryAfter is in whole seconds, rounded up (RFC 9110 §10.2.3).
func retryAfter(d time.Duration) string {
	return strconv.Itoa(int(math.Ceil(d.Seconds())))
}
