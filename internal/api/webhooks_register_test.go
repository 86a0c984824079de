package api

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/webhook"
)

const checkWebhook = "GET /v1/webhooks/{source}"

// withSources has one source for each scheme that is named.
func withSources(t *testing.T, cfgs ...webhook.Config) option {
	t.Helper()
	sources := map[string]Webhook{}
	for _, cfg := range cfgs {
		cfg.Name, cfg.Secrets = cfg.Scheme, []string{"s3cret"}
		if cfg.EventType == "" {
			cfg.EventType = "hook.{type}"
		}
		source, err := webhook.New(cfg)
		require.NoError(t, err)
		sources[cfg.Name] = Webhook{Source: source, DeadLetters: "dead"}
	}
	return func(c *Config, _ *Catalog) { c.Webhooks = sources }
}

func TestProvidersCheckTheURL(t *testing.T) {
	t.Parallel()
	d, seen := recording()
	g := start(t, d, withSources(t,
		webhook.Config{Scheme: "github"}, webhook.Config{Scheme: "trello", PublicURL: "https://events.example.com/v1/webhooks/trello"},
		webhook.Config{Scheme: "meta", Challenge: &webhook.Challenge{Token: "verify-me"}}, webhook.Config{Scheme: "dropbox"}, webhook.Config{Scheme: "okta"},
	))
	for name, c := range map[string]struct {
		method, path string
		header       []string
		status       int
		body         string // of a 200
		contentType  string
	}{
		"Trello":               {http.MethodHead, "trello", nil, 200, "", ""},
		"any other by HEAD":    {http.MethodHead, "github", nil, 200, "", ""},
		"HEAD to nobody":       {http.MethodHead, "nobody", nil, 404, "", ""},
		"Meta":                 {http.MethodGet, "meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=verify-me", nil, 200, "1158201444", "text/plain; charset=utf-8"},
		"Meta, another token":  {http.MethodGet, "meta?hub.mode=subscribe&hub.challenge=1&hub.verify_token=x", nil, 401, "", ""},
		"Meta, no challenge":   {http.MethodGet, "meta?hub.verify_token=verify-me", nil, 400, "", ""},
		"Dropbox":              {http.MethodGet, "dropbox?challenge=%3Cscript%3E", nil, 200, "<script>", "text/plain; charset=utf-8"},
		"Okta":                 {http.MethodGet, "okta", []string{"X-Okta-Verification-Challenge: abc"}, 200, `{"verification":"abc"}`, "application/json"},
		"GET of a POST source": {http.MethodGet, "github", nil, 405, "", ""},
		"GET of nobody":        {http.MethodGet, "nobody", nil, 404, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := g.do(t, c.method, "/v1/webhooks/"+c.path, "", c.header...)
			require.Equal(t, c.status, a.StatusCode, string(a.body))
			require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
			if c.method == http.MethodHead {
				require.Empty(t, a.body)
				return
			}
			openAPI(t).requireDocumented(t, checkWebhook, a)
			switch c.status {
			case http.StatusOK:
				require.Equal(t, c.body, string(a.body))
				require.Equal(t, c.contentType, a.Header.Get("Content-Type"))
				require.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"), "a browser must not show an echoed text as a page")
			case http.StatusUnauthorized:
				requireRefused(t, a, event.Unauthenticated, "The token is not the configured one")
				require.Equal(t, `Signature realm="meta"`, a.Header.Get("WWW-Authenticate"))
				require.Contains(t, g.log.String(), `"reason":"wrong-credentials"`)
			case http.StatusMethodNotAllowed:
				require.Equal(t, "POST, HEAD, OPTIONS", a.Header.Get("Allow"))
			}
		})
	}
	require.Empty(t, seen)
}

// TestProvidersGetTheirAnswer: what each scheme, or the configuration, answers to a
// delivery that is accepted, written or recognised, and to one that is not.
func TestProvidersGetTheirAnswer(t *testing.T) {
	t.Parallel()
	const form = "Content-Type: application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		cfg         webhook.Config
		body        string
		header      []string
		status      int
		contentType string
		answer      string // "{": a receipt
	}{
		"Slack's view_submission": {webhook.Config{Scheme: "slack"}, `payload=%7B%22type%22%3A%22view_submission%22%2C%22trigger_id%22%3A%221%22%7D`, []string{form}, 200, "", ""},
		"Slack's event":           {webhook.Config{Scheme: "slack"}, `{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention"}}`, nil, 200, "", ""},
		"Twilio's message": {
			webhook.Config{Scheme: "twilio", PublicURL: "https://events.example.com/v1/webhooks/twilio"},
			"MessageSid=SM1&SmsStatus=received&Body=Hello",
			[]string{form},
			200, "text/xml; charset=utf-8", `<?xml version="1.0" encoding="UTF-8"?><Response/>`,
		},
		"Twilio, no content": {
			webhook.Config{Scheme: "twilio", PublicURL: "https://events.example.com/v1/webhooks/twilio", Reply: &webhook.Reply{Status: 204}},
			"MessageSid=SM1&SmsStatus=received",
			[]string{form},
			204, "", "",
		},
		"Mailgun":               {webhook.Config{Scheme: "mailgun"}, `{"event-data":{"event":"opened","id":"e1"}}`, nil, 200, "application/json", "{"},
		"GitHub":                {webhook.Config{Scheme: "github", Type: "/action"}, `{"action":"opened"}`, nil, 202, "application/json", "{"},
		"configured text":       {webhook.Config{Scheme: "github", Type: "/action", Reply: &webhook.Reply{Body: "[accepted]"}}, `{"action":"opened"}`, nil, 200, "text/plain; charset=utf-8", "[accepted]"},
		"configured, a receipt": {webhook.Config{Scheme: "slack", Reply: &webhook.Reply{Receipt: true}}, `{"type":"a","event_id":"Ev1"}`, nil, 202, "application/json", "{"},
		"several events":        {webhook.Config{Scheme: "github", Type: "/a", ID: "body-hash", Items: "/all", Reply: &webhook.Reply{Status: 200}}, `{"all":[{"a":"b"},{"a":"c"}]}`, nil, 200, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, accepting, withSources(t, c.cfg))
			a := deliver(t, g, c.cfg.Scheme, c.body, c.header...)
			require.Equal(t, c.status, a.StatusCode, string(a.body))
			openAPI(t).requireDocumented(t, receiveWebhook, a)
			require.Equal(t, c.contentType, a.Header.Get("Content-Type"))
			if c.answer == "{" {
				require.Contains(t, string(a.body), `"offset"`)
				return
			}
			require.Equal(t, c.answer, string(a.body))
		})
	}
	t.Run("what is not accepted is a problem", func(t *testing.T) {
		t.Parallel()
		away := door(func(ingest.Request) (ingest.Result, error) {
			return ingest.Result{}, event.Refuse(event.LogUnavailable, "Kafka is away.")
		})
		g := start(t, away, withSources(t, webhook.Config{Scheme: "slack"}))
		a := deliver(t, g, "slack", `{"type":"a","event_id":"Ev1"}`)
		require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
		requireRefused(t, a, event.LogUnavailable, "")
	})
}

// A secret that is sent along in any header does not go into a dead letter.
func TestTokensAreNotKept(t *testing.T) {
	t.Parallel()
	d, seen := recording()
	g := start(t, d, withSources(t, webhook.Config{Scheme: "hmac", EventType: "a.b", HMAC: &webhook.HMAC{Header: "X-Shop-Token", Algorithm: "token"}}))
	require.Equal(t, http.StatusAccepted, deliver(t, g, "hmac", `{}`, "X-Other: 1").StatusCode)
	var names []string
	for _, h := range (<-seen).DeadLetter.Headers {
		names = append(names, h.Name)
	}
	require.Contains(t, names, "http_x-other")
	require.NotContains(t, names, "http_x-shop-token")
}

// Without an id each delivery is an event of its own.
func TestDeliveriesWithoutID(t *testing.T) {
	t.Parallel()
	d, seen := recording()
	g := start(t, d, withSources(t, webhook.Config{Scheme: "dropbox"}))
	a := deliver(t, g, "dropbox", `{"list_folder":{"accounts":["dbid:1"]}}`)
	require.Equal(t, http.StatusOK, a.StatusCode)
	r := <-seen
	require.True(t, r.Identity.IsZero())
	require.Equal(t, "hook.changed", r.Type)
}
