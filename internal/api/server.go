package api

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"eventgateway/internal/auth"
	"eventgateway/internal/describe"
	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/schema"
)

const (
	// HeaderLimit is the largest header block, in bytes (design section 5).
	HeaderLimit = 16 << 10
	// idleTimeout closes kept-alive connections that say nothing, unless told otherwise.
	idleTimeout = 2 * time.Minute
)

// Door is the way in for events.
type Door interface {
	Accept(ctx context.Context, r ingest.Request) (ingest.Result, error)
	AcceptBatch(ctx context.Context, rs []ingest.Request) []ingest.BatchResult
	Receipt(ctx context.Context, client string, identity event.Identity) (event.Receipt, error)
}

// Catalog knows the event types.
type Catalog interface {
	Lookup(eventType, version string) (*event.Definition, error)
	Types() []schema.EventType
	Schema(eventType, version string) ([]byte, error)
	Set() *schema.Set // the event types at this moment
}

// Config sets the server's limits.
type Config struct {
	BodyLimit    int           // bytes of one request's body, as it is sent and as it is inflated
	InFlight     int64         // bytes of the bodies of all requests under way
	Connections  int           // open at once; 0: no limit
	PerAddress   int           // of them from one IPv4 address or IPv6 /64; 0: no limit
	ReadTimeout  time.Duration // for a whole request to arrive
	WriteTimeout time.Duration // for an answer to be taken
	IdleTimeout  time.Duration // between requests; 0: two minutes
	PublicURL    string        // where clients reach the gateway; empty: as their requests say
	OpenAPI      *describe.Base
	Webhooks     map[string]Webhook // by name
	Auth         Authenticator      // nil: everybody is the same client, "anonymous"
	Rates        Limiter            // nil: clients may call as often as they like
	TLS          *tls.Config        // nil: plain HTTP
	Origins      []string           // whose pages may call from a browser; "*" alone: all
	// TrustedProxies are believed what they say of who calls.
	TrustedProxies []netip.Prefix
}

// Server is the public HTTP server.
type Server struct {
	cfg     Config
	door    Door
	catalog Catalog
	logger  *slog.Logger
	metrics *metrics
	app     *fiber.App

	admission   admission
	bodies      sync.Pool // of *body
	buffers     buffers
	inflaters   inflaters
	connections connections

	anonymous *auth.Caller
	patterns  map[string][][]string // of routes, by method
	views     views
	assets    func() (map[string]file, error) // of the pages, read when first asked for

	mu      sync.Mutex
	stopped bool          // Shutdown was called
	serving chan struct{} // closed once Serve can be shut down; nil before Serve
}

// New returns a server that is ready to serve.
func New(cfg Config, door Door, catalog Catalog, logger *slog.Logger, reg prometheus.Registerer) *Server {
	s := &Server{cfg: cfg, door: door, catalog: catalog, logger: logger, metrics: newMetrics(reg)}
	s.admission.limit, s.inflaters = cfg.InFlight, newInflaters()
	s.connections.most, s.connections.mostPerAddress = cfg.Connections, cfg.PerAddress
	s.observeIntake(reg)
	s.anonymous, s.views.base, s.assets = auth.Anonymous(), cfg.OpenAPI, sync.OnceValues(loadAssets)
	s.app = fiber.New(fiber.Config{
		AppName:                      "event gateway",
		DisableStartupMessage:        true,
		CaseSensitive:                true,
		StrictRouting:                true,
		StreamRequestBody:            true, // read where it is wanted: body.go
		ReadBufferSize:               HeaderLimit,
		ReadTimeout:                  cfg.ReadTimeout,
		WriteTimeout:                 cfg.WriteTimeout,
		IdleTimeout:                  cmp.Or(cfg.IdleTimeout, idleTimeout),
		DisablePreParseMultipartForm: true,
		ErrorHandler:                 s.serverError,
	})
	s.app.Server().CloseOnShutdown = true
	s.app.Server().HeaderReceived = headerReceived
	s.app.Server().Handler = s.receive(s.app.Server().Handler)
	s.routes()
	s.patterns = routePatterns(s.app)
	return s
}

// routes is the whole public surface. openapi.yaml says the same, and a test
// holds the two together.
func (s *Server) routes() {
	s.app.Use(s.observe, s.secure, s.crossOrigin)
	v1 := s.app.Group("/v1")
	v1.Post("/events", s.identify, s.limit, s.postCloudEvent)
	v1.Options("/events", s.handshake)
	v1.Post("/events/:type", s.identify, s.limit, s.postEvent)
	v1.Post("/events/:type/:version", s.identify, s.limit, s.postEvent)
	v1.Post("/webhooks/:source", s.postWebhook) // a signature says who it is
	v1.Options("/webhooks/:source", s.webhookHandshake)
	v1.Get("/receipts", s.identify, s.limit, s.getReceipt) // which may look into Kafka; other GETs are answered from memory
	v1.Get("/event-types", s.identify, s.listEventTypes)
	v1.Get("/event-types/:type", s.identify, s.getEventType)
	v1.Get("/event-types/:type/schema", s.identifyReader, s.getSchema)
	v1.Post("/event-types/:type/validate", s.identify, s.limit, s.validate)
	s.app.Get("/problems", s.listProblems)
	s.app.Get("/problems/:slug", s.getProblem)
	s.app.Get("/", s.identifyReader, s.getLanding)
	s.app.Get("/docs", s.identifyReader, s.getDocs)
	s.app.Get("/docs/assets/:file", s.getAsset)
	s.app.Get("/openapi.json", s.identifyReader, s.getOpenAPI)
	s.app.Get("/openapi.yaml", s.identifyReader, s.sendDocument(func(d described) (file, error) { return d.openYAML() }))
	s.app.Get("/asyncapi.json", s.identifyReader, s.sendDocument(func(d described) (file, error) { return d.async() }))
}

// Serve answers on ln, which it closes, until Shutdown. Call it once.
func (s *Server) Serve(ln net.Listener) error {
	serving := make(chan struct{})
	begun := sync.OnceFunc(func() { close(serving) })
	defer begun()
	s.mu.Lock()
	s.serving = serving
	stopped := s.stopped
	s.mu.Unlock()
	if stopped {
		return ln.Close()
	}
	// fasthttp ignores a shutdown before it has taken up the listener, which it
	// has when it accepts.
	ln = listener{ln, begun, &s.connections, func(reason string) { s.metrics.unconnected.WithLabelValues(reason).Inc() }}
	if s.cfg.TLS != nil {
		ln = tls.NewListener(ln, s.cfg.TLS)
	}
	if err := s.app.Listener(ln); err != nil {
		return fmt.Errorf("serve http: %w", err)
	}
	return nil
}

// Shutdown stops accepting and waits for requests under way until ctx ends. It
// may come before Serve, which then returns at once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	serving := s.serving
	s.mu.Unlock()
	if serving != nil {
		select {
		case <-serving:
		case <-ctx.Done():
		}
	}
	if err := s.app.ShutdownWithContext(ctx); err != nil {
		return fmt.Errorf("shut http down: %w", err)
	}
	return nil
}

// serverError answers requests that fasthttp could not read.
func (s *Server) serverError(c *fiber.Ctx, err error) error {
	return s.unhandled(c, s.problemOf(c, err))
}

// unhandled answers and counts what reached no handler of ours.
func (s *Server) unhandled(c *fiber.Ctx, e *event.Error) error {
	s.allowOrigin(c)
	s.metrics.requests.WithLabelValues("", statusLabel(problems[e.Kind].status)).Inc()
	return s.writeProblem(c, e, hasKey(c))
}

// problemOf turns errors of fiber and fasthttp, and errors that a handler did
// not expect, into problems.
func (s *Server) problemOf(c *fiber.Ctx, err error) *event.Error {
	status := fiber.StatusInternalServerError
	var fe *fiber.Error
	if errors.As(err, &fe) {
		status = fe.Code
	}
	switch status {
	case fiber.StatusNotFound:
		return event.Refuse(event.NotFound,
			"There is nothing at this path. Events are posted to /v1/events/{type}; /v1/event-types lists the types and /docs describes everything.")
	case fiber.StatusMethodNotAllowed:
		return event.Refuse(event.MethodNotAllowed, "%s is not allowed here; allowed is: %s.", methodName(c), c.GetRespHeader(fiber.HeaderAllow))
	case fiber.StatusRequestHeaderFieldsTooLarge:
		lingerOnClose(c.Context())
		return event.Refuse(event.HeadersTooLarge, "The request line and headers are larger than %d bytes together.", HeaderLimit)
	case fiber.StatusRequestTimeout:
		lingerOnClose(c.Context())
		return s.tooSlow()
	case fiber.StatusBadRequest, fiber.StatusBadGateway:
		return event.RefuseCause(event.MalformedRequest, err, "The request is not well-formed HTTP.")
	}
	return failure(c, err)
}

func (s *Server) tooSlow() *event.Error {
	return event.Refuse(event.RequestTimeout, "The request did not arrive within %s.", s.cfg.ReadTimeout)
}

// failure is an error in the gateway itself. Behind a POST of an event, it may have
// been written before; nothing else writes.
func failure(c *fiber.Ctx, cause error) *event.Error {
	e := event.Failure(cause)
	if c.Method() != fiber.MethodPost || !strings.HasPrefix(c.Path(), "/v1/events") && !strings.HasPrefix(c.Path(), "/v1/webhooks/") {
		e.Outcome = event.NotWritten
	}
	return e
}

// hasKey guesses from the headers alone whether a retry would be recognised,
// where the request was not read to its end.
func hasKey(c *fiber.Ctx) bool {
	h := &c.Request().Header
	return len(h.Peek(headerIdempotencyKey)) > 0 || len(h.Peek("ce-id")) > 0 ||
		strings.HasPrefix(string(h.ContentType()), "application/cloudevents") // whose events all have an id
}
