package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/webhook"
)

// savedAt is when the requests of these tests were signed.
const savedAt = 1_764_000_000

// saved signs a delivery as the provider would, and returns the request with CR LF.
func saved(t *testing.T, cfg webhook.Config, body string, headers ...string) string {
	t.Helper()
	cfg.Name, cfg.EventType = "x", "x.{type}"
	source, err := webhook.New(cfg)
	require.NoError(t, err)
	f := webhookFlags{headers: http.Header{}}
	for _, header := range headers {
		require.NoError(t, f.header(header))
	}
	r := webhook.Request{Method: http.MethodPost, URL: "/v1/webhooks/x", Header: f.headers, Body: []byte(body)}
	require.NoError(t, source.Sign(&r, "d-1", time.Unix(savedAt, 0)))
	text := "POST /v1/webhooks/x HTTP/1.1\r\nHost: events.example.com\r\n"
	for name, values := range r.Header {
		for _, value := range values {
			text += name + ": " + value + "\r\n"
		}
	}
	return text + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

func TestWebhooksVerify(t *testing.T) {
	t.Parallel()
	_, cfg := webhookFiles(t)
	first, second := []string{firstSecret}, []string{secondSecret}
	stripe := func(body string) string { return saved(t, webhook.Config{Scheme: "stripe", Secrets: second}, body) }
	github := func(body string) string {
		return saved(t, webhook.Config{Scheme: "github", Secrets: first}, body, "X-GitHub-Event: issues", "X-Hub-Signature: sha1=00")
	}
	sample := string(sampleOf("stripe"))
	const at = "--at 1764000009"
	for name, c := range map[string]struct {
		source, request, args string
		status                int
		want                  []string
	}{
		"believed": {"stripe", stripe(sample), at, 0, []string{
			"verdict    believed\nsource     stripe, scheme stripe\nheader     Stripe-Signature: found\n" +
				"timestamp  2025-11-24T16:00:00Z, 9s old; 5m0s is allowed either way\nsecrets    number 2 of the 2 that are configured matches\nbody       437 bytes\n\n",
			"event      stripe.payment_intent.succeeded, id evt_1QRsT2LkdIwHu7ix0001\n" +
				"           fits; goes to topic stripe.payment_intent.succeeded with the entity key pi_1QRsT2LkdIwHu7ix0001\n           gw_claim ",
		}},
		"does not fit": {"stripe", stripe(strings.Replace(sample, "2580", `"2580"`, 1)), at, 0, []string{
			"a dead letter, goes to topic webhooks.stripe.dead-letter: schema-violation: ", "/data/object/amount: ",
		}},
		"no key": {"stripe", stripe(strings.Replace(sample, `"id": "pi_1QRsT2LkdIwHu7ix0001"`, `"id": ""`, 1)), at, 0, []string{"dead-letter: key-missing: "}},
		"no type": {"stripe", stripe(`{"id":"evt_1"}`), at, 0, []string{
			"event      (no type), id ", "dead-letter: malformed-request: The delivery's type is missing; it is expected at /type.",
		}},
		"several":     {"stripe", stripe(`[{"id":"1","type":"a"},{"id":"2","type":"b"}]`), at, 0, []string{"event      stripe.a, id 1", "event      stripe.b, id 2"}},
		"too many":    {"stripe", stripe("[" + strings.Repeat("{},", 1000) + "{}]"), at, 0, []string{"refused    The body has more than 1000 events"}},
		"no schema":   {"github", github("{}"), "", 0, []string{"timestamp  none is looked at", "the one that is configured matches", "webhooks.github.dead-letter: unknown-event-type"}},
		"and strict":  {"strict", github("{}"), "", 0, []string{"           refused: unknown-event-type"}},
		"challenge":   {"slack", saved(t, webhook.Config{Scheme: "slack", Secrets: first}, `{"type":"url_verification","challenge":"c"}`), at, 0, []string{"answer     200 from the gateway itself"}},
		"another day": {"stripe", stripe(sample), "", 1, []string{"reason     timestamp-too-old\n", "the time alone is the cause", "number 2 of the 2", "--at 2025-11-24T16:00:00Z verifies it"}},
		"too early":   {"stripe", stripe(sample), "--at 2025-11-24T15:00:00Z", 1, []string{"reason     timestamp-in-future\n", "1h0m0s in the future", "the time alone is the cause"}},
		"line feed lost": {"stripe", strings.TrimSpace(stripe(sample)), at, 1, []string{
			"reason     signature-mismatch\n", "none of the 2 that are configured matches", "436 bytes; but Content-Length says 437: this is not the body that was sent",
			"it would be believed with a line feed at the body's end\n", "leave them alone",
		}},
		"line feed lost, another day": {"stripe", strings.TrimSpace(stripe(sample)), "", 1, []string{
			"it would be believed with a line feed at the body's end, at its own time\n", "the time is not all",
		}},
		"another body":         {"stripe", strings.Replace(stripe(sample), "2580", "9999", 1), at, 1, []string{"the secret is another one"}},
		"no signature":         {"github", "X-Hub-Signature: sha1=00\n\n{}", "", 1, []string{"X-Hub-Signature-256: missing", "X-Hub-Signature: found, but this scheme does not look at it", "a proxy on the way takes headers off"}},
		"two signatures":       {"github", strings.Replace(github("{}"), "Host:", "X-Hub-Signature-256: sha256=00\r\nHost:", 1), "", 1, []string{"X-Hub-Signature-256: found 2 times"}},
		"garbage":              {"stripe", "Stripe-Signature: hello\n\n{}", "", 1, []string{"malformed-header", "is it the right scheme for this provider?"}},
		"compressed":           {"github", strings.Replace(github("{}")+"x", "Host:", "Content-Encoding: gzip\r\nHost:", 1), "", 1, []string{"the gateway answers 415"}},
		"without request line": {"github", strings.Join(strings.Split(github("{}"), "\r\n")[1:], "\n"), "", 0, []string{"verdict    believed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "saved.http")
			require.NoError(t, os.WriteFile(file, []byte(c.request), 0o600))
			var out, errOut bytes.Buffer
			args := append([]string{"webhooks", "verify", c.source, file, "-c", cfg}, strings.Fields(c.args)...)
			require.Equal(t, c.status, run(args, &out, &errOut), "%s%s", out.String(), errOut.String())
			require.Empty(t, errOut.String())
			for _, want := range c.want {
				require.Contains(t, out.String(), want)
			}
			require.NotContains(t, out.String(), "s3cret")
		})
	}
}

// TestWebhooksVerifyBody: FILE is the body alone, and the schemas do not load.
func TestWebhooksVerifyBody(t *testing.T) {
	t.Parallel()
	dir, cfg := webhookFiles(t)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "schemas")))
	body := filepath.Join(dir, "body.json")
	require.NoError(t, os.WriteFile(body, []byte("{}"), 0o600))
	verify := func(status int, headers ...string) string {
		t.Helper()
		args := []string{"webhooks", "verify", "github", body, "-c", cfg}
		for _, line := range headers {
			args = append(args, "--header", line)
		}
		var out, errOut bytes.Buffer
		require.Equal(t, status, run(args, &out, &errOut), "%s%s", out.String(), errOut.String())
		return out.String()
	}
	head, _, _ := strings.Cut(saved(t, webhook.Config{Scheme: "github", Secrets: []string{firstSecret}}, "{}"), "\r\n\r\n")
	lines := strings.Split(head, "\r\n")[1:]
	out := verify(0, append(lines, "X-GitHub-Event: issues")...)
	require.Contains(t, out, "event      github.issues, id d-1\n")
	require.Contains(t, out, "schemas    not looked at: ")
	require.Contains(t, verify(0, lines...), "it is expected at the header X-Github-Event")
	require.Contains(t, verify(1, "X-GitHub-Event: issues"), "missing-header")
}

func TestParseSaved(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text, method, url, body string
		header                  http.Header
	}{
		"CR LF":             {"PUT /a?b=c HTTP/1.1\r\nx-a: 1\r\nX-A: 2\r\n\r\n{}\r\n", "PUT", "/a?b=c", "{}\r\n", http.Header{"X-A": {"1", "2"}}},
		"LF, whole URL":     {"POST https://a.example/v1/x?y HTTP/2\nX-A: b: c \n\n\n{}", "POST", "/v1/x?y", "\n{}", http.Header{"X-A": {"b: c"}}},
		"no version":        {"POST /a\n\n", "POST", "/a", "", http.Header{}},
		"headers only":      {"\xef\xbb\xbfX-A:1\n\nbody", "POST", "/v1/webhooks/s", "body", http.Header{"X-A": {"1"}}},
		"body like headers": {"X-A: 1\n\nX-B: 2\n\n", "POST", "/v1/webhooks/s", "X-B: 2\n\n", http.Header{"X-A": {"1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := parseSaved([]byte(c.text), "s")
			require.NoError(t, err)
			require.Equal(t, webhook.Request{Method: c.method, URL: c.url, Header: c.header, Body: []byte(c.body)}, r)
		})
	}
	for _, text := range []string{"", "\n", "{}", "{\"a\": 1}\n\n", "X-A: 1", "X-A: 1\nno header\n\n", "POST / HTTP/1.1\nPOST / HTTP/1.1\n\n"} {
		_, err := parseSaved([]byte(text), "s")
		require.ErrorIs(t, err, errNoHeaders, "%q", text)
	}
}
