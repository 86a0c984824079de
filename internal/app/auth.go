package app

import (
	"context"
	"fmt"
	"os"
	"time"

	"eventgateway/internal/auth"
	"eventgateway/internal/config"
	"eventgateway/internal/rate"
)

// clientsInterval is between two looks at the configuration file.
const clientsInterval = time.Second

// authenticate makes what knows the callers, unless everybody may call.
func (a *App) authenticate() error {
	ctx, end := context.WithCancel(context.Background())
	a.endAuth = end
	if a.cfg.Auth.None {
		return nil
	}
	known := auth.Config{Clients: clientsOf(a.cfg.Auth)}
	if j := a.cfg.Auth.JWT; j != nil {
		client, events := j.Claims()
		known.Tokens = &auth.TokenConfig{
			Issuer: j.Issuer, Audience: j.Audience, KeysURL: j.JWKSURL, ClientClaim: client, EventsClaim: events,
		}
	}
	var err error
	a.auth, err = auth.New(ctx, known, func(err error) {
		a.logger.Error("fetching the keys of tokens failed: tokens with a new key are refused", "url", a.cfg.Auth.JWT.JWKSURL, "error", err)
	})
	if err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	return nil
}

// clientsOf is the list of a configuration that is valid.
func clientsOf(a config.Auth) []auth.Client {
	clients := make([]auth.Client, 0, len(a.Clients))
	for _, c := range a.Clients {
		client := auth.Client{Name: c.Name, Certificates: c.Certificates, Events: c.Events}
		for _, k := range c.Keys {
			hash, _ := auth.ParseHash(k.Hash)
			expires, _ := k.ExpiresAt()
			client.Keys = append(client.Keys, auth.Key{Hash: hash, Expires: expires})
		}
		clients = append(clients, client)
	}
	return clients
}

// watchClients takes over auth.clients and auth.jwt.rate whenever the configuration file changes,
// until ctx ends: a key that leaked must be out at once, without a restart. All
// else in the file waits for one. A file that is not valid changes nothing.
func (a *App) watchClients(ctx context.Context) {
	if a.auth == nil || a.cfg.File == "" {
		return
	}
	ticker := time.NewTicker(clientsInterval)
	defer ticker.Stop()
	seen := stamp(a.cfg.File)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := stamp(a.cfg.File)
		if now == seen {
			continue
		}
		seen = now
		a.reloadClients()
	}
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
		if was := a.cfg.Auth.JWT; was != nil && cfg.Auth.JWT == nil { // tokens are believed until a restart
			limits.Tokens = rate.Limit(was.Rate)
		}
		a.rates.Replace(limits)
		a.logger.Info("clients reloaded", "clients", len(cfg.Auth.Clients))
	}
}

// stamp tells a file's states apart. Kubernetes changes files by changing links.
func stamp(file string) string {
	info, err := os.Stat(file)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(info.ModTime().UnixNano(), info.Size())
}
