package api

import (
	"context"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/event"
)

const identityHelp = "Ask for one event: ?idempotency_key=… as it was sent, or ?source=…&id=… of the CloudEvent."

// getReceipt is GET /v1/receipts: what became of an event of this client.
func (s *Server) getReceipt(c *fiber.Ctx) error {
	identity, err := askedIdentity(c)
	if err != nil {
		return s.writeProblem(c, err, true)
	}
	receipt, err := s.door.Receipt(context.Background(), anonymous, identity)
	if err != nil {
		return s.writeProblem(c, err, true)
	}
	return writeReceipt(c, fiber.StatusOK, receipt)
}

// askedIdentity reads the query as an event's headers would be read.
func askedIdentity(c *fiber.Ctx) (event.Identity, error) {
	var given [3]string
	for i, name := range []string{"idempotency_key", "source", "id"} {
		values := c.Context().QueryArgs().PeekMulti(name)
		if len(values) > 1 {
			return event.Identity{}, event.Refuse(event.MalformedRequest, "The query parameter %s is there %d times. %s", name, len(values), identityHelp)
		}
		if len(values) == 1 {
			given[i] = string(values[0])
		}
	}
	key, source, id := given[0], given[1], given[2]
	switch {
	case key != "" && source == "" && id == "":
		return keyIdentity(key)
	case key == "" && source != "" && id != "":
		return event.Identity{Kind: event.IdentityCloudEvent, Parts: []string{source, id}}, nil
	}
	return event.Identity{}, event.Refuse(event.MalformedRequest, "%s", identityHelp)
}
