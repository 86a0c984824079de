package app

import (
	"context"
	"fmt"
	"os"
	"time"

	"eventgateway/internal/auth"
	"eventgateway/internal/config"
	"eventgateway/internal/filewatch"
	"eventgateway/internal/idempotency"
	"eventgateway/internal/rate"
)

const (
	// clientsInterval is between two looks at the configuration file.
	clientsInterval = time.Second
	// rateWait bounds how long a call waits until it is counted in Redis.
	rateWait = 50 * time.Millisecond
)

// authenticate builds what authenticates callers, unless everybody may call.
func (a *App) authenticate() error {
	if a.cfg.Auth.None {
		return nil
	}
	ctx, end := context.WithCancel(context.Background())
	a.stages.add("token keys", func(context.Context) error {
		end()
		if a.auth != nil {
			a.auth.Wait()
		}
		return nil
	})
	var err error
	a.auth, err = auth.New(ctx, auth.Config{Clients: clientsOf(a.cfg.Auth), Tokens: tokensOf(a.cfg.Auth), CertificateNames: a.cfg.HTTP.TLS.ClientNames}, a.logger)
	if err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	return nil
}

// limitRates builds what counts the calls of clients. Without any rate it costs
// nothing, and a rate may come with a reload.
func (a *App) limitRates() {
	a.rates = rate.New(rate.Config{Wait: rateWait}, rate.NewRedis(a.rdb, a.installationTag), a.logger, rate.NewMetrics(a.registry))
	a.rates.Replace(limitsOf(a.cfg.Auth))
	a.stages.add("rates", func(context.Context) error {
		a.rates.Close()
		return nil
	})
}

// installationTag is what stands for the installation in keys, empty until it is known.
func (a *App) installationTag() string {
	if name := a.installation(); name != "" {
		return idempotency.InstallationTag(name)
	}
	return ""
}

// watchClients reads auth.clients and auth.jwt.rate again whenever the configuration
// file changes, until ctx ends: a key that leaked must be refused at once, without a
// restart. Everything else in the file waits for a restart. A file that is not valid
// changes nothing.
func (a *App) watchClients(ctx context.Context) {
	if a.auth == nil || a.cfg.File == "" {
		return
	}
	look := func() filewatch.Stamp { return filewatch.Files(a.cfg.File) }
	filewatch.Watch(ctx, clientsInterval, look(), look, a.reloadClients)
}

func (a *App) reloadClients() {
	cfg, err := config.Load(a.cfg.File, os.Environ())
	switch {
	case err != nil:
		a.logger.Error("configuration refused, the clients stay as they are", "file", a.cfg.File, "error", err)
	case cfg.Auth.None:
		a.logger.Error("auth: none takes a restart, the clients stay as they are", "file", a.cfg.File)
	default:
		a.auth.Replace(clientsOf(cfg.Auth))
		limits := limitsOf(cfg.Auth)
		limits.Tokens = tokenLimits(a.cfg.Auth, cfg.Auth)
		a.rates.Replace(limits)
		a.logger.Info("clients reloaded", "clients", len(cfg.Auth.Clients))
	}
}
