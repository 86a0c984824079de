package api

import (
	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
)

// acceptable is what a dry run says of data that would be accepted.
type acceptable struct {
	Valid   bool    `json:"valid"`
	Type    string  `json:"type"`
	Version string  `json:"version"`
	Topic   string  `json:"topic"`
	Key     *string `json:"key"` // null for a type without entity
}

// validate is POST /v1/event-types/{type}/validate: a dry run. It answers as a POST of
// the event with an Idempotency-Key would, with the same problem if it is refused.
func (s *Server) validate(c *fiber.Ctx) error {
	req, limit, err := s.eventType(c)
	if err == nil {
		req.Data, err = s.readBody(c, limit)
	}
	if err != nil {
		return s.writeProblem(c, err, false)
	}
	req.Identity.Kind = event.IdentityKey // nothing is written, so no key is needed
	plan := ingest.NewPlan(s.catalog.Set(), &req)
	if plan.Problem != nil {
		return s.writeProblem(c, plan.Problem, false)
	}
	return writeJSON(c, fiber.StatusOK, acceptable{true, plan.Definition.Type, plan.Definition.Version, plan.Topic, plan.Key})
}
