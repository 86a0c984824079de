//go:build integration

package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"eventgateway/test/services"
)

// webhookDocs is docs/webhooks.md from one heading to another.
func webhookDocs(t *testing.T, from, to string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(suite.root, "docs/webhooks.md"))
	require.NoError(t, err)
	_, text, found := strings.Cut(string(raw), "\n"+from+"\n")
	require.True(t, found, from)
	if to != "" {
		text, _, found = strings.Cut(text, "\n"+to+"\n")
		require.True(t, found, to)
	}
	return text
}

var (
	yamlBlock  = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")
	envInBlock = regexp.MustCompile(`\$\{(\w+)\}`)
)

// documented are the sources of the examples for each scheme, with secrets.
func documented(t *testing.T) (sources []map[string]any) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	for _, block := range yamlBlock.FindAllStringSubmatch(webhookDocs(t, "## Schemes", ""), -1) {
		text := envInBlock.ReplaceAllStringFunc(block[1], func(name string) string {
			switch name {
			case "${SENDGRID_PUBLIC_KEY}":
				return base64.StdEncoding.EncodeToString(der)
			case "${ADYEN_HMAC_KEY}":
				return "44782DEF547AAA06C910C43932B1EB0C"
			case "${WAREHOUSE_SECRET}":
				return "user:password"
			}
			return standardSecret
		})
		var cfg struct{ Webhooks []map[string]any }
		require.NoError(t, yaml.Unmarshal([]byte(text), &cfg))
		sources = append(sources, cfg.Webhooks...)
	}
	return sources
}

// command runs the gateway's binary.
func command(t *testing.T, in []byte, args ...string) (status int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	cmd := exec.CommandContext(t.Context(), suite.binary, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &o, &e
	_ = cmd.Run() // the status says whether it failed
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// sample is the sample delivery of a scheme and the header that goes with it.
func sample(t *testing.T, scheme string) (body []byte, header []string) {
	t.Helper()
	status, out, errOut := command(t, nil, "webhooks", "sample", scheme)
	require.Zero(t, status, errOut)
	if _, text, found := strings.Cut(strings.TrimSpace(errOut), "--header "); found {
		header = []string{"--header", strings.Trim(text, "'")}
	}
	return []byte(out), header
}

// TestEveryWebhookScheme delivers the sample of each scheme, signed by `gateway webhooks
// send`, to the example source of the documentation. Repeated deliveries are one record
// and one receipt, as a dead letter (the first source of each pair) and as an event. A
// scheme without an example fails the test.
func TestEveryWebhookScheme(t *testing.T) {
	_, usage, _ := command(t, nil, "webhooks", "sample", "--help")
	_, listed, _ := strings.Cut(usage, "Schemes: ")
	listed, _, _ = strings.Cut(listed, "\n")
	schemes := strings.Split(listed, ", ")
	require.Contains(t, schemes, "stripe")

	dir := t.TempDir()
	writeType(t, dir, eventType{name: unique("e2e") + ".none", xevent: map[string]any{"key": nil}, schema: map[string]any{}})
	o := options{schemas: dir}
	var pairs []schemePair
	var covered, topics []string
	for _, source := range documented(t) {
		pair := newSchemePair(t, source)
		pairs, covered, topics = append(pairs, pair), append(covered, pair.scheme), append(topics, pair.topic)
		o.webhooks = append(o.webhooks, pair.sources(source)...)
	}
	require.Subset(t, covered, schemes, "each has an example")
	require.Subset(t, schemes, covered)
	createTopics(t, services.Shared(t).Kafka, 3, topics...)
	g := startGateway(t, o)
	file := writeConfig(t, o.config(t))
	for _, pair := range pairs {
		t.Run(pair.scheme, func(t *testing.T) {
			t.Parallel()
			pair.deliver(t, g.addr, file, dir)
		})
	}
}

// schemePair is two sources of a scheme, which differ only in their names: one for
// deliveries before their event types exist, which become dead letters, and one for the
// same deliveries as events. Both write to one topic.
type schemePair struct{ scheme, dead, event, topic string }

func newSchemePair(t *testing.T, source map[string]any) schemePair {
	t.Helper()
	return schemePair{source["scheme"].(string), unique("hook"), unique("hook"), newTopicName(t)}
}

// sources are the settings of both.
func (p schemePair) sources(example map[string]any) (all []map[string]any) {
	for _, name := range []string{p.dead, p.event} {
		source := maps.Clone(example)
		source["name"], source["event_type"] = name, p.event+".{type}"
		source["dead_letter_topic"] = p.topic
		source["answer"] = map[string]any{"status": http.StatusAccepted} // the receipt, which some schemes hide
		if p.scheme == "dropbox" {                                       // whose deliveries are all different ones
			source["id"] = "/list_folder/accounts/0"
		}
		all = append(all, source)
	}
	return all
}

// deliver sends the scheme's sample as a dead letter and as an event, each several times.
// Event types are written to the folder schemas.
func (p schemePair) deliver(t *testing.T, addr, config, schemas string) {
	t.Helper()
	send := sender{t: t, gateway: addr, file: config}
	send.body, send.header = sample(t, p.scheme)
	first, ok := send.to(p.dead)
	if !ok {
		return
	}
	second, _ := send.to(p.dead)
	require.Equal(t, first, second)
	receipts := receiptsOf(t, first)
	for i, r := range receipts {
		require.Equal(t, p.topic, r.Topic, "a dead letter")
		require.True(t, strings.HasPrefix(r.Type, p.event+"."), r.Type)
		if !slices.ContainsFunc(receipts[:i], func(before receipt) bool { return before.Type == r.Type }) {
			writeType(t, schemas, eventType{name: r.Type, xevent: map[string]any{"topic": p.topic, "key": nil}, schema: map[string]any{}})
		}
	}
	requireOneEach(t, p.topic, receipts)

	// Now as events, with the key where the example has it.
	for _, r := range receipts {
		awaitType(t, addr, r.Type)
	}
	answers := make([]string, 4)
	each(len(answers), len(answers), func(i int) { answers[i], _ = send.untilAccepted(p.event) })
	for _, a := range answers {
		require.Equal(t, answers[0], a)
	}
	events := receiptsOf(t, answers[0])
	require.Len(t, events, len(receipts))
	for _, r := range events {
		require.Equal(t, "v1", r.Version, "%s is an event, not a dead letter", r.Type)
	}
	requireOneEach(t, p.topic, append(receipts, events...))
}

// sender sends a scheme's sample with the command.
type sender struct {
	t             *testing.T
	gateway, file string
	body          []byte
	header        []string
}

// to returns the answer's body. It reports false for a scheme with public keys only.
func (s sender) to(source string) (string, bool) {
	s.t.Helper()
	status, out, errOut := s.once(source)
	if status == 1 && strings.Contains(errOut, "public key") {
		return "", false
	}
	require.Zero(s.t, status, "%s%s", out, errOut)
	return strings.Split(out, "\n\n")[1], true
}

func (s sender) once(source string) (status int, out, errOut string) {
	s.t.Helper()
	return command(s.t, s.body, append([]string{
		"webhooks", "send", source, "-", "-c", s.file, "--url", "http://" + s.gateway + "/v1/webhooks/" + source,
	}, s.header...)...)
}

// untilAccepted retries after a 5xx, as providers do.
func (s sender) untilAccepted(source string) (body string, ok bool) {
	for range 50 {
		_, out, _ := s.once(source)
		if strings.HasPrefix(out, "202 ") {
			return strings.Split(out, "\n\n")[1], true
		}
		if !strings.HasPrefix(out, "5") {
			return out, false
		}
	}
	return "never accepted", false
}

func receiptsOf(t *testing.T, body string) []receipt {
	t.Helper()
	a := answer{status: http.StatusAccepted, body: []byte(body)}
	if strings.HasPrefix(body, `{"items":`) {
		return a.items(t)
	}
	return []receipt{a.receipt(t)}
}

// requireOneEach: the topic has the records of these receipts, and no others.
func requireOneEach(t *testing.T, topic string, receipts []receipt) {
	t.Helper()
	log := readTopic(t, services.Shared(t).Kafka, topic)
	requireCount(t, log.records, len(receipts))
	for _, r := range receipts {
		rec := log.at[position{r.Partition, r.Offset}]
		require.NotNil(t, rec)
		require.Equal(t, r.ID, header(rec, "ce_id"))
		require.True(t, json.Valid(rec.Value), "%s", rec.Value)
		if r.Key != nil {
			require.Equal(t, *r.Key, string(rec.Key))
		}
	}
}

func awaitType(t *testing.T, addr, eventType string) {
	t.Helper()
	eventually(t, patient, "event type is loaded", func() error {
		resp, err := http.Get("http://" + addr + "/v1/event-types/" + eventType)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return errExited
		}
		return nil
	})
}
