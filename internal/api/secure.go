package api

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/auth"
)

// strictTransport has browsers come back by https only, for a year (RFC 6797 §6.1).
// Other names of the domain are not the gateway's to decide about.
const strictTransport = "max-age=31536000"

// secure gives answers the headers that keep browsers and caches from doing more with
// them than was meant.
func (s *Server) secure(c *fiber.Ctx) error {
	if s.cfg.TLS != nil || strings.HasPrefix(s.cfg.PublicURL, "https://") {
		c.Set(fiber.HeaderStrictTransportSecurity, strictTransport)
	}
	read := c.Method() == fiber.MethodGet || c.Method() == fiber.MethodHead
	if read {
		c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
		c.Set("Cross-Origin-Resource-Policy", "same-origin") // does not concern pages that http.cors allows
	}
	if err := c.Next(); err != nil || !read {
		return err
	}
	// What depends on who asks is for nobody else (RFC 9111 §5.2.2). A shared cache
	// would not see a client certificate.
	_, known := c.Locals(callerLocal).(*auth.Caller)
	own := known || c.Response().StatusCode() == fiber.StatusUnauthorized
	if own {
		c.Vary(fiber.HeaderAuthorization)
	}
	switch {
	case len(c.Response().Header.Peek(fiber.HeaderETag)) > 0:
		if own {
			c.Set(fiber.HeaderCacheControl, "private, no-cache")
		}
	case own || strings.HasPrefix(c.Path(), "/v1/"):
		c.Set(fiber.HeaderCacheControl, "no-store")
	}
	return nil
}
