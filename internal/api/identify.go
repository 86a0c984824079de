package api

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/auth"
	"eventgateway/internal/event"
	"eventgateway/internal/rate"
)

// Authenticator says who a caller is. The error is an *auth.Refusal.
type Authenticator interface {
	Authenticate(ctx context.Context, c auth.Credentials, now time.Time) (*auth.Caller, error)
}

const (
	headerAPIKey = "x-api-key"

	bearer = `Bearer realm="events"` //nolint:gosec // a challenge, not a credential
	basic  = `Basic realm="events: any name, and an API key as the password", charset="UTF-8"`
)

// access decides who may call, for what, and how often.
type access struct {
	auth      Authenticator // nil: everybody is anonymous
	rates     Limiter       // nil: clients may call as often as they like
	anonymous *auth.Caller
	trusts    func(chains [][]*x509.Certificate) bool // nil: what was good when the client connected is good
	// strangers and deliveries limit calls without valid credentials, and those of webhooks,
	// by address.
	strangers, deliveries *rate.Addresses
	serving               context.Context //nolint:containedctx // it ends when the server stops, for calls that wait
	addresses             addresses
	metrics               *metrics
	logger                *slog.Logger
}

func newAccess(serving context.Context, cfg Config, m *metrics, logger *slog.Logger) *access {
	return &access{
		auth: cfg.Auth, rates: cfg.Rates, anonymous: auth.Anonymous(), metrics: m, logger: logger, serving: serving, trusts: cfg.TrustsClient,
		strangers: rate.NewAddresses(cfg.StrangerRate), deliveries: rate.NewAddresses(cfg.WebhookRate),
		addresses: addresses{trusted: cfg.TrustedProxies, publicURL: cfg.PublicURL},
	}
}

// identify lets callers with valid credentials through.
func (a *access) identify(c *fiber.Ctx) error {
	if a.auth == nil {
		return c.Next()
	}
	return a.authenticate(c, a.credentials(c), bearer)
}

// identifyReader is identify for what browsers ask for: the challenge makes them ask for
// a password, as which alone they can send a key (RFC 7617).
func (a *access) identifyReader(c *fiber.Ctx) error {
	if a.auth == nil {
		return c.Next()
	}
	return a.authenticate(c, a.credentials(c), basic)
}

func (a *access) authenticate(c *fiber.Ctx, shown auth.Credentials, challenge string) error {
	caller, err := a.auth.Authenticate(context.Background(), shown, time.Now())
	if err != nil {
		var refusal *auth.Refusal
		if !errors.As(err, &refusal) {
			return err
		}
		a.refused(c, "", string(refusal.Reason), refusal.Err)
		if err := a.stranger(c); err != nil {
			return err
		}
		c.Set(fiber.HeaderWWWAuthenticate, challenge)
		return event.Refuse(event.Unauthenticated,
			"The request has no credentials that are valid here. Send an API key or a token as Authorization: Bearer …, once; or an API key as X-API-Key or as the password of Basic, with any user name.")
	}
	exchangeOf(c).caller = caller
	return c.Next()
}

// refused logs and counts a call that is not allowed.
func (a *access) refused(c *fiber.Ctx, client, reason string, cause error) {
	a.metrics.refused.WithLabelValues(reason).Inc()
	attributes := []any{"reason", reason, "route", c.Route().Path, "remote", a.addresses.client(c)}
	if client != "" {
		attributes = append(attributes, "client", client)
	}
	if cause != nil {
		attributes = append(attributes, "error", cause)
	}
	a.logger.Warn("call refused", attributes...)
}

// credentials are those that the request shows, copied. An API key may come in X-API-Key
// or as a password: that is as if it had come as Authorization: Bearer. X-API-Key counts
// only without Authorization, because API gateways in front leave their own there.
func (a *access) credentials(c *fiber.Ctx) auth.Credentials {
	var shown auth.Credentials
	h := &c.Request().Header
	for _, value := range h.PeekAll(fiber.HeaderAuthorization) {
		shown.Authorization = append(shown.Authorization, string(value))
	}
	switch len(shown.Authorization) {
	case 0:
		for _, value := range h.PeekAll(headerAPIKey) {
			shown.Authorization = append(shown.Authorization, asBearer+string(value))
		}
	case 1:
		if key, ok := password(shown.Authorization[0]); ok {
			shown.Authorization[0] = asBearer + key
		}
	}
	if tls := c.Context().TLSConnectionState(); tls != nil && len(tls.VerifiedChains) > 0 {
		if a.trusts == nil || a.trusts(tls.VerifiedChains) {
			shown.Certificate = tls.VerifiedChains[0][0]
		}
		shown.Lapsed = shown.Certificate == nil
	}
	return shown
}

const asBearer = "Bearer "

// password is that of `Basic …`, whatever the name (RFC 7617 §2).
func password(header string) (string, bool) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", false
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", false
	}
	_, key, ok := strings.Cut(string(text), ":")
	return key, ok
}

// caller is who sent the request.
func (a *access) caller(c *fiber.Ctx) *auth.Caller {
	if caller := exchangeOf(c).caller; caller != nil {
		return caller
	}
	return a.anonymous // on other routes, identify comes first
}

// permit refuses an event type that the caller may not use, whether there is one of
// that name or not.
func (a *access) permit(c *fiber.Ctx, caller *auth.Caller, eventType string) error {
	if caller.May(eventType) {
		exchangeOf(c).eventType = eventType
		return nil
	}
	a.refused(c, caller.Name, string(event.Forbidden), nil)
	return event.Refuse(event.Forbidden, "This client may not use an event type of this name. GET /v1/event-types lists those that it may; the operator grants others.")
}
