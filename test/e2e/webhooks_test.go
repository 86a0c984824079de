//go:build integration

package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// standardSecret is hookSecret as Standard Webhooks write it.
var standardSecret = "whsec_" + base64.StdEncoding.EncodeToString([]byte(hookSecret))

// newHookSecret replaces hookSecret; anotherSecret is not configured.
var newHookSecret, anotherSecret = newSecret("new webhook"), newSecret("another webhook")

// TestWebhooks: a delivery that a provider has signed becomes one record, however often
// and in whatever form it is sent; an unsigned one becomes none.
func TestWebhooks(t *testing.T) {
	hs := startHooks(t, options{}, map[string]map[string]any{
		"stripe":   {"secrets": []string{newHookSecret, hookSecret}, "key": "/data/object/id"},
		"github":   {"key": nil},
		"strict":   {"scheme": "github", "on_invalid": "reject"},
		"slack":    {"key": []string{"/event/team", "/event/channel"}, "answer": map[string]any{"status": 202}}, // else it is empty
		"standard": {"secrets": []string{standardSecret}, "key": "/data/id"},
		"hmac": {"id": "header:X-Id", "type": "/type", "key": "/k", "hmac": map[string]any{
			"header": "X-Sig", "prefix": "v=", "encoding": "base64url", "signed": "{timestamp}|{id}|{body}", "timestamp": "X-Time",
		}},
		"list": {"scheme": "bearer", "id": "/id", "type": "/type", "items": "/events", "key": "/k"},
	})
	for name, test := range map[string]func(*testing.T, *hook){
		"stripe": testStripe, "github": testGitHub, "strict": testStrict, "slack": testSlack, "list": testList,
		"standard": func(t *testing.T, h *hook) {
			requireOnce(t, h, "msg_1", `{"type":"ok","data":{"id":"in_1","amount":12345678901234567890}}`, "in_1")
		},
		"hmac": func(t *testing.T, h *hook) {
			requireOnce(t, h, "d-1", "{ \"type\":\"ok\",\r\n\"k\":\"k-1\" }\n", "k-1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, hs.all[name])
		})
	}
	t.Run("nobody", func(t *testing.T) {
		t.Parallel()
		nobody := *hs.all["stripe"]
		nobody.name = "nobody"
		nobody.deliver(t, "", "{}").mustBe(t, http.StatusNotFound, "unknown-source", "not-written")
	})
}

// requireOnce sends a valid delivery and checks its answers and its record.
func requireOnce(t *testing.T, h *hook, id, body, key string, headers ...string) receipt {
	t.Helper()
	first := h.deliver(t, id, body, headers...)
	r := first.receipt(t)
	require.False(t, first.replayed())
	require.Equal(t, [2]string{h.name + ".ok", h.topic}, [2]string{r.Type, r.Topic})
	again := h.deliver(t, id, body, headers...)
	require.True(t, again.replayed())
	require.Equal(t, first.body, again.body)
	require.Equal(t, r, concurrently(t, h, id, func(int) string { return body }, headers...))

	wrong, err := h.try(anotherSecret, id+"-2", body, headers...)
	require.NoError(t, err)
	wrong.mustBe(t, http.StatusUnauthorized, "unauthenticated", "not-written")
	require.Contains(t, wrong.header.Get("WWW-Authenticate"), `realm="`+h.name+`"`)
	require.NotContains(t, string(wrong.body), hookSecret)

	log := h.published(t)
	requireCount(t, log.records, 1)
	rec := log.at[position{r.Partition, r.Offset}]
	require.NotNil(t, rec)
	require.Equal(t, claimOfParts("webhook", h.name, id), header(rec, "gw_claim"))
	require.Equal(t, body, string(rec.Value), "to the byte")
	if key == "" {
		require.Nil(t, rec.Key)
		require.Nil(t, r.Key)
	} else {
		require.Equal(t, key, string(rec.Key))
	}
	for name, want := range map[string]string{
		"ce_type": h.name + ".ok", "ce_source": "/webhooks/" + h.name, "ce_id": r.ID, "ce_time": r.Time,
		"content-type": "application/json", "gw_version": "v1", "gw_problem": "",
	} {
		require.Equal(t, want, header(rec, name), name)
	}
	require.Empty(t, header(rec, "http_user-agent"), "the request's headers are for dead letters")
	return r
}

const stripeEvent = `{"id":%q,"type":"ok","pending_webhooks":%d,"data":{"object":{"id":"ch_1"}}}`

// A redelivery has the event's id, whatever attempt counter Stripe puts in it.
func testStripe(t *testing.T, h *hook) {
	r := requireOnce(t, h, "evt_1", fmt.Sprintf(stripeEvent, "evt_1", 3), "ch_1")
	for pending := range 3 {
		a := h.deliver(t, "", fmt.Sprintf(stripeEvent, "evt_1", pending))
		require.True(t, a.replayed())
		require.Equal(t, r, a.receipt(t))
	}
	second := concurrently(t, h, "", func(i int) string { return fmt.Sprintf(stripeEvent, "evt_2", i) })
	require.NotEqual(t, r.ID, second.ID)
	requireCount(t, h.published(t).records, 2, "evt_1 and evt_2")

	old := fmt.Sprint(time.Now().Add(-10 * time.Minute).Unix())
	body := fmt.Sprintf(stripeEvent, "evt_3", 1)
	a := h.deliver(t, "", body, "Stripe-Signature", "t="+old+",v1="+hexSign(hookSecret, old, ".", body))
	require.Contains(t, a.mustBe(t, http.StatusUnauthorized, "unauthenticated", "not-written").Detail, "old")
	requireCount(t, h.published(t).records, 2)

	requireDead(t, h, "evt_4", `{"id":"evt_4","type":"ok","n":"no integer","data":{"object":{"id":"ch_1"}}}`, "schema-violation")
	requireDead(t, h, "evt_5", `{"id":"evt_5","type":"ok","data":{}}`, "key-missing")
	requireDead(t, h, "evt_6", `{"id":"evt_6","type":"never.heard/of"}`, "unknown-event-type")
	requireCount(t, h.published(t).records, 2)
	requireCount(t, h.kept(t).records, 3)
}

// requireDead sends a verified delivery that does not fit its schema, several times.
func requireDead(t *testing.T, h *hook, id, body, why string, headers ...string) {
	t.Helper()
	headers = append(headers, "Authorization", "Basic c2VjcmV0", "X-Trace", "t-1")
	first := h.deliver(t, id, body, headers...)
	r := first.receipt(t)
	require.Equal(t, h.dead, r.Topic)
	require.Nil(t, r.Key)
	again := h.deliver(t, id, body, headers...)
	require.True(t, again.replayed())
	require.Equal(t, first.body, again.body)
	require.Equal(t, r, concurrently(t, h, id, func(int) string { return body }, headers...))
	log := h.kept(t)
	claim := claimOfParts("webhook", h.name, id)
	require.Len(t, log.byClaim[claim], 1)
	rec := log.at[position{r.Partition, r.Offset}]
	require.Same(t, log.byClaim[claim][0], rec)
	require.Equal(t, body, string(rec.Value))
	require.Nil(t, rec.Key)
	require.Equal(t, why, header(rec, "gw_problem"))
	require.NotEmpty(t, header(rec, "gw_problem_detail"))
	require.Equal(t, "t-1", header(rec, "http_x-trace"))
	require.Equal(t, "application/json", header(rec, "http_content-type"))
	require.Empty(t, header(rec, "http_authorization"))
}

func testGitHub(t *testing.T, h *hook) {
	requireOnce(t, h, "d-1", `{"action":"opened"}`, "", "X-GitHub-Event", "ok")
	requireDead(t, h, "d-2", `{"action":"opened"}`, "unknown-event-type", "X-GitHub-Event", "watch")
	ping := h.deliver(t, "d-3", `{"zen":"x"}`, "X-GitHub-Event", "ping")
	require.Equal(t, http.StatusOK, ping.status)

	// The identity of a body that is not JSON is its bytes.
	const broken = `{"action":`
	requireDead(t, h, fmt.Sprintf("%x", sha256Sum(broken)), broken, "malformed-json", "X-GitHub-Event", "ok")
	requireCount(t, h.published(t).records, 1)
	requireCount(t, h.kept(t).records, 2)
}

// With on_invalid: reject, no dead letter is kept, and a redelivery that fits is written.
func testStrict(t *testing.T, h *hook) {
	for range 2 {
		p := h.deliver(t, "d-1", `{"n":"no integer"}`, "X-GitHub-Event", "ok").mustBe(t, http.StatusUnprocessableEntity, "schema-violation", "not-written")
		require.False(t, p.Retryable)
		require.Equal(t, "/n", p.Errors[0].Pointer)
	}
	h.deliver(t, "d-1", `{}`, "X-GitHub-Event", "watch").mustBe(t, http.StatusNotFound, "unknown-event-type", "not-written")
	h.deliver(t, "d-1", `{`, "X-GitHub-Event", "ok").mustBe(t, http.StatusBadRequest, "malformed-json", "not-written")
	requireCount(t, h.published(t).records, 0)
	requireOnce(t, h, "d-1", `{"n":1}`, "", "X-GitHub-Event", "ok")
	requireCount(t, h.published(t).records, 1)
	requireNoTopic(t, h.broker, "webhooks."+h.name+".dead-letter")
}

func testSlack(t *testing.T, h *hook) {
	const challenge = `{"type":"url_verification","challenge":"c-7f3"}`
	a := h.deliver(t, "", challenge)
	require.Equal(t, [2]any{http.StatusOK, "c-7f3"}, [2]any{a.status, string(a.body)})
	wrong, err := h.try(anotherSecret, "", challenge)
	require.NoError(t, err)
	wrong.mustBe(t, http.StatusUnauthorized, "unauthenticated", "not-written")
	requireCount(t, h.published(t).records, 0)
	requireOnce(t, h, "Ev1", `{"type":"event_callback","event_id":"Ev1","event":{"type":"ok","team":"T:1","channel":"C1"}}`, "T%3A1:C1")
	requireCount(t, h.published(t).records, 1)
}

// A body with several events: each is one record, even if it is sent again together with
// other events.
func testList(t *testing.T, h *hook) {
	item := func(id, key string) string { return fmt.Sprintf(`{"id":%q, "type":"ok","k":%q}`, id, key) }
	send := func(items ...string) answer { return h.deliver(t, "", `{"events":[`+strings.Join(items, " , ")+`]}`) }
	first := send(item("1", "a"), item("2", "b"), item("3", "a"))
	receipts := first.items(t)
	require.Len(t, receipts, 3)
	again := send(item("1", "a"), item("2", "b"), item("3", "a"))
	require.True(t, again.replayed())
	require.Equal(t, first.body, again.body)
	other := send(item("4", "c"), item("2", "b"))
	require.False(t, other.replayed(), "not all of it")
	require.Equal(t, receipts[1], other.items(t)[1])
	log := h.published(t)
	requireCount(t, log.records, 4)
	for i, key := range []string{"a", "b", "a"} {
		rec := log.at[position{receipts[i].Partition, receipts[i].Offset}]
		require.Equal(t, item(fmt.Sprint(i+1), key), string(rec.Value), "the item's bytes")
		require.Equal(t, key, string(rec.Key))
	}
	require.Less(t, receipts[0].Offset, receipts[2].Offset, "one entity's events stay in order")

	// One does not fit: it is kept, the others are written.
	mixed := send(item("5", "a"), `{"id":"6","type":"ok","k":"a","n":"x"}`, item("7", "a")).items(t)
	require.Equal(t, []string{h.topic, h.dead, h.topic}, []string{mixed[0].Topic, mixed[1].Topic, mixed[2].Topic})
	requireCount(t, h.kept(t).records, 1)
	requireCount(t, h.published(t).records, 6)
	require.Equal(t, http.StatusOK, send().status, "an empty list has no event, and is not an error")
}

// TestWebhookWhileKafkaIsAway: the provider gets a 5xx, and its retry is written once.
func TestWebhookWhileKafkaIsAway(t *testing.T) {
	kafka := privateKafka(t)
	const lease = 12 * time.Second
	hs := startHooks(t, options{kafka: kafka.Addr(), deliveryTimeout: 3 * time.Second, lease: lease}, map[string]map[string]any{"stripe": {"key": nil}})
	h := hs.all["stripe"]
	h.deliver(t, "", fmt.Sprintf(stripeEvent, "evt_0", 1)).receipt(t)
	require.NoError(t, kafka.Kill())
	body := fmt.Sprintf(stripeEvent, "evt_1", 2)
	away := h.deliver(t, "", body)
	p, err := away.problem()
	require.NoError(t, err)
	require.Contains(t, []string{"503 log-unavailable not-written", "504 outcome-unknown unknown"}, outcomeOf(p))
	require.True(t, p.Retryable)
	require.NotEmpty(t, away.header.Get("Retry-After"))
	require.NoError(t, kafka.Restart(t.Context()))
	var r receipt
	eventually(t, lease+30*time.Second, "the redelivery is accepted", func() error {
		a := h.deliver(t, "", fmt.Sprintf(stripeEvent, "evt_1", 1))
		if a.status != http.StatusAccepted {
			require.GreaterOrEqual(t, a.status, 500, "a provider would give up: %s", a.body)
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		r = a.receipt(t)
		return nil
	})
	require.Equal(t, r, h.deliver(t, "", body).receipt(t))
	log := h.published(t)
	require.Len(t, log.byClaim[claimOfParts("webhook", h.name, "evt_1")], 1)
	requireCount(t, log.records, 2)
}
