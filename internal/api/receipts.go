package api

import (
	"context"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/cloudevent"
	"eventgateway/internal/event"
)

const identityHelp = "Ask for one event: ?idempotency_key=… as it was sent, with &index=… if it came in a batch, or ?source=…&id=… of the CloudEvent."

// getReceipt is GET /v1/receipts: what became of an event of this client.
func (s *Server) getReceipt(c *fiber.Ctx) error {
	identity, err := askedIdentity(c)
	if err != nil {
		return err
	}
	exchangeOf(c).keyed = true // asking again writes nothing
	receipt, err := s.door.Receipt(context.Background(), s.access.caller(c).Name, identity)
	if err != nil {
		return err
	}
	return writeReceipt(c, fiber.StatusOK, receipt)
}

// askedIdentity reads the query as an event's headers would be read.
func askedIdentity(c *fiber.Ctx) (event.Identity, error) {
	var given [4]string
	for i, name := range []string{"idempotency_key", "source", "id", "index"} {
		values := c.Context().QueryArgs().PeekMulti(name)
		if len(values) > 1 {
			return event.Identity{}, event.Refuse(event.MalformedRequest, "The query parameter %s is there %d times. %s", name, len(values), identityHelp)
		}
		if len(values) == 1 {
			given[i] = string(values[0])
		}
	}
	key, source, id, index := given[0], given[1], given[2], given[3]
	switch {
	case key != "" && source == "" && id == "" && index == "":
		return keyIdentity(key)
	case key != "" && source == "" && id == "":
		return itemIdentity(key, index)
	case key == "" && source != "" && id != "" && index == "":
		return event.Identity{Kind: event.IdentityCloudEvent, Parts: []string{source, id}}, nil
	}
	return event.Identity{}, event.Refuse(event.MalformedRequest, "%s", identityHelp)
}

// itemIdentity is that of an event in a batch that had this Idempotency-Key.
func itemIdentity(key, index string) (event.Identity, error) {
	n, err := strconv.Atoi(index)
	if err != nil || n < 0 || n >= cloudevent.MaxBatch || strconv.Itoa(n) != index {
		return event.Identity{}, event.Refuse(event.MalformedRequest, "The query parameter index is the item's place in the batch: 0, 1, 2, … %d.", cloudevent.MaxBatch-1)
	}
	id, err := keyIdentity(key)
	id.Kind, id.Index = event.IdentityBatch, index
	return id, err
}
