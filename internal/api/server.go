package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/schema"
)

const (
	// headerLimit is the largest header block (design section 5).
	headerLimit = 16 << 10
	// idleTimeout closes kept-alive connections that say nothing.
	idleTimeout = 2 * time.Minute
)

// Door is the way in for events.
type Door interface {
	Accept(ctx context.Context, r ingest.Request) (ingest.Result, error)
}

// Catalog knows the event types.
type Catalog interface {
	Lookup(eventType, version string) (*event.Definition, error)
	Types() []schema.EventType
	Schema(eventType, version string) ([]byte, error)
}

// Config sets the server's limits.
type Config struct {
	BodyLimit    int           // bytes of one request's body
	ReadTimeout  time.Duration // for a whole request to arrive
	WriteTimeout time.Duration // for an answer to be taken
	OpenAPI      []byte        // openapi.yaml, served as it is
}

// Server is the public HTTP server.
type Server struct {
	cfg     Config
	door    Door
	catalog Catalog
	logger  *slog.Logger
	metrics *metrics
	app     *fiber.App
}

// New returns a server that is ready to serve.
func New(cfg Config, door Door, catalog Catalog, logger *slog.Logger, reg prometheus.Registerer) *Server {
	s := &Server{cfg: cfg, door: door, catalog: catalog, logger: logger, metrics: newMetrics(reg)}
	s.app = fiber.New(fiber.Config{
		AppName:                      "event gateway",
		DisableStartupMessage:        true,
		CaseSensitive:                true,
		StrictRouting:                true,
		BodyLimit:                    cfg.BodyLimit,
		ReadBufferSize:               headerLimit,
		ReadTimeout:                  cfg.ReadTimeout,
		WriteTimeout:                 cfg.WriteTimeout,
		IdleTimeout:                  idleTimeout,
		DisablePreParseMultipartForm: true,
		ErrorHandler:                 s.handleError,
	})
	s.app.Server().CloseOnShutdown = true
	s.routes()
	return s
}

// routes is the whole public surface. openapi.yaml says the same, and a test
// holds the two together.
func (s *Server) routes() {
	s.app.Use(s.observe)
	v1 := s.app.Group("/v1")
	v1.Post("/events/:type", s.postEvent)
	v1.Get("/event-types", s.listEventTypes)
	v1.Get("/event-types/:type", s.getEventType)
	v1.Get("/event-types/:type/schema", s.getSchema)
	s.app.Get("/problems", s.listProblems)
	s.app.Get("/problems/:slug", s.getProblem)
	s.app.Get("/openapi.yaml", s.getOpenAPI)
}

// Serve answers on ln until Shutdown.
func (s *Server) Serve(ln net.Listener) error {
	if err := s.app.Listener(lingeringListener{ln}); err != nil {
		return fmt.Errorf("serve http: %w", err)
	}
	return nil
}

// Shutdown stops accepting and waits for requests under way until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.app.ShutdownWithContext(ctx); err != nil {
		return fmt.Errorf("shut http down: %w", err)
	}
	return nil
}

// handleError turns errors of fiber and fasthttp, which never reached a
// handler of ours, into problems.
func (s *Server) handleError(c *fiber.Ctx, err error) error {
	status := fiber.StatusInternalServerError
	var fe *fiber.Error
	if errors.As(err, &fe) {
		status = fe.Code
	}
	var e *event.Error
	switch status {
	case fiber.StatusNotFound:
		e = event.Refuse(event.NotFound,
			"There is nothing at this path. Events are posted to /v1/events/{type}; /v1/event-types lists the types and /openapi.yaml describes everything.")
	case fiber.StatusMethodNotAllowed:
		e = event.Refuse(event.MethodNotAllowed, "%s is not allowed here; allowed is: %s.", safeMethod(c), c.GetRespHeader(fiber.HeaderAllow))
	case fiber.StatusRequestEntityTooLarge:
		e = event.Refuse(event.EventTooLarge, "The body is larger than %d bytes.", s.cfg.BodyLimit)
		lingerOnClose(c)
	case fiber.StatusRequestHeaderFieldsTooLarge:
		e = event.Refuse(event.HeadersTooLarge, "The request line and headers are larger than %d bytes together.", headerLimit)
		lingerOnClose(c)
	case fiber.StatusRequestTimeout:
		e = event.Refuse(event.RequestTimeout, "The request did not arrive within %s.", s.cfg.ReadTimeout)
		lingerOnClose(c)
	case fiber.StatusBadRequest, fiber.StatusBadGateway:
		e = event.RefuseCause(event.MalformedRequest, err, "The request is not well-formed HTTP.")
	default:
		e = event.RefuseCause(event.Internal, err, "The gateway failed; the operator finds the details in its log.")
	}
	if c.Route() == nil || c.Route().Path == "" || status != fiber.StatusNotFound && status != fiber.StatusMethodNotAllowed {
		s.metrics.requests.WithLabelValues("", statusLabel(problems[e.Kind].status)).Inc()
	}
	return s.writeProblem(c, e, false)
}

// safeMethod is the request's method if it is a known one: an error answer
// does not echo what it cannot vouch for.
func safeMethod(c *fiber.Ctx) string {
	switch m := c.Method(); m {
	case fiber.MethodGet, fiber.MethodHead, fiber.MethodPost, fiber.MethodPut, fiber.MethodDelete,
		fiber.MethodConnect, fiber.MethodOptions, fiber.MethodTrace, fiber.MethodPatch:
		return m
	}
	return "This method"
}
