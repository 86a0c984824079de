//go:build integration

package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

// hookSecret signs deliveries that must be accepted.
var hookSecret = newSecret("webhook")

// sign is HMAC-SHA256 of the parts, one after another.
func sign(secret string, parts ...string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	for _, part := range parts {
		mac.Write([]byte(part))
	}
	return mac.Sum(nil)
}

func hexSign(secret string, parts ...string) string {
	return hex.EncodeToString(sign(secret, parts...))
}

func unixNow() string { return strconv.FormatInt(time.Now().Unix(), 10) }

// signed are the headers with which each provider sends a body, as its
// documentation says.
var signed = map[string]func(secret, id, body string) map[string]string{
	"stripe": func(secret, _, body string) map[string]string {
		at := unixNow()
		return map[string]string{"Stripe-Signature": "t=" + at + ",v1=" + hexSign(secret, at, ".", body)}
	},
	"github": func(secret, id, body string) map[string]string {
		return map[string]string{"X-Hub-Signature-256": "sha256=" + hexSign(secret, body), "X-GitHub-Delivery": id}
	},
	"slack": func(secret, _, body string) map[string]string {
		at := unixNow()
		return map[string]string{"X-Slack-Request-Timestamp": at, "X-Slack-Signature": "v0=" + hexSign(secret, "v0:", at, ":", body)}
	},
	"standard": func(secret, id, body string) map[string]string {
		at := unixNow()
		mac := base64.StdEncoding.EncodeToString(sign(secret, id, ".", at, ".", body))
		return map[string]string{"webhook-id": id, "webhook-timestamp": at, "webhook-signature": "v2,AAAA v1," + mac}
	},
	"hmac": func(secret, id, body string) map[string]string {
		at := unixNow()
		return map[string]string{"X-Id": id, "X-Time": at, "X-Sig": "v=" + base64.RawURLEncoding.EncodeToString(sign(secret, at, "|", id, "|", body))}
	},
	"bearer": func(secret, _, _ string) map[string]string {
		return map[string]string{"Authorization": "Bearer " + secret}
	},
}

// hook is a source of one test's own, whose event types begin with its name.
type hook struct {
	name, scheme string
	dead         string // its dead-letter topic
	topic        string // of its event type <name>.ok
	broker       string
	c            *client
}

// hooks are a gateway's sources, by the names that a test uses.
type hooks struct {
	g   *gateway
	all map[string]*hook
}

// hookTypes has one event type for each source: an object with a member "n" that is an
// integer if it is there.
func hookTypes(t *testing.T, list []*hook) string {
	var types []eventType
	for _, h := range list {
		types = append(types, eventType{
			name: h.name + ".ok", xevent: map[string]any{"topic": h.topic, "key": nil},
			schema: map[string]any{"type": "object", "properties": map[string]any{"n": map[string]any{"type": "integer"}}},
		})
	}
	return schemasFolder(t, types...)
}

// startHooks starts a gateway with a source for each of these; more has the source's
// additional settings.
func startHooks(t *testing.T, o options, sources map[string]map[string]any) hooks {
	t.Helper()
	hs := hooks{all: map[string]*hook{}}
	if o.kafka == "" {
		o.kafka = services.Shared(t).Kafka
	}
	var list []*hook
	var topics []string
	for called, more := range sources {
		name := unique("hook")
		h := &hook{name: name, dead: newTopicName(t), topic: newTopicName(t), scheme: called, broker: o.kafka}
		topics = append(topics, h.dead, h.topic)
		source := map[string]any{"name": name, "scheme": called, "secrets": []string{hookSecret}, "event_type": name + ".{type}"}
		for key, value := range more {
			source[key] = value
		}
		h.scheme = source["scheme"].(string)
		if source["on_invalid"] != "reject" {
			source["dead_letter_topic"] = h.dead
		}
		hs.all[called] = h
		list = append(list, h)
		o.webhooks = append(o.webhooks, source)
	}
	createTopics(t, o.kafka, 6, topics...)
	o.schemas = hookTypes(t, list)
	hs.g = startGateway(t, o)
	c := newClient(t, hs.g.addr, 32)
	for _, h := range list {
		h.c = c
	}
	return hs
}

// deliver posts as the provider would; headers go beside the signed ones.
func (h *hook) deliver(t *testing.T, id, body string, headers ...string) answer {
	t.Helper()
	a, err := h.try(hookSecret, id, body, headers...)
	require.NoError(t, err)
	return a
}

func (h *hook) try(secret, id, body string, headers ...string) (answer, error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+h.c.addr+"/v1/webhooks/"+h.name, io.NopCloser(bytes.NewReader([]byte(body))))
	if err != nil {
		return answer{}, err
	}
	req.ContentLength = int64(len(body))
	req.Header.Set("Content-Type", "application/json")
	for name, value := range signed[h.scheme](secret, id, body) {
		req.Header.Set(name, value)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := h.c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: raw}, err
}

func (h *hook) published(t *testing.T) *topicLog { return readTopic(t, h.broker, h.topic) }
func (h *hook) kept(t *testing.T) *topicLog      { return readTopic(t, h.broker, h.dead) }

// items are the receipts of a 202 for several events.
func (a answer) items(t *testing.T) (receipts []receipt) {
	t.Helper()
	require.Equal(t, http.StatusAccepted, a.status, "%s", a.body)
	var b struct {
		Items []struct {
			Index, Status int
			Receipt       receipt
		}
	}
	require.NoError(t, json.Unmarshal(a.body, &b))
	for i, item := range b.Items {
		require.Equal(t, [2]int{i, http.StatusAccepted}, [2]int{item.Index, item.Status})
		receipts = append(receipts, item.Receipt)
	}
	return receipts
}

// concurrently delivers one delivery many times at once, with the body of each attempt.
// Every attempt must get the receipt in the end: a provider retries after a 5xx.
func concurrently(t *testing.T, h *hook, id string, body func(i int) string, headers ...string) receipt {
	t.Helper()
	const n = 16
	receipts := make([]receipt, n)
	errs := make([]error, n)
	each(n, n, func(i int) {
		errs[i] = fmt.Errorf("never accepted")
		for range 200 {
			a, err := h.try(hookSecret, id, body(i), headers...)
			if err == nil && a.status == http.StatusAccepted {
				errs[i] = json.Unmarshal(a.body, &receipts[i])
				return
			}
			if err != nil {
				errs[i] = err
				return
			}
			if a.status < 500 {
				errs[i] = fmt.Errorf("%d %s", a.status, a.body)
				return
			}
			backoff.Sleep(t.Context(), 50*time.Millisecond)
		}
	})
	for i := range n {
		require.NoError(t, errs[i])
		require.Equal(t, receipts[0], receipts[i])
	}
	return receipts[0]
}

func sha256Sum(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}
