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
	"eventgateway/internal/config"
	"eventgateway/internal/describe"
	"eventgateway/internal/event"
	"eventgateway/internal/idempotency"
	"eventgateway/internal/ingest"
	"eventgateway/internal/publish"
	"eventgateway/internal/rate"
	"eventgateway/internal/redis"
	"eventgateway/internal/schema"
)

const (
	// claimTimeout bounds one question to Redis on a caller's path.
	claimTimeout = 2 * time.Second
	// settleTime bounds how long a stop waits for claims to be settled.
	settleTime = 5 * time.Second
	// stopMargin is added to the delivery time-out for requests under way.
	stopMargin = 3 * time.Second
	// writeTimeout bounds how long a client may take to read an answer.
	writeTimeout = 30 * time.Second
)

// App is a whole gateway.
type App struct {
	cfg      *config.Config
	logger   *slog.Logger
	registry *prometheus.Registry
	catalog  *schema.Catalog
	producer *publish.Producer
	rdb      redis.Client
	store    *idempotency.Store
	api      *api.Server
	auth     *auth.Authenticator // nil: everybody may call
	endAuth  context.CancelFunc
	rates    *rate.Limiter
	admin    *admin.Server
	ready    atomic.Bool

	public, private net.Listener
}

// New builds a gateway and opens its listeners, so that Addr is known and a
// port that is taken is an error at once. It connects to nothing yet.
func New(cfg *config.Config, openAPI []byte, logger *slog.Logger) (*App, error) {
	a := &App{cfg: cfg, logger: logger, registry: prometheus.NewRegistry()}
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := a.build(openAPI); err != nil {
		a.discard()
		return nil, err
	}
	if err := a.listen(); err != nil {
		a.discard()
		return nil, err
	}
	return a, nil
}

func (a *App) build(openAPI []byte) error {
	cfg := a.cfg
	webhooks, err := webhookSources(cfg)
	if err != nil {
		return fmt.Errorf("the configuration cannot be used:\n%w", err)
	}
	a.producer, err = publish.New(producerConfig(cfg), a.logger, publish.NewMetrics(a.registry))
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	a.catalog, err = schema.New(schema.Config{
		Dir: cfg.Schemas.Dir, Watch: cfg.Schemas.Watch,
		OnChange: a.schemasChanged,
	}, a.logger, a.registry)
	if err != nil {
		return fmt.Errorf("schemas: %w", err)
	}
	a.producer.SetTopics(topics(cfg, a.catalog.Set()))
	client, err := redisConfig(cfg.Redis)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	a.rdb = redis.New(client)
	a.store = idempotency.New(storeConfig(cfg), a.rdb, a.logger, idempotency.NewMetrics(a.registry))
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
	description, err := describe.NewBase(openAPI)
	if err != nil {
		return err
	}
	if err := a.authenticate(); err != nil {
		return err
	}
	a.limitRates()
	publicAPI := api.Config{
		BodyLimit: int(cfg.HTTP.BodyLimit.Bytes()), InFlight: cfg.HTTP.InFlightLimit.Bytes(), ReadTimeout: cfg.HTTP.ReadTimeout, WriteTimeout: writeTimeout,
		Connections: cfg.HTTP.MaxConnections, PerAddress: cfg.HTTP.MaxConnectionsPerAddress,
		PublicURL: cfg.HTTP.PublicURL, OpenAPI: description, Webhooks: webhooks,
		Origins: cfg.HTTP.CORS.Origins, TrustedProxies: prefixes(cfg.HTTP.TrustedProxies),
	}
	if publicAPI.TLS, err = publicTLS(cfg.HTTP.TLS, a.logger); err != nil {
		return err
	}
	checks := map[string]func(context.Context) error{"kafka": a.producer.Ping, "redis": a.store.Ping}
	if a.auth != nil {
		publicAPI.Auth, publicAPI.Rates = a.auth, a.rates
		checks["auth"] = a.auth.Ready
	}
	a.api = api.New(publicAPI, door, a.catalog, a.logger, a.registry)
	a.admin = admin.New(a.registry, &a.ready, checks)
	return nil
}

func (a *App) listen() error {
	var err error
	if a.public, err = net.Listen("tcp", a.cfg.HTTP.Listen); err != nil {
		return fmt.Errorf("http.listen: %w; stop what holds the port, or choose another with --listen", err)
	}
	if a.private, err = net.Listen("tcp", a.cfg.Admin.Listen); err != nil {
		return fmt.Errorf("admin.listen: %w; stop what holds the port, or choose another with --admin-listen", err)
	}
	return nil
}

// discard undoes a New that failed.
func (a *App) discard() {
	if a.endAuth != nil {
		a.endAuth()
	}
	if a.producer != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		a.producer.Close(ctx)
	}
	if a.rates != nil {
		a.rates.Close()
	}
	if a.rdb != nil {
		_ = a.rdb.Close()
	}
	if a.public != nil {
		_ = a.public.Close()
	}
}

// Addr is the public listener's address, AdminAddr the admin listener's.
func (a *App) Addr() string { return a.public.Addr().String() }

// AdminAddr is the admin listener's address.
func (a *App) AdminAddr() string { return a.private.Addr().String() }

// Sample is an event type and valid data for it, to show how to publish:
// preferred if it is loaded, else the first that has an example.
func (a *App) Sample(preferred string) (eventType string, data []byte) {
	for _, t := range a.catalog.Types() {
		if len(t.Examples) > 0 && (data == nil || t.Name == preferred) {
			eventType, data = t.Name, t.Examples[0]
		}
	}
	return eventType, data
}

// AwaitReady waits until keyed events of all event types can be written, or ctx
// ends: until Kafka has answered and has their topics, and Redis has what it should
// remember.
func (a *App) AwaitReady(ctx context.Context) {
	poll(ctx, readyPoll, func() bool { return a.producer.Complete() && a.store.Ready() })
}

const readyPoll = 20 * time.Millisecond

// Run serves until ctx ends or a listener fails, then stops in order. It
// returns nil after an orderly stop.
func (a *App) Run(ctx context.Context) error {
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	storing, stopStoring := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	defer stopStoring()

	var watchers, storer, servers sync.WaitGroup
	watchers.Go(func() { a.producer.Run(background) })
	watchers.Go(func() {
		if err := a.catalog.Run(background); err != nil && !errors.Is(err, context.Canceled) {
			a.logger.Error("watching schemas stopped", "error", err)
		}
	})
	watchers.Go(func() { idempotency.NewRebuilder(a.store, a.producer).Guard(background) })
	watchers.Go(func() { a.watchClients(background) })
	storer.Go(func() { a.store.Run(storing, settleTime) })

	failed := make(chan error, 2)
	servers.Go(func() { failed <- a.api.Serve(a.public) })
	servers.Go(func() { failed <- a.admin.Serve(a.private) })
	a.ready.Store(true)
	a.logger.Info("gateway started", "listen", a.Addr(), "admin", a.AdminAddr(), "guarantee", a.cfg.Kafka.Guarantee)

	var failure error
	select {
	case <-ctx.Done():
	case failure = <-failed:
		a.logger.Error("listener failed", "error", failure)
	}

	// not ready → drain → settle → flush → close
	begun := time.Now()
	a.ready.Store(false)
	a.logger.Info("gateway stops: finishing requests under way")
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.Kafka.DeliveryTimeout+stopMargin)
	defer cancel()
	if err := a.api.Shutdown(drain); err != nil {
		a.logger.Warn("requests were still under way when time was up", "error", err)
	}
	stopStoring()
	stopBackground()
	a.endAuth()
	storer.Wait()
	watchers.Wait()
	a.producer.Close(drain)
	a.rates.Close()
	_ = a.rdb.Close()
	a.admin.Shutdown()
	servers.Wait()
	a.logger.Info("gateway stopped", "took", time.Since(begun).Round(time.Millisecond))
	return failure
}
