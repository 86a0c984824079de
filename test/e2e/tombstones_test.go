//go:build integration

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/test/services"
)

// remove deletes an entity once.
func (c *client) remove(t *testing.T, eventType, entity string, header map[string]string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+c.addr+"/v1/events/"+eventType+"/"+entity, http.NoBody)
	require.NoError(t, err)
	return c.do(t, req, header)
}

// ask gets the receipt of an Idempotency-Key.
func (c *client) ask(t *testing.T, key string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.addr+"/v1/receipts?idempotency_key="+key, http.NoBody)
	require.NoError(t, err)
	return c.do(t, req, nil)
}

// do sends a request with headers.
func (c *client) do(t *testing.T, req *http.Request, header map[string]string) answer {
	t.Helper()
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := c.http.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{status: resp.StatusCode, header: resp.Header, body: body}
}

// TestTombstones: a DELETE writes a record without a value under the key, with headers; a
// retry gets the same receipt, also after Redis has lost everything and was rebuilt from
// the log. Both clients and both guarantees write it, and read it back.
func TestTombstones(t *testing.T) {
	for name, c := range map[string]struct{ client, guarantee string }{
		"franz":                     {"franz", "idempotent"},
		"librdkafka":                {"librdkafka", "idempotent"},
		"franz, transactional":      {"franz", "transactional"},
		"librdkafka, transactional": {"librdkafka", "transactional"},
	} {
		t.Run(name, func(t *testing.T) {
			store := privateRedis(t)
			topic := newTopic(t)
			o := options{
				redis: []string{store.Addr()}, deliveryTimeout: 2 * time.Second, lease: 5 * time.Second, guarantee: c.guarantee,
				schemas: schemasFolder(t,
					eventType{name: "orders.placed", xevent: map[string]any{"topic": topic, "tombstones": true, "headers": map[string]any{"X-Tenant-Id": "tenant-id"}}},
					eventType{name: "orders.kept", xevent: map[string]any{"topic": topic}}),
			}
			cfg := o.config(t)
			cfg["kafka"].(map[string]any)["client"] = c.client
			cfg["kafka"].(map[string]any)["transactional_id_prefix"] = unique("gw")
			g := startConfigured(t, o, writeConfig(t, cfg))
			requireTombstones(t, newClient(t, g.addr, 4), store.Addr(), topic)
			requireAllTaken(t, g)
		})
	}
}

func requireTombstones(t *testing.T, c *client, redisAddr, topic string) {
	run := unique("tomb")
	order := newOrder(run, 1)
	placed := order.post("orders.placed")
	placed.header = map[string]string{"X-Tenant-Id": "t0"}
	first := c.mustSend(t, placed).receipt(t)
	key, entity := run+"-delete", *first.Key
	headers := map[string]string{"Idempotency-Key": key, "X-Tenant-Id": "t1", "X-Other": "o", "ce-subject": "s"}
	written := c.remove(t, "orders.placed", entity, headers).receipt(t)
	require.Equal(t, entity, *written.Key)
	require.Equal(t, first.Partition, written.Partition, "behind the entity's events")
	require.Greater(t, written.Offset, first.Offset)
	require.Equal(t, "orders.placed", written.Type)

	again := c.remove(t, "orders%2Eplaced", entity, headers)
	require.Equal(t, written, again.receipt(t))
	require.True(t, again.replayed())
	c.remove(t, "orders.placed", entity+"-other", headers).mustBe(t, http.StatusUnprocessableEntity, "idempotency-key-reused", "not-written")
	require.Equal(t, written, receiptIn(t, c.ask(t, key)))

	refused := c.remove(t, "orders.kept", entity, headers)
	refused.mustBe(t, http.StatusMethodNotAllowed, "method-not-allowed", "not-written")
	require.Equal(t, "POST", refused.header.Get("Allow"))

	// Redis loses everything: the claim comes back from the record without a value.
	rdb := redis.NewClient(&redis.Options{Addr: redisAddr})
	defer func() { _ = rdb.Close() }()
	require.NoError(t, rdb.FlushAll(t.Context()).Err())
	eventually(t, patient, "the store is rebuilt", func() error {
		if a := c.remove(t, "orders.placed", entity, headers); a.status != http.StatusAccepted {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		return nil
	})
	again = c.remove(t, "orders.placed", entity, headers)
	require.Equal(t, written, again.receipt(t), "read from the log")
	require.True(t, again.replayed())
	require.Equal(t, written, receiptIn(t, c.ask(t, key)))
	requireTombstoneInLog(t, topic, key, written)
}

// receiptIn is the receipt in the answer to a question, which is 200.
func receiptIn(t *testing.T, a answer) receipt {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	a.status = http.StatusAccepted
	return a.receipt(t)
}

func requireTombstoneInLog(t *testing.T, topic, key string, written receipt) {
	t.Helper()
	log := readTopic(t, services.Shared(t).Kafka, topic)
	require.Len(t, log.byClaim[claimOf(key)], 1, "written once")
	rec := log.at[position{written.Partition, written.Offset}]
	require.NotNil(t, rec)
	require.Nil(t, rec.Value, "null, and not empty")
	require.Equal(t, *written.Key, string(rec.Key))
	for name, want := range map[string]string{
		"ce_id": written.ID, "ce_type": "orders.placed", "ce_time": written.Time, "ce_subject": "s", "gw_version": "v1", "gw_claim": claimOf(key), "tenant-id": "t1",
	} {
		require.Equal(t, want, header(rec, name), name)
	}
	for _, absent := range []string{"content-type", "ce_dataschema", "X-Other", "x-other"} {
		require.False(t, hasHeader(rec, absent), absent)
	}
	var tenants []string
	for _, r := range log.records {
		tenants = append(tenants, header(r, "tenant-id"))
	}
	require.ElementsMatch(t, []string{"t0", "t1"}, tenants)
}

func hasHeader(r *kgo.Record, name string) bool {
	for _, h := range r.Headers {
		if h.Key == name {
			return true
		}
	}
	return false
}
