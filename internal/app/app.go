package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"eventgateway/internal/admin"
	"eventgateway/internal/api"
	"eventgateway/internal/auth"
	"eventgateway/internal/budget"
	"eventgateway/internal/config"
	"eventgateway/internal/delivery"
	"eventgateway/internal/describe"
	"eventgateway/internal/event"
	"eventgateway/internal/idempotency"
	"eventgateway/internal/ingest"
	"eventgateway/internal/intake"
	"eventgateway/internal/lag"
	"eventgateway/internal/outbox"
	"eventgateway/internal/publish"
	"eventgateway/internal/rate"
	"eventgateway/internal/redis"
	"eventgateway/internal/schema"
)

const (
	// claimTimeout bounds one call to Redis while a caller waits.
	claimTimeout = 2 * time.Second
	// writeTimeout bounds how long a client may take to read a response.
	writeTimeout = 30 * time.Second
	// readyInterval is between two looks at whether the gateway is ready.
	readyInterval = 20 * time.Millisecond
)

// App is a complete gateway.
type App struct {
	cfg      *config.Config
	logger   *slog.Logger
	registry *prometheus.Registry
	budget   *budget.Budget
	catalog  *schema.Catalog
	door     *ingest.Door
	producer *publish.Log
	rdb      redis.Client
	store    *idempotency.Store
	api      *api.Server
	auth     *auth.Authenticator // nil: everybody may call
	rates    *rate.Limiter
	admin    *admin.Server
	ready    atomic.Bool // started, and not stopping
	taken    *readiness
	pushes   *delivery.Set
	// pushRates are the rates of subscriptions.
	pushRates *subscriptionRates
	// subscriptions is the configuration with the subscriptions of a reload; nil: cfg.
	subscriptions   *config.Config
	subscriptionsMu sync.Mutex

	watch *preflightWatch // nil: Kafka and Redis are embedded
	// settled says that no claim of this process is unsettled, so that it may leave the
	// registry of gateways.
	settled func() bool
	relays  []*outbox.Relay
	lag     *lag.Collector // nil: consumer groups are not watched
	// relayOnly leaves the public listener closed.
	relayOnly bool

	certificates    *certificates // nil: plain HTTP
	public, private net.Listener
	stages          lifecycle
}

// New builds a gateway and opens its listeners, so that Addr is known and a
// port that is taken is an error at once. It connects to nothing yet.
func New(cfg *config.Config, openAPI []byte, logger *slog.Logger) (*App, error) {
	return newGateway(cfg, openAPI, logger, false)
}

// NewRelay is New for a gateway that relays outboxes only, and has no public listener.
func NewRelay(cfg *config.Config, openAPI []byte, logger *slog.Logger) (*App, error) {
	return newGateway(cfg, openAPI, logger, true)
}

func newGateway(cfg *config.Config, openAPI []byte, logger *slog.Logger, relayOnly bool) (*App, error) {
	a := &App{cfg: cfg, logger: logger, registry: prometheus.NewRegistry(), stages: newLifecycle(2), relayOnly: relayOnly}
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.stages.add("admin listener", a.stopAdmin) // the first stage, so that probes are answered until all others have stopped
	err := a.build(openAPI)
	if err == nil {
		err = a.listen()
	}
	if err != nil {
		return nil, errors.Join(err, a.discard())
	}
	return a, nil
}

func (a *App) build(openAPI []byte) error {
	if err := CheckConfig(a.cfg); err != nil {
		return fmt.Errorf("the configuration cannot be used:\n%w", err)
	}
	webhooks, err := webhookSources(a.cfg)
	if err != nil {
		return err // cannot happen: they were just built
	}
	if err := a.buildStores(); err != nil {
		return err
	}
	description, err := describe.NewBase(openAPI)
	if err != nil {
		return err
	}
	if err := a.authenticate(); err != nil {
		return err
	}
	if a.certificates, err = loadCertificates(a.cfg.HTTP.TLS, a.logger); err != nil {
		return err
	}
	a.buildServers(description, webhooks)
	return nil
}

// buildStores makes what events pass through: Redis, Kafka and the event types.
func (a *App) buildStores() error {
	cfg := a.cfg
	client, err := redisConfig(cfg.Redis)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	a.rdb = redis.New(client)
	a.stages.add("redis client", func(context.Context) error { return a.rdb.Close() })
	a.limitRates()
	a.producer, err = publish.New(producerConfig(cfg), a.logger, publish.NewMetrics(a.registry))
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	a.stages.add("kafka producer", func(ctx context.Context) error {
		a.producer.Close(ctx)
		return nil
	})
	a.budget = budget.New(cfg.HTTP.InFlightLimit.Bytes())
	a.catalog, err = schema.New(schema.Config{
		Dir: cfg.Schemas.Dir, Watch: cfg.Schemas.Watch,
		OnChange: a.schemasChanged, Budget: a.budget, TokenLimit: cfg.HTTP.TokenLimit,
	}, a.logger, a.registry)
	if err != nil {
		return fmt.Errorf("schemas: %w", err)
	}
	setTopics(a.producer, cfg, a.catalog.Set())
	a.store = idempotency.New(storeConfig(cfg, a.installation, generationsOf(cfg, a.producer)), a.rdb, a.logger, idempotency.NewMetrics(a.registry))
	a.settled = a.store.Settled
	if err := a.buildSubscriptions(); err != nil {
		return err
	}
	a.buildLag()
	return nil
}

// buildServers makes the door and the two servers in front of it.
func (a *App) buildServers(description *describe.Base, webhooks map[string]api.Webhook) {
	cfg := a.cfg
	door := ingest.New(ingest.Config{
		PublicURL:       cfg.HTTP.PublicURL,
		DeliveryTimeout: cfg.Kafka.DeliveryTimeout,
		Lease:           cfg.Idempotency.Lease,
		ClaimTimeout:    claimTimeout,
		OnStoreFailure:  event.StoreFailurePolicy(cfg.Idempotency.OnStoreFailure),
		OnStoreLoss:     event.StoreFailurePolicy(cfg.Idempotency.OnStoreLoss),
	}, ingest.Deps{
		Catalog: a.catalog, Claims: a.store, Settler: a.store, Log: a.producer,
		Metrics: ingest.NewMetrics(a.registry),
	})
	a.door = door
	a.buildRelays(door)
	public := api.Config{
		Limits: intake.Limits{
			BodyLimit: int(cfg.HTTP.BodyLimit.Bytes()), ReadTimeout: cfg.HTTP.ReadTimeout, WriteTimeout: writeTimeout, IdleTimeout: cfg.HTTP.IdleTimeout,
			Connections: cfg.HTTP.MaxConnections, PerAddress: cfg.HTTP.MaxConnectionsPerAddress,
		},
		Budget: a.budget, TLS: a.certificates.serverConfig(), PublicURL: cfg.HTTP.PublicURL, OpenAPI: description, Webhooks: webhooks,
		Origins: cfg.HTTP.CORS.Origins, OriginHeaders: cfg.HTTP.CORS.Headers, TrustedProxies: prefixes(cfg.HTTP.TrustedProxies),
		StrangerRate: rate.Limit(cfg.HTTP.Rates.Strangers), WebhookRate: rate.Limit(cfg.HTTP.Rates.Webhooks),
	}
	a.taken = &readiness{
		definitions: func() []event.Definition { return definitions(a.catalog.Set()) },
		topics:      a.producer, claims: a.store, logger: a.logger, taken: map[string]bool{},
		onStoreFailure: event.StoreFailurePolicy(cfg.Idempotency.OnStoreFailure),
		onStoreLoss:    event.StoreFailurePolicy(cfg.Idempotency.OnStoreLoss),
	}
	if !cfg.SoleWriter {
		a.watch = newPreflightWatch(cfg, a.catalog, a.producer, a.logger, newPreflightMetrics(a.registry))
	}
	checks := map[string]admin.Check{"kafka": a.producer.Ping, "redis": a.taken.redisReady, "claims": a.taken.claimsReady}
	public.AllowsHost = publicHosts(cfg)
	if a.certificates != nil {
		public.TrustsClient = a.certificates.trusts
	}
	if a.auth != nil {
		public.Auth, public.Rates = a.auth, a.rates
		checks["auth"] = a.auth.Ready
	}
	a.relayChecks(checks)
	judge := a.taken.judge
	if a.relayOnly {
		judge = a.judgeRelays
	}
	a.api = api.New(public, door, a.catalog, a.logger, a.registry)
	a.admin = admin.New(admin.Config{AllowsHost: adminHosts(cfg), Metrics: a.registry, Ready: a.ready.Load, Checks: checks, Judge: judge})
}

func (a *App) listen() error {
	var err error
	if !a.relayOnly {
		if a.public, err = net.Listen("tcp", a.cfg.HTTP.Listen); err != nil {
			return fmt.Errorf("http.listen: %w; stop what holds the port, or choose another with --listen", err)
		}
		a.stages.add("public listener", func(context.Context) error { return closeListener(a.public) })
	}
	if a.private, err = net.Listen("tcp", a.cfg.Admin.Listen); err != nil {
		return fmt.Errorf("admin.listen: %w; stop what holds the port, or choose another with --admin-listen", err)
	}
	return nil
}

func (a *App) stopAdmin(ctx context.Context) error {
	if a.private == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminStopTime)
	defer cancel()
	a.admin.Shutdown(ctx)
	return closeListener(a.private)
}

// closeListener closes a listener that its server may have closed already.
func closeListener(ln net.Listener) error {
	if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Addr is the public listener's address, "" if there is none.
func (a *App) Addr() string {
	if a.relayOnly {
		return ""
	}
	return a.public.Addr().String()
}

// AdminAddr is the admin listener's address.
func (a *App) AdminAddr() string { return a.private.Addr().String() }

// Sample returns an event type and valid data for it, to show how to publish: the
// preferred one if it is loaded and has an example, else the first that has one.
func (a *App) Sample(preferred string) (eventType string, data []byte) {
	for _, t := range a.catalog.Types() {
		if len(t.Examples) > 0 && (data == nil || t.Name == preferred) {
			eventType, data = t.Name, t.Examples[0]
		}
	}
	return eventType, data
}

// AwaitReady waits until keyed events of all event types whose topics exist can be
// written, or ctx ends: until Kafka has answered and made the topics that it is to make,
// and Redis has what it should remember.
func (a *App) AwaitReady(ctx context.Context) { a.taken.await(ctx) }
