package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"eventgateway/internal/budget"
	"eventgateway/internal/describe"
	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/intake"
	"eventgateway/internal/rate"
	"eventgateway/internal/schema"
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
	Set() *schema.Set // the event types at this moment
}

// Config sets the server up.
type Config struct {
	intake.Limits
	Budget *budget.Budget // what requests may cost together; nil: one of Limits.InFlight
	TLS    *tls.Config    // nil: plain HTTP
	// AllowsHost says whether a Host header names this gateway; nil: every one does.
	AllowsHost func(host string) bool
	// TrustsClient says whether one of the chains that were verified when a client connected
	// is still good: authorities change, and certificates expire. nil: always.
	TrustsClient func(chains [][]*x509.Certificate) bool
	PublicURL    string // where clients reach the gateway; empty: as their requests say
	OpenAPI      *describe.Base
	Webhooks     map[string]Webhook // by name
	Auth         Authenticator      // nil: everybody is the same client, "anonymous"
	Rates        Limiter            // nil: clients may call as often as they like
	Origins      []string           // whose pages may call from a browser; "*" alone: all
	// OriginHeaders are headers that those pages may send besides the usual ones; "*"
	// alone: all.
	OriginHeaders []string
	// StrangerRate limits calls without valid credentials, WebhookRate those of webhooks, of
	// each address. Zero: no limit.
	StrangerRate, WebhookRate rate.Limit
	// TrustedProxies may say, in X-Forwarded-… headers, who calls.
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
	intake  *intake.Intake
	stop    context.CancelFunc // of calls that wait for their rate

	budget    *budget.Budget
	answers   *answers
	exchanges exchanges
	access    *access
	origins   *origins
	site      *site
	webhooks  *webhooks
	reporter  reporter
}

// New returns a server that is ready to serve.
func New(cfg Config, door Door, catalog Catalog, logger *slog.Logger, reg prometheus.Registerer) *Server {
	s := &Server{cfg: cfg, door: door, catalog: catalog, logger: logger, metrics: newMetrics(reg), reporter: reporter{logger}}
	if s.budget = cfg.Budget; s.budget == nil {
		s.budget = budget.New(cfg.InFlight)
	}
	s.answers = newAnswers(s.budget)
	var serving context.Context
	serving, s.stop = context.WithCancel(context.Background())
	s.access = newAccess(serving, cfg, s.metrics, logger)
	s.origins = newOrigins(cfg, s.access)
	s.site = newSite(cfg, catalog, s.access)
	s.webhooks = &webhooks{cfg.Webhooks, s.budget, cfg.BodyLimit, s.access.addresses, s.metrics, logger, s.reporter}
	s.app = fiber.New(fiber.Config{
		AppName:               "event gateway",
		DisableStartupMessage: true,
		CaseSensitive:         true,
		StrictRouting:         true,
		ErrorHandler:          s.unanswered,
	})
	s.routes()
	s.origins.patterns = routePatterns(s.app)
	s.intake = intake.New(intake.Config{
		Limits: cfg.Limits, Budget: s.budget, TLS: cfg.TLS, Handler: s.app.Handler(), Methods: s.app.Config().RequestMethods,
		Refuse: s.refuse, ConnectionRefused: func(limit string) { s.metrics.unconnected.WithLabelValues(limit).Inc() }, Logger: logger,
	})
	s.observeIntake(reg)
	return s
}

// routes is the whole public surface. openapi.yaml describes the same, and a test
// compares the two. Only handlers behind publish can pass events to the door.
func (s *Server) routes() {
	access, site := s.access, s.site
	limitWebhooks := access.limitWebhooks(s.cfg.Webhooks)
	s.app.Use(s.observe, securityHeaders(s.cfg), s.checkHost, s.origins.crossOrigin)
	v1 := s.app.Group("/v1")
	v1.Post("/events", access.identify, access.limit, s.publish(s.postCloudEvent))
	v1.Options("/events", access.limitStrangers, handshake)
	v1.Post("/events/:type", access.identify, access.limit, s.publish(s.postEvent))
	v1.Post("/events/:type/:version", access.identify, access.limit, s.publish(s.postEvent))
	v1.Delete("/events/:type/:version", access.identify, access.limit, s.publish(s.deleteEntity))
	v1.Post("/webhooks/:source", limitWebhooks, s.publish(s.webhooks.post)) // identified by its signature
	v1.Options("/webhooks/:source", limitWebhooks, s.webhooks.handshake)
	v1.Get("/webhooks/:source", limitWebhooks, s.webhooks.register)  // and HEAD
	v1.Get("/receipts", access.identify, access.limit, s.getReceipt) // may read Kafka; other GETs are reads
	v1.Get("/event-types", access.identify, access.limitReads, site.listEventTypes)
	v1.Get("/event-types/:type", access.identify, access.limitReads, site.getEventType)
	v1.Get("/event-types/:type/schema", access.identifyReader, access.limitReads, site.getSchema)
	v1.Post("/event-types/:type/validate", access.identify, access.limit, s.validate)
	s.app.Get("/problems", access.limitStrangers, listProblems)
	s.app.Get("/problems/:slug", access.limitStrangers, getProblem)
	s.app.Get("/", access.identifyReader, access.limitReads, site.getLanding)
	s.app.Get("/docs", access.identifyReader, access.limitReads, site.getDocs)
	s.app.Get("/docs/assets/:file", access.limitStrangers, site.getAsset)
	s.app.Get("/openapi.json", access.identifyReader, access.limitReads, site.getOpenAPI)
	s.app.Get("/openapi.yaml", access.identifyReader, access.limitReads, site.sendDocument((*seen).openYAML))
	s.app.Get("/asyncapi.json", access.identifyReader, access.limitReads, site.sendDocument((*seen).async))
}

// Serve answers on ln, which it closes, until Shutdown. Call it once.
func (s *Server) Serve(ln net.Listener) error { return s.intake.Serve(ln) }

// Shutdown stops accepting and waits for requests in progress until ctx ends. It may
// come before Serve, which then returns at once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	return s.intake.Shutdown(ctx)
}

// refuse answers and counts a request that reaches no route.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, e *event.Error) {
	c := s.app.AcquireCtx(ctx)
	defer s.app.ReleaseCtx(c)
	s.origins.allow(c)
	s.metrics.requests.WithLabelValues("", statusLabel(problems[e.Kind].status)).Inc()
	_ = s.reporter.write(c, e, hasKey(c)) // encoding a problem does not fail
}

// unanswered answers a request whose problem could not be written.
func (s *Server) unanswered(c *fiber.Ctx, err error) error {
	return s.reporter.write(c, event.Failure(err), hasKey(c))
}
