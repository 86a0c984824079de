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
		Key: EntityKey{Given: true, Parts: [][]string{{"/data/object/id"}}}, OnInvalid: OnInvalidDeadLetter, Tolerance: 5 * time.Minute,
	}, got[0])
	require.Equal(t, [][]string{{"/a"}, {"/b"}}, got[1].Key.Parts)
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

// What has several forms: a place, several parts, alternatives.
func TestWebhookPlaces(t *testing.T) {
	t.Parallel()
	got := webhooksOf(t, `
  - { name: a, event_type: x, id: "", type: /t, key: { first_of: [/a, /b] } }
  - { name: b, event_type: x, id: [/i, /j], type: ["header:X-Event", /action], key: [/k, { first_of: [/a, /b] }] }
  - { name: c, event_type: x, id: none, type: { first_of: [/t, [/u, /v]] }, key: { first_of: [/a, null] } }
  - { name: d, event_type: x, answer: { status: 204 }, challenge: { token: "${SECRET}" } }
  - { name: e, event_type: x, answer: { body: "", content_type: text/xml } }
  - { name: f, event_type: x, hmac: { header: X, secret_encoding: hex, signature_field: v1, timestamp_field: t, separator: ";" } }
`)
	require.Nil(t, got[0].ID, "the scheme's")
	require.Equal(t, Places{{"/t"}}, got[0].Type)
	require.Equal(t, EntityKey{Given: true, Parts: [][]string{{"/a", "/b"}}}, got[0].Key)
	require.Equal(t, Places{{"/i", "/j"}}, got[1].ID)
	require.Equal(t, Places{{"header:X-Event", "/action"}}, got[1].Type)
	require.Equal(t, [][]string{{"/k"}, {"/a", "/b"}}, got[1].Key.Parts)
	require.Equal(t, Places{{"none"}}, got[2].ID)
	require.Equal(t, Places{{"/t"}, {"/u", "/v"}}, got[2].Type)
	require.Equal(t, EntityKey{Given: true, Parts: [][]string{{"/a"}}, Optional: true}, got[2].Key)
	require.Equal(t, &WebhookAnswer{Status: 204}, got[3].Answer)
	require.Equal(t, &WebhookChallenge{Token: "s3cret"}, got[3].Challenge)
	require.Equal(t, &WebhookAnswer{ContentType: "text/xml", Body: AnswerBody{Given: true}}, got[4].Answer)
	require.Equal(t, &WebhookHMAC{Header: "X", SecretEncoding: "hex", SignatureField: "v1", TimestampField: "t", Separator: ";"}, got[5].HMAC)
	require.NotContains(t, fmt.Sprintf("%v %+v", got, *got[3].Challenge), "s3cret")
}

func TestWebhookPlacesThatAreWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"key: { first_of: [] }":               "webhooks[0].key.first_of: is a list, not a list of places",
		"key: { first_of: /a }":               "webhooks[0].key.first_of: is a single value, not a list of places",
		"key: { firstof: [/a] }":              "webhooks[0].key.firstof: is an unknown key; did you mean first_of?",
		"key: { first_of: [null, /a] }":       "webhooks[0].key.first_of[0]: has no value",
		"key: [/b, { first_of: [/a, null] }]": "webhooks[0].key: has a null beside other parts",
		"key: { first_of: [/a, b] }":          `webhooks[0].key: "b" is not a JSON Pointer`,
		"key: { first_of: [/a, /a] }":         "webhooks[0].key: names a place twice",
		"key: { first_of: [null] }":           "webhooks[0].key: has a part without a place",
		"id: { first_of: [[/a, null]] }":      "webhooks[0].id.first_of[0][1]: has no value",
		"type: [/a, [/b]]":                    "webhooks[0].type[1]: is a list, not a single value",
		"answer: 204":                         "webhooks[0].answer: is a single value, not a mapping",
		"answer: { status: ok }":              "webhooks[0].answer.status",
		"challenge: { tokn: a }":              "webhooks[0].challenge.tokn: is an unknown key; did you mean token?",
	} {
		_, err := load("gateway.yaml", []byte("auth: none\nwebhooks: [ { name: a, scheme: github, secrets: [s], event_type: x, "+text+" } ]\n"), nil)
		require.ErrorContains(t, err, want, text)
	}
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
