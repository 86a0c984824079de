package api

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/event"
)

// What pages of other origins may do (Fetch §3.2). fiber's own middleware does not
// fit: it answers preflights for routes that do not exist, and does not tell a preflight
// for /v1/events from the handshake that the path has.
const (
	// preflightSeconds is how long browsers may cache the answer to a preflight.
	preflightSeconds = "600"
	// readableHeaders are those of answers that pages get to see.
	readableHeaders = headerIdempotentReplayed + ", " + headerIdempotencyStatus + ", " + fiber.HeaderRetryAfter + ", " + headerRateLimit + ", " + headerRateLimitPolicy
	// corsAny stands for all origins, or all headers.
	corsAny = "*"
)

// sendableHeaders are those that pages may send, besides any that begins with ce- and
// those that are configured: the ones that the gateway reads, and those that tracing in
// browsers adds to every request (W3C Trace Context, W3C Baggage, Sentry).
// No cookies: the gateway has none, so Access-Control-Allow-Credentials is never sent.
var sendableHeaders = []string{
	"authorization", "content-type", "content-encoding", "idempotency-key", "if-none-match", headerAPIKey,
	"traceparent", "tracestate", "baggage", "sentry-trace",
}

// origins decides what pages of other origins may do.
type origins struct {
	allowed  []string            // "*" alone: all
	headers  map[string]struct{} // that pages may send, in lower case; with "*": all
	access   *access
	patterns map[string][][]string // of routes, by method
}

func newOrigins(cfg Config, a *access) *origins {
	o := &origins{allowed: cfg.Origins, headers: map[string]struct{}{}, access: a}
	for _, name := range slices.Concat(sendableHeaders, cfg.OriginHeaders) {
		o.headers[strings.ToLower(name)] = struct{}{}
	}
	return o
}

// crossOrigin lets pages of the configured origins in and keeps those of others out.
func (o *origins) crossOrigin(c *fiber.Ctx) error {
	allowed := o.allow(c)
	if c.Method() == fiber.MethodOptions && len(o.allowed) > 0 && len(c.Request().Header.Peek(fiber.HeaderAccessControlRequestMethod)) > 0 &&
		o.has(c.Get(fiber.HeaderAccessControlRequestMethod), c.Path()) {
		return o.preflight(c, allowed)
	}
	if (c.Method() == fiber.MethodPost || c.Method() == fiber.MethodDelete) && !allowed && o.fromOtherPage(c) {
		o.access.refused(c, "", "other-origin", nil)
		return event.Refuse(event.Forbidden,
			"A page of another origin sent this, and the gateway's configuration does not let its origin call (http.cors.origins).")
	}
	return c.Next()
}

// allow sets the headers that let a page of an allowed origin see the answer, and
// reports whether the request's origin is allowed.
func (o *origins) allow(c *fiber.Ctx) bool {
	if len(o.allowed) == 0 {
		return false
	}
	origin := c.Get(fiber.HeaderOrigin)
	if o.allowed[0] == corsAny {
		if origin != "" {
			c.Set(fiber.HeaderAccessControlAllowOrigin, corsAny)
			c.Set(fiber.HeaderAccessControlExposeHeaders, readableHeaders)
		}
		return true
	}
	c.Vary(fiber.HeaderOrigin)
	if !slices.Contains(o.allowed, origin) {
		return false
	}
	c.Set(fiber.HeaderAccessControlAllowOrigin, strings.Clone(origin))
	c.Set(fiber.HeaderAccessControlExposeHeaders, readableHeaders)
	return true
}

// preflight answers a browser that asks whether a page may send a request.
func (o *origins) preflight(c *fiber.Ctx, allowed bool) error {
	c.Vary(fiber.HeaderAccessControlRequestMethod, fiber.HeaderAccessControlRequestHeaders)
	if allowed {
		c.Set(fiber.HeaderAccessControlAllowMethods, strings.Clone(c.Get(fiber.HeaderAccessControlRequestMethod)))
		c.Set(fiber.HeaderAccessControlMaxAge, preflightSeconds)
		if names := o.sendable(c.Get(fiber.HeaderAccessControlRequestHeaders)); names != "" {
			c.Set(fiber.HeaderAccessControlAllowHeaders, names)
		}
	}
	c.Response().Header.Del(fiber.HeaderAccessControlExposeHeaders) // not meant for preflights
	c.Status(fiber.StatusNoContent)
	return nil
}

// sendable are those of the headers asked for that pages may send.
func (o *origins) sendable(asked string) string {
	_, all := o.headers[corsAny]
	var names []string
	for name := range strings.SplitSeq(asked, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		extension := strings.TrimPrefix(name, "ce-")
		_, listed := o.headers[name]
		if listed || all && fieldName.MatchString(name) || extension != name && extension != "" && !strings.ContainsFunc(extension, notInAttribute) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// fieldName is a header's name (RFC 9110 §5.6.2): nothing else is echoed.
var fieldName = regexp.MustCompile("^[a-z0-9!#$%&'*+.^_`|~-]+$")

func notInAttribute(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }

// has reports whether there is a route of this method and path.
func (o *origins) has(method, path string) bool {
	parts := strings.Split(path, "/")
	return slices.ContainsFunc(o.patterns[method], func(pattern []string) bool {
		return slices.EqualFunc(pattern, parts, func(want, got string) bool {
			return want == got || strings.HasPrefix(want, ":") && got != ""
		})
	})
}

// routePatterns are the paths of all routes, in parts, by method.
func routePatterns(app *fiber.App) map[string][][]string {
	patterns := map[string][][]string{}
	for _, r := range app.GetRoutes(true) {
		patterns[r.Method] = append(patterns[r.Method], strings.Split(r.Path, "/"))
	}
	return patterns
}

// fromOtherPage reports whether a browser sent a POST or a DELETE for a page that the gateway
// has not served. Some need no preflight: forms, and bodies without a type. Programs
// send neither of the headers. Webhooks are verified by their signature.
func (o *origins) fromOtherPage(c *fiber.Ctx) bool {
	if strings.HasPrefix(c.Path(), "/v1/webhooks/") {
		return false
	}
	switch c.Get("Sec-Fetch-Site") { // which pages cannot set
	case "same-origin", "none":
		return false
	case "": // an old browser, or plain HTTP
		origin := c.Get(fiber.HeaderOrigin)
		if origin == "" {
			return false
		}
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" { // an app's page may have any host
			return true
		}
		return u.Host != string(c.Request().Host()) && origin != o.access.addresses.origin(c)
	}
	return true
}
