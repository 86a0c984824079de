package api

import (
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/event"
)

// strictTransport makes browsers come back by https only, for a year (RFC 6797 §6.1).
// It leaves out other names of the domain, which are not the gateway's to decide about.
const strictTransport = "max-age=31536000"

// securityHeaders keep browsers from doing more with an answer than was meant.
func securityHeaders(cfg Config) fiber.Handler {
	https := cfg.TLS != nil || strings.HasPrefix(cfg.PublicURL, "https://")
	return func(c *fiber.Ctx) error {
		if https {
			c.Set(fiber.HeaderStrictTransportSecurity, strictTransport)
		}
		if reads(c) {
			c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
			c.Set("Cross-Origin-Resource-Policy", "same-origin") // does not concern pages that http.cors allows
		}
		return c.Next()
	}
}

// cacheHeaders stop caches from giving one caller's answer to another. They depend on the
// answer, so it must have been made.
func cacheHeaders(c *fiber.Ctx, x *exchange) {
	if !reads(c) {
		return
	}
	// Answers that depend on the caller must not be shared (RFC 9111 §5.2.2). A shared
	// cache would not see a client certificate.
	own := x.caller != nil || c.Response().StatusCode() == fiber.StatusUnauthorized
	if own {
		c.Vary(fiber.HeaderAuthorization, "X-API-Key")
	}
	switch {
	case len(c.Response().Header.Peek(fiber.HeaderETag)) > 0:
		if own {
			c.Set(fiber.HeaderCacheControl, "private, no-cache")
		}
	case own || strings.HasPrefix(c.Path(), "/v1/"):
		c.Set(fiber.HeaderCacheControl, "no-store")
	}
}

func reads(c *fiber.Ctx) bool {
	return c.Method() == fiber.MethodGet || c.Method() == fiber.MethodHead
}

// checkHost refuses requests that name another host: a page in a browser on this machine
// could have rebound its name to the gateway's address. The signature of a webhook decides
// whoever it was sent to.
func (s *Server) checkHost(c *fiber.Ctx) error {
	if s.cfg.AllowsHost == nil || s.cfg.AllowsHost(string(c.Request().Host())) || strings.HasPrefix(c.Path(), "/v1/webhooks/") {
		return c.Next()
	}
	host := string(c.Request().Host())
	s.access.refused(c, "", "host", fmt.Errorf("the Host header is %.100q, which neither http.hosts nor http.public_url names", host))
	return event.Refuse(event.Forbidden, "The Host header, %.100q, does not name this gateway. If programs reach it by this name, the operator adds the name to http.hosts, or sets http.public_url.", host)
}
