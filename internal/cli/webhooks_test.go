package cli

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/config"
	"eventgateway/internal/webhook"
)

// The secrets of these tests, which must never be shown.
const firstSecret, secondSecret = "first-s3cret", "second-s3cret"

// webhookFiles is a folder with a configuration and the sample deliveries.
func webhookFiles(t *testing.T) (dir, cfg string) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "schemas"), os.DirFS("testdata/webhook-schemas")))
	for _, scheme := range []string{"stripe", "github", "slack"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, scheme+".json"), sampleOf(scheme), 0o600))
	}
	cfg = filepath.Join(dir, "gateway.yaml")
	require.NoError(t, os.WriteFile(cfg, []byte(`
kafka: {properties: {sasl.password: "${NOT_SET_HERE}"}}
schemas: {dir: `+filepath.Join(dir, "schemas")+`}
webhooks:
  - {name: stripe, scheme: stripe, secrets: [`+firstSecret+`, `+secondSecret+`], event_type: "stripe.{type}", key: /data/object/id}
  - {name: github, scheme: github, secrets: [`+firstSecret+`], event_type: "github.{type}"}
  - {name: strict, scheme: github, secrets: [`+firstSecret+`], event_type: "github.{type}", on_invalid: reject}
  - {name: slack, scheme: slack, secrets: [`+firstSecret+`], event_type: "slack.{type}"}
  - {name: other, scheme: github, secrets: ["${NOT_SET_HERE}"], event_type: "other.{type}"}
  - {name: public, scheme: standard, secrets: [whpk_AAAA], event_type: "public.{type}"}
`), 0o600))
	return dir, cfg
}

func TestWebhooksUsage(t *testing.T) {
	t.Parallel()
	dir, cfg := webhookFiles(t)
	stripe := filepath.Join(dir, "stripe.json")
	none := filepath.Join(dir, "none.yaml")
	require.NoError(t, os.WriteFile(none, []byte("auth: none\n"), 0o600))
	for name, c := range map[string]struct {
		args   string
		status int
		errOut string
	}{
		"alone":                 {"", 2, "send, verify or sample"},
		"unknown verb":          {"post", 2, `there is no "post"; there are gateway webhooks sample, send and verify`},
		"send nothing":          {"send", 2, "gateway webhooks send stripe delivery.json -c gateway.yaml"},
		"send without a body":   {"send stripe -c CFG", 2, "- for the standard input"},
		"send without a file":   {"send stripe FILE", 2, "say which configuration file"},
		"send three":            {"send stripe FILE more -c CFG", 2, `"more" is one argument too many`},
		"no such source":        {"send strip FILE -c CFG", 1, `has no webhook source "strip"; it has stripe, github, strict, slack, other, public`},
		"no sources":            {"send stripe FILE -c NONE", 1, "has no webhook sources; add one under webhooks: docs/webhooks.md"},
		"secret of this source": {"send other FILE -c CFG", 1, `variable "NOT_SET_HERE" is not set`},
		"bad key":               {"send public FILE -c CFG", 1, "is not an ed25519 public key"},
		"no such body":          {"send stripe nothing.json -c CFG", 1, "nothing.json"},
		"no such configuration": {"send stripe FILE -c nothing.yaml", 1, "nothing.yaml"},
		"no third secret":       {"send stripe FILE -c CFG --secret 3", 2, "a number from 1 to 2"},
		"no zeroth secret":      {"send stripe FILE -c CFG --secret 0", 2, "a number from 1 to 2"},
		"odd header":            {"send stripe FILE -c CFG --header X", 2, `write it as "X-GitHub-Event: issues"`},
		"odd time":              {"send stripe FILE -c CFG --at noon", 2, "2026-11-23T09:15:30Z, 1764000000 or -10m"},
		"odd URL":               {"send stripe FILE -c CFG --url /v1", 2, "--url is a full one"},
		"nobody there":          {"send stripe FILE -c CFG --url http://127.0.0.1:1/x", 1, "nothing listens at http://127.0.0.1:1/x: is the gateway running?"},
		"verify nothing":        {"verify", 2, "gateway webhooks verify stripe"},
		"verify no request":     {"verify stripe FILE -c CFG", 1, "does not begin with headers"},
		"sample of what":        {"sample", 2, "name a scheme: "},
		"no such scheme":        {"sample strip", 2, `there is no scheme "strip"; there are `},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(strings.NewReplacer("FILE", stripe, "CFG", cfg, "NONE", none).Replace(c.args))
			var out, errOut bytes.Buffer
			require.Equal(t, c.status, run(append([]string{"webhooks"}, args...), &out, &errOut), errOut.String())
			require.Contains(t, errOut.String(), c.errOut)
			require.NotContains(t, errOut.String(), "s3cret")
			require.Empty(t, out.String())
		})
	}
}

// answering is a gateway that verifies deliveries and answers as told.
func answering(t *testing.T, source *webhook.Source, status int, body string, headers ...string) (url string, seen *[]http.Header) {
	t.Helper()
	seen = new([]http.Header)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err == nil && source != nil {
			_, err = source.Receive(webhook.Request{Method: r.Method, URL: r.URL.RequestURI(), Header: r.Header, Body: data}, time.Now())
		}
		*seen = append(*seen, r.Header)
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		if err != nil {
			status, body = http.StatusUnauthorized, `{"type":"/problems/unauthenticated","detail":"`+err.Error()+`"}`
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/v1/webhooks/x", seen
}

const deadReceipt = `{"id":"1","type":"github.issues","version":"","topic":"webhooks.github.dead-letter","partition":1,"offset":2,"key":null,"time":"t"}`

func TestWebhooksSendExplainsTheAnswer(t *testing.T) {
	t.Parallel()
	dir, cfg := webhookFiles(t)
	for name, c := range map[string]struct {
		source, scheme string
		status         int
		body           string
		headers        []string
		exit           int
		want           []string
	}{
		"written": {"stripe", "stripe", 202, `{"type":"stripe.a","topic":"t","partition":3,"offset":7}`, nil, 0, []string{
			"202 Accepted\n", "Written to Kafka as stripe.a: topic t, partition 3, offset 7.\n",
		}},
		"again": {"stripe", "stripe", 202, `{"type":"stripe.a","topic":"t"}`, []string{"Idempotent-Replayed", "true"}, 0, []string{
			"Idempotent-Replayed: true\n", "Recognised as a redelivery: nothing was written again",
		}},
		"several":     {"stripe", "stripe", 202, `{"items":[{"receipt":{"topic":"t"}},{"receipt":{"topic":"u"}}]}`, nil, 0, []string{"as 2 events"}},
		"dead letter": {"github", "github", 202, deadReceipt, nil, 0, []string{"Kept as a dead letter in webhooks.github.dead-letter", "gateway schemas new github.issues --from FILE"}},
		"challenge":   {"slack", "slack", 200, "c", nil, 0, []string{"Nothing was published."}},
		"refused":     {"strict", "github", 422, `{"type":"/problems/schema-violation"}`, nil, 1, []string{"Refused, and nothing was written.", "/problems/schema-violation"}},
		"no type":     {"strict", "github", 404, `{"type":"/problems/unknown-event-type"}`, nil, 1, []string{"on_invalid is reject", "gateway schemas new github.issues"}},
		"no source":   {"strict", "github", 404, `{"type":"/problems/unknown-source"}`, nil, 1, []string{"has no source strict: start it with this configuration"}},
		"not believed": {"stripe", "stripe", 401, `{"type":"/problems/unauthenticated"}`, []string{"WWW-Authenticate", `Signature realm="stripe"`}, 1, []string{
			`Www-Authenticate: Signature realm="stripe"`, "gateway webhooks verify finds out more",
		}},
		"away":         {"stripe", "stripe", 503, `{"type":"/problems/log-unavailable"}`, []string{"Retry-After", "5"}, 1, []string{"Retry-After: 5", "Nothing was written. A provider sends it again later"}},
		"unknown":      {"stripe", "stripe", 504, `{"type":"/problems/outcome-unknown"}`, nil, 1, []string{"not known yet"}},
		"not ours":     {"stripe", "stripe", 405, "<html>\x1b[31m", nil, 1, []string{"<html>?[31m", "This is not an answer of the gateway"}},
		"another 202?": {"stripe", "stripe", 202, "queued", nil, 0, []string{"This is not an answer of the gateway"}},
		"a redirect":   {"stripe", "stripe", 302, "", []string{"Location", "http://127.0.0.1:1/"}, 1, []string{"302 Found", "This is not an answer"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, err := webhook.New(webhook.Config{Name: "x", Scheme: c.scheme, Secrets: []string{firstSecret}, EventType: "x.{type}"})
			require.NoError(t, err)
			url, seen := answering(t, source, c.status, c.body, c.headers...)
			args := []string{"webhooks", "send", c.source, filepath.Join(dir, c.scheme+".json"), "-c", cfg, "--url", url}
			if header, ok := sampleHeaders[c.scheme]; ok {
				args = append(args, "--header", header)
			}
			var out, errOut bytes.Buffer
			require.Equal(t, c.exit, run(args, &out, &errOut), errOut.String())
			require.Empty(t, errOut.String())
			for _, want := range c.want {
				require.Contains(t, out.String(), want)
			}
			require.NotContains(t, out.String(), "s3cret")
			require.Len(t, *seen, 1)
		})
	}
}

func TestWebhooksSendSigns(t *testing.T) {
	t.Parallel()
	dir, cfg := webhookFiles(t)
	stripe, err := webhook.New(webhook.Config{Name: "x", Scheme: "stripe", Secrets: []string{secondSecret}, EventType: "x.{type}"})
	require.NoError(t, err)
	github, err := webhook.New(webhook.Config{Name: "x", Scheme: "github", Secrets: []string{firstSecret}, EventType: "x.{type}"})
	require.NoError(t, err)
	send := func(source *webhook.Source, exit int, args ...string) (h http.Header, out, errOut string) {
		t.Helper()
		url, seen := answering(t, source, 202, `{"topic":"t"}`)
		var o, e bytes.Buffer
		require.Equal(t, exit, run(append([]string{"webhooks", "send", "-c", cfg, "--url", url}, args...), &o, &e), "%s%s", o.String(), e.String())
		require.Len(t, *seen, 1)
		return (*seen)[0], o.String(), e.String()
	}
	body := filepath.Join(dir, "stripe.json")
	h, _, _ := send(stripe, 0, "stripe", body, "--secret", "2")
	require.Equal(t, "application/json", h.Get("Content-Type"))
	_, out, _ := send(stripe, 1, "stripe", body)
	require.Contains(t, out, "signature-mismatch")
	_, out, _ = send(stripe, 1, "stripe", body, "--secret", "2", "--at", "-10m")
	require.Contains(t, out, "timestamp-too-old")
	_, out, _ = send(stripe, 1, "stripe", body, "--secret", "2", "--at", "2020-01-02T03:04:05Z")
	require.Contains(t, out, "timestamp-too-old")
	_, _, errOut := send(stripe, 0, "stripe", body, "--secret", "2", "--id", "evt_9")
	require.Contains(t, errOut, "--id goes into no header here")

	// The id is made from the body unless a flag gives another.
	body = filepath.Join(dir, "github.json")
	h, _, _ = send(github, 0, "github", body)
	again, _, _ := send(github, 0, "github", body, "--header", "content-type: application/x-www-form-urlencoded", "--header", "X-GitHub-Event: issues")
	require.Len(t, h.Get("X-GitHub-Delivery"), 32)
	require.Equal(t, h.Get("X-GitHub-Delivery"), again.Get("X-GitHub-Delivery"))
	require.Equal(t, "application/x-www-form-urlencoded", again.Get("Content-Type"))
	require.Equal(t, "issues", again.Get("X-GitHub-Event"))
	h, _, _ = send(github, 0, "github", body, "--header", "X-GitHub-Delivery: mine")
	require.Equal(t, "mine", h.Get("X-GitHub-Delivery"))
	h, _, _ = send(github, 0, "github", body, "--id", "d-9")
	require.Equal(t, "d-9", h.Get("X-GitHub-Delivery"))
}

func TestWebhooksSendNeedsASecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := filepath.Join(dir, "gateway.yaml")
	require.NoError(t, os.WriteFile(cfg, []byte(`webhooks: [{name: p, scheme: standard, secrets: [whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=], event_type: "p.{type}"}]`), 0o600))
	body := filepath.Join(dir, "body.json")
	require.NoError(t, os.WriteFile(body, []byte("{}"), 0o600))
	var out, errOut bytes.Buffer
	require.Equal(t, 1, run([]string{"webhooks", "send", "p", body, "-c", cfg}, &out, &errOut))
	require.Contains(t, errOut.String(), "public keys")
	require.Contains(t, errOut.String(), "add a second source with a scheme and a secret of your own")
}

func TestMediaTypeOf(t *testing.T) {
	t.Parallel()
	const form, json = "application/x-www-form-urlencoded", "application/json"
	for body, want := range map[string]string{"": json, "{}": json, ` [{"a":"b=c"}]`: json, "a=b&c=d": form, "payload=%7B%7D": form, "hello": json} {
		require.Equal(t, want, mediaTypeOf([]byte(body)), body)
	}
}

func TestQuoteShell(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "''", "a/b-c.yaml": "a/b-c.yaml", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'"} {
		require.Equal(t, want, quoteShell(text))
	}
}

func TestLoadPart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	require.NoError(t, os.WriteFile(file, []byte("http: {body_limit: many}\nkafka: {brokers: []}\n"), 0o600))
	_, err := loadPart(file, nil, func(wrong *config.Error) bool { return inSections(wrong.Path, "kafka", "auth") })
	require.ErrorContains(t, err, "http.body_limit")
	require.NotContains(t, err.Error(), "kafka")
	cfg, err := loadPart(file, nil, func(wrong *config.Error) bool { return inSections(wrong.Path, "http", "kafka", "auth") })
	require.NoError(t, err)
	require.NotNil(t, cfg)
	_, err = loadPart(file+".none", nil, func(*config.Error) bool { return true })
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(file, []byte("- no mapping\n"), 0o600))
	_, err = loadPart(file, nil, func(*config.Error) bool { return true })
	require.ErrorContains(t, err, "not a mapping")
	require.False(t, inSections("kafkaesque", "kafka"))
}
