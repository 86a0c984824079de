package api

import (
	"github.com/gofiber/fiber/v2"
)

// The handshake of the CloudEvents web hook specification, §4: a sender asks
// whether it may deliver here, and at what rate.
const (
	headerRequestOrigin = "WebHook-Request-Origin"
	headerAllowedOrigin = "WebHook-Allowed-Origin"
	headerRequestRate   = "WebHook-Request-Rate"
	headerAllowedRate   = "WebHook-Allowed-Rate"
)

// handshake is OPTIONS where events are delivered. Every origin may deliver: who
// may publish is decided when an event comes, by its credentials or signature. A
// callback, WebHook-Request-Callback, is not called: the answer is the grant.
func (s *Server) handshake(c *fiber.Ctx) error {
	c.Set(fiber.HeaderAllow, "POST, OPTIONS")
	h := &c.Request().Header
	if origin := h.Peek(headerRequestOrigin); len(origin) > 0 && len(origin) <= 253 {
		c.Set(headerAllowedOrigin, string(origin))
		if len(h.Peek(headerRequestRate)) > 0 {
			c.Set(headerAllowedRate, "*")
		}
	}
	c.Status(fiber.StatusOK)
	return nil
}
