package api

import (
	"github.com/gofiber/fiber/v2"
)

// verdict is what a dry run says of data that would be accepted.
type verdict struct {
	Valid   bool    `json:"valid"`
	Type    string  `json:"type"`
	Version string  `json:"version"`
	Topic   string  `json:"topic"`
	Key     *string `json:"key"` // null for a type without entity
}

// validate is POST /v1/event-types/{type}/validate: a dry run. What a POST of the
// event would be refused for, this is refused for, with the same problem.
func (s *Server) validate(c *fiber.Ctx) error {
	req, limit, err := s.eventType(c)
	if err == nil {
		req.Data, err = s.readBody(c, limit)
	}
	if err != nil {
		return s.writeProblem(c, err, false)
	}
	checked, err := s.catalog.Set().Check(req.Type, req.Version, req.Data)
	if err != nil {
		return s.writeProblem(c, err, false)
	}
	def := checked.Definition
	return writeJSON(c, fiber.StatusOK, verdict{true, def.Type, def.Version, def.Topic, checked.Key})
}
