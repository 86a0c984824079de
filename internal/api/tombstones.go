package api

import (
	"errors"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
)

// allowDelete keeps DELETE in the Allow header of a path only where an event type of this
// name has tombstones. Whether it does, and whether it exists, is not told to strangers: if
// callers must authenticate, DELETE is left out, because nobody was identified yet.
func (s *Server) allowDelete(c *fiber.Ctx) {
	const last = ", " + fiber.MethodDelete
	allow := c.GetRespHeader(fiber.HeaderAllow)
	others, has := strings.CutSuffix(allow, last)
	if !has {
		return
	}
	if parts := strings.Split(c.Path(), "/"); s.access.auth == nil && len(parts) == len([]string{"", "v1", "events", "type", "key"}) {
		if def, err := s.catalog.Lookup(parts[3], ""); err == nil && def.Tombstones {
			return
		}
	}
	c.Set(fiber.HeaderAllow, others)
}

// deleteEntity is DELETE /v1/events/{type}/{key}[?version=]: it publishes a tombstone, a
// record without a value under the entity key. It is an event like any other, with
// identity, claim and receipt. The path's last parameter is called version because an
// OpenAPI path has one name for all methods.
func (s *Server) deleteEntity(c *fiber.Ctx, p publication) error {
	caller := s.access.caller(c)
	req := ingest.Request{Client: caller.Name, Type: strings.Clone(c.Params("type"))}
	if err := s.access.permit(c, caller, req.Type); err != nil {
		return err
	}
	key, err := url.PathUnescape(strings.Clone(c.Params("version")))
	if err != nil {
		return event.Refuse(event.MalformedRequest, "The entity key in the path is not percent-encoded (RFC 3986 §2.1).")
	}
	req.Tombstone = &key
	if req.Version, err = queriedVersion(c); err != nil {
		return err
	}
	h := &c.Request().Header
	if req.Attributes, err = attributes(h, req.Type); err != nil {
		return err
	}
	if req.Identity, err = identity(h, req); err != nil {
		return err
	}
	if exchangeOf(c).body.Declared() {
		return event.Refuse(event.MalformedRequest, "A DELETE has no body here: it publishes a record without a value. To say more, POST an event.")
	}
	if req.Headers, err = s.recordHeaders(c, req); err != nil {
		return err
	}
	err = writeAccepted(c, p, req)
	var refused *event.Error
	if errors.As(err, &refused) && refused.Kind == event.MethodNotAllowed {
		c.Set(fiber.HeaderAllow, fiber.MethodPost) // RFC 9110 §15.5.6: the path may name a version, too
	}
	return err
}
