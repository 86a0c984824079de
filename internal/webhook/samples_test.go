package webhook

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sample is a delivery of one scheme, for the tests that hold for every scheme.
type sample struct {
	scheme  string
	secrets [2]string // two good ones
	body    string
	header  http.Header // what Sign does not set
	cfg     Config      // further fields
	// counts are the headers that the verifier reads.
	counts []string
	// signed are the headers besides the signature that are signed.
	signed []string
	// stamped says that the scheme signs a timestamp; it is in the header stampIn, if not
	// in the body.
	stamped bool
	stampIn string
	// unsigned says that the body is not signed.
	unsigned bool
	// unnamed says that deliveries have no id.
	unnamed bool
	// loose says that some other bodies are under the same signature.
	loose bool
	// change changes what is signed in the body; nil appends a space.
	change func(body string) string
	// sign signs with one of the secrets, where Sign cannot.
	sign func(t testing.TB, secret string, r *Request, now time.Time)
	// wrong is the reason of a wrong secret, if not SignatureMismatch.
	wrong Reason
}

var samples = []sample{
	{
		scheme: "standard", secrets: [2]string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_plJ3nmyCDGBKInavdOK15jsl"},
		body:   `{"type":"invoice.paid","data":{"id":"in_1"}}`,
		counts: []string{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}, signed: []string{"Webhook-Id"}, stamped: true, stampIn: "Webhook-Timestamp",
	},
	{
		scheme: "stripe", secrets: [2]string{"whsec_first", "whsec_second"}, body: chargeSucceeded,
		counts: []string{"Stripe-Signature"}, stamped: true, stampIn: "Stripe-Signature",
	},
	{
		scheme: "github", secrets: [2]string{"first-secret", "second-secret"}, body: `{"action":"opened"}`,
		header: header("X-GitHub-Event", "issues"), counts: []string{"X-Hub-Signature-256"},
	},
	{
		scheme: "shopify", secrets: [2]string{"first-secret", "second-secret"}, body: `{"id":820982911946154508}`,
		header: header("X-Shopify-Topic", "orders/create"), counts: []string{"X-Shopify-Hmac-Sha256"},
	},
	{
		scheme: "slack", secrets: [2]string{"first-secret", "second-secret"}, body: `{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention"}}`,
		counts: []string{"X-Slack-Signature", "X-Slack-Request-Timestamp"}, stamped: true, stampIn: "X-Slack-Request-Timestamp",
	},
	{
		scheme: "gitlab", secrets: [2]string{"first-token", "second-token"}, body: `{"object_kind":"push"}`,
		counts: []string{"X-Gitlab-Token"}, unsigned: true, wrong: WrongCredentials,
	},
	{
		scheme: "gitlab", secrets: [2]string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_plJ3nmyCDGBKInavdOK15jsl"}, body: `{"object_kind":"push"}`,
		counts: []string{"Webhook-Signature", "Webhook-Id", "Webhook-Timestamp"}, signed: []string{"Webhook-Id"}, stamped: true, stampIn: "Webhook-Timestamp",
	},
	{
		scheme: "bitbucket", secrets: [2]string{"first-secret", "second-secret"}, body: `{"push":{}}`,
		header: header("X-Event-Key", "repo:push"), counts: []string{"X-Hub-Signature"},
	},
	{
		scheme: "twilio", secrets: [2]string{"first-secret", "second-secret"}, body: "MessageSid=SM1&MessageStatus=sent&To=%2B1", cfg: Config{PublicURL: "https://events.example.com/sms"},
		header: header("Content-Type", formType), counts: []string{"X-Twilio-Signature"}, loose: true,
	},
	{
		scheme: "sendgrid", secrets: [2]string{sendgridPublic, otherSendgridPublic}, body: `[{"event":"open","sg_event_id":"a"},{"event":"click","sg_event_id":"b"}]`,
		counts: []string{"X-Twilio-Email-Event-Webhook-Signature", "X-Twilio-Email-Event-Webhook-Timestamp"}, stamped: true, stampIn: "X-Twilio-Email-Event-Webhook-Timestamp",
		sign: signSendgrid,
	},
	{
		scheme: "square", secrets: [2]string{"first-secret", "second-secret"}, body: `{"type":"payment.updated","event_id":"e1"}`, cfg: Config{PublicURL: "https://events.example.com/sq"},
		counts: []string{"X-Square-Hmacsha256-Signature"},
	},
	{
		scheme: "paddle", secrets: [2]string{"first-secret", "second-secret"}, body: `{"event_type":"price.created","event_id":"e1"}`,
		counts: []string{"Paddle-Signature"}, stamped: true, stampIn: "Paddle-Signature",
	},
	{
		scheme: "hubspot", secrets: [2]string{"first-secret", "second-secret"}, cfg: Config{PublicURL: "https://events.example.com/hs"},
		body:   `[{"eventId":1,"subscriptionId":2,"portalId":3,"occurredAt":4,"objectId":5,"subscriptionType":"contact.creation","attemptNumber":0}]`,
		counts: []string{"X-Hubspot-Signature-V3", "X-Hubspot-Request-Timestamp"}, stamped: true, stampIn: "X-Hubspot-Request-Timestamp",
	},
	{
		scheme: "linear", secrets: [2]string{"first-secret", "second-secret"}, body: `{"action":"create","type":"Issue"}`,
		counts: []string{"Linear-Signature"}, stamped: true,
	},
	{
		scheme: "zendesk", secrets: [2]string{"first-secret", "second-secret"}, body: `{"type":"zen:event-type:user.created"}`,
		counts: []string{"X-Zendesk-Webhook-Signature", "X-Zendesk-Webhook-Signature-Timestamp"}, stamped: true, stampIn: "X-Zendesk-Webhook-Signature-Timestamp",
	},
	{
		scheme: "mailgun", secrets: [2]string{"first-secret", "second-secret"}, body: `{"event-data":{"event":"opened","id":"e1"}}`, stamped: true,
		change: func(body string) string { return strings.Replace(body, `"token":"`, `"token":"0`, 1) },
	},
	{
		scheme: "intercom", secrets: [2]string{"first-secret", "second-secret"}, body: `{"topic":"user.created","id":"notif_1"}`,
		counts: []string{"X-Hub-Signature"},
	},
	{
		scheme: "adyen", secrets: [2]string{"4478", "2DEF"},
		body: `{"notificationItems":[{"NotificationRequestItem":{"pspReference":"1","eventCode":"CAPTURE","success":"true","amount":{"value":1130,"currency":"EUR"}}},` +
			`{"NotificationRequestItem":{"pspReference":"2","eventCode":"REFUND","success":"false"}}]}`,
		change: func(body string) string { return strings.Replace(body, "1130", "1131", 1) },
	},
	{
		scheme: "adyen-platform", secrets: [2]string{"4478", "2DEF"}, body: `{"type":"balancePlatform.balanceAccount.created","data":{"id":"BA1"}}`,
		counts: []string{"Hmacsignature"},
	},
	{
		scheme: "meta", secrets: [2]string{"first-secret", "second-secret"}, body: `{"object":"page","entry":[{"id":"1","time":1}]}`,
		cfg: Config{Challenge: &Challenge{Token: "verify-me"}}, counts: []string{"X-Hub-Signature-256"},
	},
	{
		scheme: "dropbox", secrets: [2]string{"first-secret", "second-secret"}, body: `{"list_folder":{"accounts":["dbid:1"]}}`,
		counts: []string{"X-Dropbox-Signature"}, unnamed: true,
	},
	{
		scheme: "trello", secrets: [2]string{"first-secret", "second-secret"}, body: `{"action":{"id":"a1","type":"updateCard"}}`,
		cfg: Config{PublicURL: "https://events.example.com/trello"}, counts: []string{"X-Trello-Webhook"},
	},
	{
		scheme: "zoom", secrets: [2]string{"first-secret", "second-secret"}, body: `{"event":"meeting.started","event_ts":1700000000000}`,
		counts: []string{"X-Zm-Signature", "X-Zm-Request-Timestamp"}, stamped: true, stampIn: "X-Zm-Request-Timestamp",
	},
	{
		scheme: "okta", secrets: [2]string{"first-secret", "second-secret"}, body: `{"data":{"events":[{"uuid":"u1","eventType":"user.session.start"}]}}`,
		counts: []string{"Authorization"}, unsigned: true, wrong: WrongCredentials,
	},
	{
		scheme: "sendgrid-inbound", secrets: [2]string{sendgridPublic, otherSendgridPublic}, body: "subject=Hello&from=a%40example.com",
		header: header("Content-Type", formType),
		counts: []string{"X-Twilio-Email-Event-Webhook-Signature", "X-Twilio-Email-Event-Webhook-Timestamp"}, stamped: true, stampIn: "X-Twilio-Email-Event-Webhook-Timestamp",
		sign: signSendgrid,
	},
	{
		scheme: "hmac", secrets: [2]string{"first-secret", "second-secret"}, body: `{"kind":"a"}`,
		cfg: Config{Type: "/kind", HMAC: &HMAC{
			Header: "X-List", Prefix: "sig:", Encoding: "base64", Signed: "{timestamp}.{body}", SignatureField: "v1", TimestampField: "t", Separator: ";",
		}},
		counts: []string{"X-List"}, stamped: true, stampIn: "X-List",
	},
	{
		scheme: "hmac", secrets: [2]string{"first-secret", "second-secret"}, body: `{"kind":"a"}`,
		cfg:    Config{Type: "/kind", HMAC: &HMAC{Header: "X-Token", Algorithm: "token", Prefix: "Token "}},
		counts: []string{"X-Token"}, unsigned: true, wrong: WrongCredentials,
	},
	{
		scheme: "hmac", secrets: [2]string{"first-secret", "second-secret"}, body: `{"kind":"a"}`,
		cfg: Config{
			ID: "header:X-Id", Type: "/kind", PublicURL: "https://events.example.com/hook",
			HMAC: &HMAC{Header: "X-Sig", Signed: "{id} {timestamp} {method} {url} {header:X-Tenant} {body}", Timestamp: "X-Time"},
		},
		header: header("X-Tenant", "t1"),
		counts: []string{"X-Sig", "X-Time", "X-Id", "X-Tenant"}, signed: []string{"X-Id", "X-Tenant"}, stamped: true, stampIn: "X-Time",
	},
	{
		scheme: "basic", secrets: [2]string{"user:first-secret", "user:second-secret"}, body: `{"kind":"a"}`, cfg: Config{Type: "/kind"},
		counts: []string{"Authorization"}, unsigned: true, wrong: WrongCredentials,
	},
	{
		scheme: "bearer", secrets: [2]string{"first-secret", "second-secret"}, body: `{"kind":"a"}`, cfg: Config{Type: "/kind"},
		counts: []string{"Authorization"}, unsigned: true, wrong: WrongCredentials,
	},
}

// The first pair is that of github.com/sendgrid/sendgrid-go,
// helpers/eventwebhook/eventwebhook_test.go; openssl made the other one.
const (
	sendgridPublic       = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA=="
	sendgridPrivate      = "MHcCAQEEIEQmZgBEh9DcU9zMl34czK3xov4AYvm9P3r7rNB2dNXtoAoGCCqGSM49AwEHoUQDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA=="
	otherSendgridPublic  = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEJK7fMl7nqlYOhW+OaVb5TdEMuGy/vLphvW2w3ocXkbIwmQ7llm8LaRph/l4nLPXW+I2u4CUWZ5zJucURDsTDtw=="
	otherSendgridPrivate = "MHcCAQEEIPxHkv/k/M64I+BXT2gApyyfUkLDJuuBYtWfxfcvONvioAoGCCqGSM49AwEHoUQDQgAEJK7fMl7nqlYOhW+OaVb5TdEMuGy/vLphvW2w3ocXkbIwmQ7llm8LaRph/l4nLPXW+I2u4CUWZ5zJucURDsTDtw=="
)

// signSendgrid signs as the provider does, with the private key of a public one.
func signSendgrid(t testing.TB, secret string, r *Request, at time.Time) {
	private := sendgridPrivate
	if secret == otherSendgridPublic {
		private = otherSendgridPrivate
	}
	der, err := base64.StdEncoding.DecodeString(private)
	require.NoError(t, err)
	key, err := x509.ParseECPrivateKey(der)
	require.NoError(t, err)
	timestamp := strconv.FormatInt(at.Unix(), 10)
	sum := sha256.Sum256(append([]byte(timestamp), r.Body...))
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	require.NoError(t, err)
	r.Header.Set("X-Twilio-Email-Event-Webhook-Timestamp", timestamp)
	r.Header.Set("X-Twilio-Email-Event-Webhook-Signature", base64.StdEncoding.EncodeToString(signature))
}

// now is the time of the samples.
var now = time.Unix(1_700_000_000, 0)

// source makes the sample's source with some secrets.
func (m sample) source(t testing.TB, secrets ...string) *Source {
	cfg := m.cfg
	cfg.Name, cfg.Scheme, cfg.Secrets, cfg.EventType = "src", m.scheme, secrets, m.scheme+".{type}"
	s, err := New(cfg)
	require.NoError(t, err)
	return s
}

// request makes the sample's request, signed with a secret at a time.
func (m sample) request(t testing.TB, secret string, at time.Time) Request {
	r := Request{Method: http.MethodPost, URL: "/v1/webhooks/src?tenant=7", Header: cloned(m.header), Body: []byte(m.body)}
	if m.sign != nil {
		m.sign(t, secret, &r, at)
		return r
	}
	require.NoError(t, m.source(t, secret).Sign(&r, "id-1", at))
	return r
}

func (m sample) wrongReason() Reason {
	if m.wrong != "" {
		return m.wrong
	}
	return SignatureMismatch
}

func requireRejection(t testing.TB, err error, reasons ...Reason) {
	var rejection *Rejection
	require.ErrorAs(t, err, &rejection)
	require.Contains(t, reasons, rejection.Reason, rejection.Detail)
	require.NotEmpty(t, rejection.Detail)
}

func requireVerified(t testing.TB, s *Source, r Request, at time.Time) []Delivery {
	in, err := s.Receive(r, at)
	require.NoError(t, err)
	require.Nil(t, in.Answer)
	require.NotEmpty(t, in.Deliveries)
	for _, d := range in.Deliveries {
		require.Nil(t, d.Err)
		require.Equal(t, s.unnamed, d.ID == "")
		require.NotEmpty(t, d.EventType)
		require.NotEmpty(t, d.Data)
	}
	return in.Deliveries
}

func eachSample(t *testing.T, f func(t *testing.T, m sample)) {
	t.Parallel()
	have := map[string]bool{}
	for _, m := range samples {
		have[m.scheme] = true
		name := m.scheme
		if len(m.counts) > 0 {
			name += " " + m.counts[0]
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, m)
		})
	}
	for _, name := range Schemes() {
		require.True(t, have[name], "%s has no sample", name)
	}
}
