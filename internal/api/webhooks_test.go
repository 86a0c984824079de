package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/webhook"
)

const receiveWebhook = "POST /v1/webhooks/{source}"

// withWebhooks has the sources "stripe", with a dead-letter topic, and "slack" and
// "shop", a generic one whose body may be an array, without.
func withWebhooks(t *testing.T) option {
	t.Helper()
	source := func(cfg webhook.Config) *webhook.Source {
		s, err := webhook.New(cfg)
		require.NoError(t, err)
		return s
	}
	sources := map[string]Webhook{
		"stripe": {
			Source:      source(webhook.Config{Name: "stripe", Scheme: "stripe", Secrets: []string{"whsec_s"}, EventType: "stripe.{type}"}),
			DeadLetters: "dead", Key: &webhook.KeyRule{Parts: [][]string{{"/data/object/id"}}},
		},
		"slack": {Source: source(webhook.Config{Name: "slack", Scheme: "slack", Secrets: []string{"s"}, EventType: "slack.{type}"})},
		"shop":  {Source: source(webhook.Config{Name: "shop", Scheme: "bearer", Secrets: []string{"s"}, EventType: "shop.{type}", Type: "/type", ID: "/id"})},
	}
	return func(c *Config, _ *Catalog) { c.Webhooks = sources }
}

// deliver sends what the provider would send.
func deliver(t *testing.T, g *gateway, source, body string, headers ...string) answer {
	t.Helper()
	r := webhook.Request{Method: http.MethodPost, URL: "/v1/webhooks/" + source, Header: http.Header{}, Body: []byte(body)}
	require.NoError(t, g.cfg.Webhooks[source].Source.Sign(&r, "", time.Now()))
	for name := range r.Header {
		headers = append(headers, name+": "+r.Header.Get(name))
	}
	return g.do(t, http.MethodPost, r.URL, string(r.Body), headers...)
}

func TestWebhookBecomesAnEvent(t *testing.T) {
	t.Parallel()
	const body = `{ "id":"evt_1","type":"charge/succeeded","data":{"object":{"id":"ch_1"}} }`
	d, seen := recording()
	g := start(t, d, withWebhooks(t))
	a := deliver(t, g, "stripe", body, "Content-Type: application/json; charset=utf-8", "User-Agent: Stripe/1.0", "Authorization: secret", "Cookie: secret")
	require.Equal(t, http.StatusAccepted, a.StatusCode, string(a.body))
	openAPI(t).requireDocumented(t, receiveWebhook, a)
	r := <-seen
	require.Equal(t, "stripe", r.Client)
	require.Equal(t, "stripe.charge.succeeded", r.Type)
	require.Equal(t, "application/json", r.MediaType)
	sent := []byte(body)
	require.Equal(t, sent, r.Data)
	require.Equal(t, event.Identity{Kind: event.IdentityWebhook, Parts: []string{"evt_1"}}, r.Identity)
	require.Equal(t, "/webhooks/stripe", r.Attributes.Source)
	require.Equal(t, []string{"/data/object/id"}, r.Key.Pointers)
	require.NoError(t, r.Fault)
	require.Equal(t, "dead", r.DeadLetter.Topic)
	kept := map[string]string{}
	for _, h := range r.DeadLetter.Headers {
		kept[h.Name] = h.Value
	}
	require.Equal(t, "Stripe/1.0", kept["http_user-agent"])
	require.Contains(t, kept, "http_stripe-signature")
	require.NotContains(t, kept, "http_authorization")
	require.NotContains(t, kept, "http_cookie")
}

// What cannot be mapped still goes through the door, which keeps it or refuses it.
func TestWebhookThatCannotBeMapped(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"no JSON": `{`, "no type": `{"id":"evt_1"}`, "no id": `{"type":"x"}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			a := deliver(t, start(t, d, withWebhooks(t)), "stripe", body)
			require.Equal(t, http.StatusAccepted, a.StatusCode, string(a.body))
			r := <-seen
			require.Error(t, r.Fault)
			require.Equal(t, []byte(body), r.Data)
			require.NotEmpty(t, r.Type)
			require.NotEmpty(t, r.Identity.Parts[0])
			require.NotNil(t, r.DeadLetter)
		})
	}
}

func TestWebhookThatIsNotVerified(t *testing.T) {
	t.Parallel()
	d, seen := recording()
	g := start(t, d, withWebhooks(t))
	for name, c := range map[string]struct{ headers, detail, reason string }{
		"no signature":    {"X-Other: 1", "Stripe-Signature header is missing", "missing-header"},
		"wrong signature": {"Stripe-Signature: t=1,v1=" + strings.Repeat("0", 64), "", "timestamp-too-old"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := g.do(t, http.MethodPost, "/v1/webhooks/stripe", "{}", c.headers)
			requireRefused(t, a, event.Unauthenticated, c.detail)
			require.Equal(t, http.StatusUnauthorized, a.StatusCode)
			require.Equal(t, `Signature realm="stripe"`, a.Header.Get("WWW-Authenticate"))
			openAPI(t).requireDocumented(t, receiveWebhook, a)
			require.InDelta(t, 1, testutil.ToFloat64(g.metrics.rejected.WithLabelValues("stripe", c.reason)), 0)
			require.Contains(t, g.log.String(), `"reason":"`+c.reason+`"`)
		})
	}
	require.Empty(t, seen)
}

func TestWebhookOfNobody(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, withWebhooks(t))
	a := g.do(t, http.MethodPost, "/v1/webhooks/nobody", "{}")
	requireRefused(t, a, event.UnknownSource, "webhooks in the gateway's configuration")
	openAPI(t).requireDocumented(t, receiveWebhook, a)
	requireRefused(t, g.do(t, http.MethodOptions, "/v1/webhooks/nobody", ""), event.UnknownSource, "")
	require.Equal(t, "a.example.com", g.do(t, http.MethodOptions, "/v1/webhooks/stripe", "", "WebHook-Request-Origin: a.example.com").Header.Get("WebHook-Allowed-Origin"))
	requireRefused(t, g.do(t, http.MethodPost, "/v1/webhooks/stripe", "{}", "Content-Encoding: gzip"), event.UnsupportedMediaType, "")
}

func TestWebhookChallenge(t *testing.T) {
	t.Parallel()
	d, seen := recording()
	a := deliver(t, start(t, d, withWebhooks(t)), "slack", `{"type":"url_verification","challenge":"c-1"}`)
	require.Equal(t, http.StatusOK, a.StatusCode, string(a.body))
	require.Contains(t, string(a.body), "c-1")
	openAPI(t).requireDocumented(t, receiveWebhook, a)
	require.Empty(t, seen, "a challenge is no event")
}

// Providers send again what gets a 5xx, and give up on much that gets a 4xx.
func TestWebhookErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		kind   event.Kind
	}{
		"in progress":     {event.MaybeWritten(event.RequestInProgress, nil, "Busy."), 504, event.OutcomeUnknown},
		"kafka is away":   {event.Refuse(event.LogUnavailable, "Away."), 503, event.LogUnavailable},
		"unknown type":    {event.Refuse(event.UnknownEventType, "No."), 404, event.UnknownEventType},
		"does not fit":    {event.Refuse(event.SchemaViolation, "No."), 422, event.SchemaViolation},
		"unknown outcome": {event.MaybeWritten(event.OutcomeUnknown, nil, "Late."), 504, event.OutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, failing(c.err), withWebhooks(t))
			for _, body := range []string{`{"type":"x","id":"1"}`, `[{"type":"x","id":"1"},{"type":"x","id":"2"}]`} {
				a := deliver(t, g, "shop", body)
				require.Equal(t, c.status, a.StatusCode, string(a.body))
				require.Equal(t, "/problems/"+string(c.kind), a.problem(t).Type)
				openAPI(t).requireDocumented(t, receiveWebhook, a)
			}
		})
	}
}

func TestWebhookWithSeveralEvents(t *testing.T) {
	t.Parallel()
	refusal, away := event.Refuse(event.SchemaViolation, "No."), event.Refuse(event.LogUnavailable, "Away.")
	reply := door(func(r ingest.Request) (ingest.Result, error) {
		switch r.Type {
		case "shop.bad":
			return ingest.Result{}, refusal
		case "shop.away":
			return ingest.Result{}, away
		case "shop.late":
			return ingest.Result{}, event.MaybeWritten(event.OutcomeUnknown, nil, "Late.")
		}
		return accepting(r)
	})
	g := start(t, reply, withWebhooks(t))
	for name, c := range map[string]struct {
		types   []string
		status  int
		outcome event.Outcome
	}{
		"all":                             {[]string{"x", "y"}, 202, ""},
		"one refused":                     {[]string{"x", "bad", "y"}, 422, event.Unknown},
		"all refused":                     {[]string{"bad", "bad"}, 422, event.NotWritten},
		"one that may work later":         {[]string{"x", "away"}, 504, event.Unknown},
		"the same, before it":             {[]string{"away", "x"}, 504, event.Unknown},
		"none that was written":           {[]string{"away", "bad"}, 503, event.NotWritten},
		"what may work later comes first": {[]string{"bad", "away", "bad"}, 503, event.NotWritten},
		"one whose outcome is unknown":    {[]string{"away", "late"}, 504, event.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var items []string
			for i, eventType := range c.types {
				items = append(items, `{"type":"`+eventType+`","id":"`+itoa(i)+`"}`)
			}
			a := deliver(t, g, "shop", "["+strings.Join(items, ",")+"]")
			require.Equal(t, c.status, a.StatusCode, string(a.body))
			openAPI(t).requireDocumented(t, receiveWebhook, a)
			if c.status == 202 {
				require.Len(t, a.items(t), len(c.types))
				return
			}
			p := a.problem(t)
			require.Equal(t, c.outcome, p.Outcome, "it may not deny what was written")
			require.Equal(t, c.outcome == event.Unknown, strings.HasPrefix(p.Detail, "Of "), p.Detail)
		})
	}
}
