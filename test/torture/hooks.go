package torture

import (
	"fmt"
	"net/http"
	"time"

	"eventgateway/internal/webhook"
)

// sourceName is the webhook source that a delivery is posted to.
func (v via) sourceName() string {
	return map[via]string{stripe: "stripe", fanOut: "fan"}[v]
}

// hookConfigs are the webhook sources with which gateways and clients are configured.
func hookConfigs() map[via]webhook.Config {
	return map[via]webhook.Config{
		stripe: {Name: stripe.sourceName(), Scheme: "stripe", Secrets: []string{"whsec_torture"}, EventType: "torture.{type}"},
		fanOut: {
			Name: fanOut.sourceName(), Scheme: "hmac", Secrets: []string{"torture"}, EventType: fanType, ID: "/id",
			HMAC: &webhook.HMAC{Header: "X-Signature", Prefix: "sha256="},
		},
	}
}

// hooks sign as providers do.
type hooks map[via]*webhook.Source

func newHooks() (hooks, error) {
	h := hooks{}
	for v, cfg := range hookConfigs() {
		source, err := webhook.New(cfg)
		if err != nil {
			return nil, fmt.Errorf("make webhook source %s: %w", cfg.Name, err)
		}
		h[v] = source
	}
	return h, nil
}

// sign returns the headers with which a gateway accepts the body now.
func (h hooks) sign(v via, path, body string) (http.Header, error) {
	r := webhook.Request{Method: http.MethodPost, URL: path, Header: http.Header{}, Body: []byte(body)}
	if err := h[v].Sign(&r, "", time.Now()); err != nil {
		return nil, fmt.Errorf("sign delivery: %w", err)
	}
	return r.Header, nil
}

// hookSettings are the sources as a gateway's configuration has them.
func hookSettings() []map[string]any {
	var all []map[string]any
	for _, v := range []via{stripe, fanOut} {
		c := hookConfigs()[v]
		s := map[string]any{
			"name": c.Name, "scheme": c.Scheme, "secrets": c.Secrets, "event_type": c.EventType, "dead_letter_topic": deadTopic,
		}
		if c.ID != "" {
			s["id"] = c.ID
		}
		if c.HMAC != nil {
			s["hmac"] = map[string]any{"header": c.HMAC.Header, "prefix": c.HMAC.Prefix}
		}
		all = append(all, s)
	}
	return all
}
