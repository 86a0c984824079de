package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/config"
	"eventgateway/internal/event"
	"eventgateway/internal/schema"
	"eventgateway/internal/webhook"
)

func TestPlanOfADelivery(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a", "v1.json"), []byte(`{"x-event":{"topic":"t","key":"/id"},"properties":{"n":{"type":"integer"}}}`), 0o600))
	set, err := schema.Load(dir)
	require.NoError(t, err)
	keep := config.Webhook{Name: "s", OnInvalid: config.OnInvalidDeadLetter}
	reject := config.Webhook{Name: "s", OnInvalid: config.OnInvalidReject}
	other, none := keep, keep
	other.Key = config.EntityKey{Given: true, Parts: [][]string{{"/n"}}}
	none.Key = config.EntityKey{Given: true}
	for name, c := range map[string]struct {
		source config.Webhook
		d      webhook.Delivery
		topic  string
		key    string
		kind   event.Kind
	}{
		"fits":                 {keep, webhook.Delivery{EventType: "a", Data: []byte(`{"id":"x"}`)}, "t", "x", ""},
		"key of the source":    {other, webhook.Delivery{EventType: "a", Data: []byte(`{"n":7}`)}, "t", "7", ""},
		"no entity":            {none, webhook.Delivery{EventType: "a", Data: []byte(`{}`)}, "t", "", ""},
		"key missing":          {keep, webhook.Delivery{EventType: "a", Data: []byte(`{}`)}, "webhooks.s.dead-letter", "", event.KeyMissing},
		"source's key missing": {other, webhook.Delivery{EventType: "a", Data: []byte(`{"id":"x"}`)}, "webhooks.s.dead-letter", "", event.KeyMissing},
		"does not fit":         {none, webhook.Delivery{EventType: "a", Data: []byte(`{"n":"x"}`)}, "webhooks.s.dead-letter", "", event.SchemaViolation},
		"does not fit, strict": {reject, webhook.Delivery{EventType: "a", Data: []byte(`{"id":"x","n":"x"}`)}, "", "", event.SchemaViolation},
		"no such type":         {keep, webhook.Delivery{EventType: "b"}, "webhooks.s.dead-letter", "", event.UnknownEventType},
		"not mapped":           {keep, webhook.Delivery{Err: event.Refuse(event.MalformedRequest, "No.")}, "webhooks.s.dead-letter", "", event.MalformedRequest},
		"not mapped, strict":   {reject, webhook.Delivery{Err: event.Refuse(event.MalformedJSON, "No.")}, "", "", event.MalformedJSON},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.d.ID = "d-1"
			p := planOf(c.source, c.d, set)
			require.Equal(t, c.topic, p.Topic)
			require.Equal(t, event.Identity{Kind: event.IdentityWebhook, Parts: []string{"d-1"}}.ClaimID("s"), p.ClaimID)
			if c.key == "" {
				require.Nil(t, p.Key)
			} else {
				require.Equal(t, c.key, *p.Key)
			}
			if c.kind == "" {
				require.Nil(t, p.Problem)
			} else {
				require.Equal(t, c.kind, p.Problem.Kind)
			}
		})
	}
}
