package config

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func webhooksOf(t *testing.T, text string) []Webhook {
	t.Helper()
	cfg, err := load("gateway.yaml", []byte("auth: none\nwebhooks:\n"+text), []string{"SECRET=s3cret"})
	require.NoError(t, err)
	return cfg.Webhooks
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	got := webhooksOf(t, `
  - { name: stripe, scheme: stripe, secrets: ["${SECRET}", other], event_type: "stripe.{type}", key: /data/object/id }
  - { name: shop, scheme: hmac, secrets: [a], event_type: x, key: [/a, /b], on_invalid: reject, tolerance: 1m, hmac: { header: X-Signature } }
  - { name: free, scheme: bearer, secrets: [a], event_type: x, key: null, dead_letter_topic: dead }
  - { name: plain, scheme: github, secrets: [a], event_type: x }
`)
	require.Equal(t, Webhook{
		Name: "stripe", Scheme: "stripe", Secrets: []Secret{"s3cret", "other"}, EventType: "stripe.{type}",
		Key: EntityKey{Given: true, Pointers: []string{"/data/object/id"}}, OnInvalid: OnInvalidDeadLetter, Tolerance: 5 * time.Minute,
	}, got[0])
	require.Equal(t, []string{"/a", "/b"}, got[1].Key.Pointers)
	require.Equal(t, &WebhookHMAC{Header: "X-Signature"}, got[1].HMAC)
	require.Equal(t, time.Minute, got[1].Tolerance)
	require.Equal(t, EntityKey{Given: true}, got[2].Key, "null is no entity")
	require.Equal(t, EntityKey{}, got[3].Key, "left out is the event type's")
	var topics []string
	for _, w := range got {
		topics = append(topics, w.DeadLetters())
	}
	require.Equal(t, []string{"webhooks.stripe.dead-letter", "", "dead", "webhooks.plain.dead-letter"}, topics)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", got, got, got), "s3cret")
}

func TestNoWebhooks(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "  []\n", "  null\n"} {
		require.Empty(t, webhooksOf(t, text), text)
	}
}

func TestSourceOfAValue(t *testing.T) {
	t.Parallel()
	cfg, err := load("gateway.yaml", []byte("auth: none\nwebhooks:\n  - name: a\n    event_type: x\n"), nil)
	require.NoError(t, err)
	for path, want := range map[string]string{
		"webhooks[0].name": "gateway.yaml:3", "webhooks[0].secrets": "gateway.yaml:3", "webhooks[1]": "gateway.yaml:3", "auth": "gateway.yaml:1", "http.listen": "",
	} {
		require.Equal(t, want, cfg.Source(path), path)
	}
}
