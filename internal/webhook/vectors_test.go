package webhook

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// vector is a request whose signature somebody else computed.
type vector struct {
	name   string
	scheme string
	secret string
	url    string // received
	public string // as the provider was given it
	header http.Header
	body   string
	now    int64
	hmac   *HMAC
	id     string

	challenge   *Challenge
	otherSecret string // a wrong one, if not any text
}

// header makes a header of names and values.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

const chargeSucceeded = `{"id":"evt_1PqrsT2eZvKYlo2C","object":"event","type":"charge.succeeded"}`

const (
	twilioURL  = "https://mycompany.com/myapp.php?foo=1&bar=2"
	twilioForm = "To=%2B18005551212&CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&Caller=%2B14158675309"
)

// Where no provider publishes a vector, this one was made with the openssl command
// that is noted beside it: an implementation of HMAC that is not ours, over what the
// provider's documentation says is signed.
var vectors = []vector{
	{
		// source: Svix's documentation, "Verifying webhooks manually".
		name: "svix", scheme: "standard", secret: "whsec_plJ3nmyCDGBKInavdOK15jsl",
		header: header("svix-id", "msg_loFOjxBNrRLzqYUf", "svix-timestamp", "1731705121", "svix-signature", "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="),
		body:   `{"event_type":"ping","data":{"success":true}}`, now: 1731705121,
	},
	{
		// source: github.com/standard-webhooks/standard-webhooks, libraries/go/webhook_symmetric_test.go.
		name: "standard v1", scheme: "standard", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		header: header("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp", "1614265330", "webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
		body:   `{"test": 2432232314}`, now: 1614265330,
	},
	{
		// source: github.com/standard-webhooks/standard-webhooks,
		// libraries/go/webhook_asymmetric_test.go; it has the private key, of which openssl
		// made the public one.
		name: "standard v1a", scheme: "standard", secret: "whpk_ZlN4eg7dSSqi0moX9hQUk3orrOouK3QVQSlJa248c/g=",
		header: header("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp", "1614265330",
			"webhook-signature", "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="),
		body: `{"test": 2432232314}`, now: 1614265330,
	},
	{
		// made: printf '%s' "1700000000.$body" | openssl dgst -sha256 -hmac whsec_test_secret
		name: "stripe", scheme: "stripe", secret: "whsec_test_secret",
		header: header("Stripe-Signature", "t=1700000000,v1=a64eaa02b5b9a59796fdb3cfba69ac6426cfbb3da4d8f0b4760f19e0ed6fd525,v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"),
		body:   chargeSucceeded, now: 1700000000,
	},
	{
		// source: GitHub's documentation, "Validating webhook deliveries".
		name: "github", scheme: "github", secret: "It's a Secret to Everybody",
		header: header("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
		body:   "Hello, World!",
	},
	{
		// made: printf '%s' "$body" | openssl dgst -sha256 -hmac hush -binary | base64
		name: "shopify", scheme: "shopify", secret: "hush",
		header: header("X-Shopify-Hmac-Sha256", "zGidTl1N+jzFR/Yz6A/LIdxBazAqisUDmK5Kycw7ImQ="),
		body:   chargeSucceeded,
	},
	{
		// source: Slack's documentation, "Verifying requests from Slack".
		name: "slack", scheme: "slack", secret: "8f742231b10e8888abcd99yyyzzz85a5",
		header: header("X-Slack-Request-Timestamp", "1531420618", "X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
		body: "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA" +
			"&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN" +
			"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
		now: 1531420618,
	},
	{
		// source: github.com/standard-webhooks/standard-webhooks, libraries/go/webhook_symmetric_test.go:
		// GitLab's merge request 230944 says that its signing token follows that specification.
		name: "gitlab signing token", scheme: "gitlab", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		header: header("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp", "1614265330", "webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
		body:   `{"test": 2432232314}`, now: 1614265330,
	},
	{
		// source: Atlassian's documentation, "Secure webhooks", which Bitbucket and Jira share.
		name: "bitbucket", scheme: "bitbucket", secret: "It's a Secret to Everybody",
		header: header("X-Hub-Signature", "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"),
		body:   "Hello World!",
	},
	{
		// source: github.com/twilio/twilio-python, tests/unit/test_request_validator.py.
		name: "twilio form", scheme: "twilio", secret: "12345", public: twilioURL, url: "/v1/webhooks/twilio?foo=1&bar=2",
		header: header("X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "Content-Type", formType),
		body:   twilioForm,
	},
	{
		// source: the same; a request whose URL was given with a port, which was not signed.
		name: "twilio port", scheme: "twilio", secret: "12345", public: "https://mycompany.com:1234/myapp.php", url: "/v1/webhooks/twilio?foo=1&bar=2",
		header: header("X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "Content-Type", formType),
		body:   twilioForm,
	},
	{
		// source: the same; a field with several values, one of them twice.
		name: "twilio repeated fields", scheme: "twilio", secret: "12345", public: twilioURL, url: "/v1/webhooks/twilio?foo=1&bar=2",
		header: header("X-Twilio-Signature", "IK+Dwps556ElfBT0I3Rgjkr1wJU=", "Content-Type", formType),
		body:   "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234",
	},
	{
		// source: github.com/twilio/twilio-go, client/request_validator_test.go; one name starts
		// with another.
		name: "twilio order", scheme: "twilio", secret: "12345", public: twilioURL, url: "/v1/webhooks/twilio?foo=1&bar=2",
		header: header("X-Twilio-Signature", "vOEb5UThFn24KEfnOFLQY2AE5FY=", "Content-Type", formType),
		body:   twilioForm + "&ReasonConferenceEnded=test&Reason=Participant",
	},
	{
		// source: github.com/twilio/twilio-python, tests/unit/test_request_validator.py.
		name: "twilio JSON", scheme: "twilio", secret: "12345", public: twilioURL,
		url:    "/v1/webhooks/twilio?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620",
		header: header("X-Twilio-Signature", "a9nBmqA0ju/hNViExpshrM61xv4=", "Content-Type", "application/json"),
		body:   `{"property": "value", "boolean": true}`,
	},
	{
		// made: printf '%s' "$url$names_and_values" | openssl dgst -sha256 -hmac 'rule key' -binary | base64;
		// github.com/twilio/twilio-node, examples/WebhookSignatureValidation.md: only the hash
		// changes.
		name: "twilio webhooks rule", scheme: "twilio", secret: "rule key", public: twilioURL, url: "/v1/webhooks/twilio?foo=1&bar=2",
		header: header("X-Twilio-Signature", "JAvZqw96qiHSpmsf5vsUbmqbApTLiDBvEeJeUsYi3jg=", "Content-Type", formType),
		body:   twilioForm,
	},
	{
		// source: github.com/sendgrid/sendgrid-go, helpers/eventwebhook/eventwebhook_test.go.
		name: "sendgrid", scheme: "sendgrid", secret: sendgridPublic,
		header: header("X-Twilio-Email-Event-Webhook-Timestamp", "1588788367",
			"X-Twilio-Email-Event-Webhook-Signature", "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nlxFDWYNH2j/0="),
		body: `{"category":"example_payload","event":"test_event","message_id":"message_id"}`, now: 1588788367,
	},
	{
		// source: Square's documentation, "Verify and validate an event notification".
		name: "square", scheme: "square", secret: "asdf1234", public: "https://example.com/webhook",
		header: header("X-Square-HmacSha256-Signature", "2kRE5qRU2tR+tBGlDwMEw2avJ7QM4ikPYD/PJ3bd9Og="),
		body:   `{"hello":"world"}`,
	},
	{
		// source: github.com/PaddleHQ/paddle-go-sdk, example_webhook_verifier_test.go.
		name: "paddle", scheme: "paddle", secret: "pdl_ntfset_01hsdn8d43dt7mezr1ef2jtbaw_hKkRiCGyyRhbFwIUuqiTBgI7gnWoV0Gr",
		header: header("Paddle-Signature", "ts=1710929255;h1=6c05ef8fa83c44d751be6d259ec955ce5638e2c54095bf128e408e2fce1589c8"),
		body: `{"data":{"id":"pri_01hsdn96k2hxjzsq5yerecdj9j","name":null,"status":"active","quantity":{"maximum":999999,"minimum":1},"tax_mode":"account_setting",` +
			`"product_id":"pro_01hsdn8qp7yydry3x1yeg6a9rv","unit_price":{"amount":"1000","currency_code":"USD"},"custom_data":null,"description":"testing","import_meta":null,` +
			`"trial_period":null,"billing_cycle":{"interval":"month","frequency":1},"unit_price_overrides":[]},"event_id":"evt_01hsdn97563968dy0szkmgjwh3",` +
			`"event_type":"price.created","occurred_at":"2024-03-20T10:07:35.590857Z","notification_id":"ntf_01hsdn977e920kbgzt6r6c9rqc"}`,
		now: 1710929255,
	},
	{
		// made: printf '%s' "POST$url$body$timestamp" | openssl dgst -sha256 -hmac "$secret" -binary | base64,
		// with "@" for the "%40" of the URL, as HubSpot's documentation says.
		name: "hubspot", scheme: "hubspot", secret: "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy",
		public: "https://www.example.com/webhook_uri?to=a%40b.example", url: "/v1/webhooks/hubspot?to=a%40b.example",
		header: header("X-HubSpot-Request-Timestamp", "1700000000000", "X-HubSpot-Signature-v3", "W4uE4U0hTm+1VUBIzxSy2zwgab2TrRN9Zyap+dsXUFA="),
		body:   `{"example_field":"example_value"}`, now: 1700000000,
	},
	{
		// made: printf '%s' "$body" | openssl dgst -sha256 -hmac lin_wh_secret
		name: "linear", scheme: "linear", secret: "lin_wh_secret",
		header: header("Linear-Signature", "91e919dc0fd99df1cae12efef1ca08b082cfa523f101b572ec14ed98863fdf35"),
		body:   `{"action":"create","type":"Issue","webhookTimestamp":1700000000000}`, now: 1700000000,
	},
	{
		// made: printf '%s' "$timestamp$body" | openssl dgst -sha256 -hmac "$secret" -binary | base64; the
		// secret is the one that Zendesk's documentation has for tests.
		name: "zendesk", scheme: "zendesk", secret: "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ==",
		header: header("X-Zendesk-Webhook-Signature-Timestamp", "2021-03-25T05:09:27Z", "X-Zendesk-Webhook-Signature", "WqjeKlTMqPFNOOw7lRqyA+5YPYaAGVNzz5phdgweVhw="),
		body:   `{"create":"request"}`, now: 1616648967,
	},
	{
		// made: printf '%s' "$timestamp$token" | openssl dgst -sha256 -hmac mailgun-signing-key; the token is
		// that of Mailgun's documentation.
		name: "mailgun", scheme: "mailgun", secret: "mailgun-signing-key",
		body: `{"signature":{"token":"e0b5477167110d68991efc6b9f89f0a11066af27834600e123","timestamp":"1700000000",` +
			`"signature":"c79b7b312f6a86cac22c27fc28725cc5e988732b11ba732e65a9df64ad329613"},"event-data":{"event":"opened"}}`,
		now: 1700000000,
	},
	{
		// The same signature in the form that routes post.
		name: "mailgun form", scheme: "mailgun", secret: "mailgun-signing-key", header: header("Content-Type", formType),
		body: "token=e0b5477167110d68991efc6b9f89f0a11066af27834600e123&timestamp=1700000000&signature=c79b7b312f6a86cac22c27fc28725cc5e988732b11ba732e65a9df64ad329613",
		now:  1700000000,
	},
	{
		// made: printf '%s' "$body" | openssl dgst -sha1 -hmac client-secret
		name: "intercom", scheme: "intercom", secret: "client-secret",
		header: header("X-Hub-Signature", "sha1=481b16421ac97d85b673a10250936ea35bc18c3f"),
		body:   `{"type":"notification_event","id":"notif_1","topic":"user.created"}`,
	},
	{
		// source: github.com/Adyen/adyen-ruby-api-library, spec/utils/hmac_validator_spec.rb.
		name: "adyen", scheme: "adyen", secret: "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
		body: `{"live":"false","notificationItems":[{"NotificationRequestItem":{"additionalData":{"hmacSignature":"coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="},` +
			`"amount":{"value":1130,"currency":"EUR"},"pspReference":"7914073381342284","eventCode":"AUTHORISATION","merchantAccountCode":"TestMerchant",` +
			`"merchantReference":"TestPayment-1407325143704","paymentMethod":"visa","success":"true"}}]}`,
	},
	{
		// source: github.com/Adyen/adyen-java-api-library, WebhookTest.java.
		name: "adyen-platform", scheme: "adyen-platform", secret: "D7DD5BA6146493707BF0BE7496F6404EC7A63616B7158EC927B9F54BB436765F",
		header: header("HmacSignature", "9Qz9S/0xpar1klkniKdshxpAhRKbiSAewPpWoxKefQA="),
		body: `{"data":{"balancePlatform":"Integration_tools_test","accountId":"BA32272223222H5HVKTBK4MLB","sweep":{"id":"SWPC42272223222H5HVKV6H8C64DP5",` +
			`"schedule":{"type":"balance"},"status":"active","targetAmount":{"currency":"EUR","value":0},"triggerAmount":{"currency":"EUR","value":0},"type":"pull",` +
			`"counterparty":{"balanceAccountId":"BA3227C223222H5HVKT3H9WLC"},"currency":"EUR"}},"environment":"test","type":"balancePlatform.balanceAccountSweep.updated"}`,
	},
	{
		// made: printf '%s' "$body" | openssl dgst -sha256 -hmac app-secret
		name: "meta", scheme: "meta", secret: "app-secret", challenge: &Challenge{Token: "t"},
		header: header("X-Hub-Signature-256", "sha256=bd2014106214fde970b1652dc82d1e2fa0a17881ad4bc6ba1cc30e257cd691e7"),
		body:   `{"object":"page","entry":[{"id":"1","time":1700000000,"changes":[]}]}`,
	},
	{
		// made: printf '%s' "$body" | openssl dgst -sha256 -hmac app-secret
		name: "dropbox", scheme: "dropbox", secret: "app-secret",
		header: header("X-Dropbox-Signature", "ec937ec87a3d6b100588bc2cb51f1e2577b33d1553230100b9bf1bbb663d1661"),
		body:   `{"list_folder":{"accounts":["dbid:AAH4f99T0taONIb-OurWxbNQ6ywGRopQngc"]}}`,
	},
	{
		// made: printf '%s' "$body$url" | openssl dgst -sha1 -hmac app-secret -binary | base64
		name: "trello", scheme: "trello", secret: "app-secret", public: "https://mycallback.com/trelloCallbacks/", url: "/v1/webhooks/trello?memberID=14",
		header: header("X-Trello-Webhook", "U2OF+G8kY7QcWjZKZnG6zgqPzEo="),
		body:   `{"action":{"id":"51f9424bcd6e040f3c002412","type":"updateCard"}}`,
	},
	{
		// made: printf '%s' "v0:1700000000:$body" | openssl dgst -sha256 -hmac zoom-secret
		name: "zoom", scheme: "zoom", secret: "zoom-secret",
		header: header("x-zm-request-timestamp", "1700000000", "x-zm-signature", "v0=151d78d9308cd5a89cac5923dbbf82a9cb0b4de8528c87225ff346fd466afa36"),
		body:   `{"event":"meeting.started","event_ts":1700000000000,"payload":{"object":{"id":"111"}}}`, now: 1700000000,
	},
	{
		name: "okta", scheme: "okta", secret: "s3cret",
		header: header("Authorization", "s3cret"),
		body:   `{"eventType":"com.okta.event_hook","data":{"events":[{"uuid":"u1","eventType":"user.session.start"}]}}`,
	},
	{
		// made: printf '%s' "1700000000.$body" | openssl dgst -sha256 -hmac 'generic secret'
		name: "hmac, a list", scheme: "hmac", secret: "67656e6572696320736563726574",
		hmac:   &HMAC{Header: "X-Signature", Signed: "{timestamp}.{body}", SignatureField: "s", TimestampField: "ts", SecretEncoding: "hex"},
		header: header("X-Signature", "ts=1700000000,s=8b9bc87d62668dd398bbe58ae11eff44c4c20441fb6001dc41e53b86d3182b13"),
		body:   chargeSucceeded, now: 1700000000,
	},
	{
		// made: printf '%s' "1700000000$body" | openssl pkeyutl -sign -rawin, with a new key
		name: "hmac, ed25519", scheme: "hmac", secret: "144c51a82206c3dfb96937a347cfdebd993ee9bf93f3ab592deae31df2b94f15", otherSecret: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
		hmac: &HMAC{Header: "X-Signature-Ed25519", Algorithm: "ed25519", Signed: "{timestamp}{body}", Timestamp: "X-Signature-Timestamp"},
		header: header("X-Signature-Timestamp", "1700000000", "X-Signature-Ed25519",
			"ac3b1f96f1ba461437f7f6a0307125e9f3239ce047c1f56d5b082a80621a1f2729e804324f5b32e378ba96974d0c7a4b4105997231ce9a04bdd9c1df9f43cb02"),
		body: chargeSucceeded, now: 1700000000,
	},
	{
		// made: printf '%s' "POST:1700000000:d-1:$body" | openssl dgst -sha512 -hmac 'generic secret' -binary | base64 | tr '+/' '-_'
		name: "hmac", scheme: "hmac", secret: "generic secret", id: "header:X-Delivery",
		hmac:   &HMAC{Header: "X-Signature", Prefix: "v=", Encoding: "base64url", Algorithm: "sha512", Signed: "{method}:{timestamp}:{id}:{body}", Timestamp: "X-Time"},
		header: header("X-Time", "1700000000", "X-Delivery", "d-1", "X-Signature", "v=L730ob0yDZTKqixfe6Fz2ccm4k16_dk6XUSaAMGp45zvjvRjkM3a2xlBU31NW6TAfNZf_TEkDQdYSdetR1ke-A=="),
		body:   chargeSucceeded, now: 1700000000,
	},
	{
		// source: RFC 7617 §2.
		name: "basic", scheme: "basic", secret: "Aladdin:open sesame",
		header: header("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
		body:   chargeSucceeded,
	},
	{
		// source: RFC 6750 §2.1.
		name: "bearer", scheme: "bearer", secret: "mF_9.B5f-4.1JqM",
		header: header("Authorization", "Bearer mF_9.B5f-4.1JqM"),
		body:   chargeSucceeded,
	},
}

func (v vector) request() (Config, Request) {
	url := v.url
	if url == "" {
		url = "/v1/webhooks/" + v.scheme
	}
	cfg := Config{Name: v.scheme, Scheme: v.scheme, Secrets: []string{v.secret}, EventType: "some.event", PublicURL: v.public, HMAC: v.hmac, ID: v.id, Challenge: v.challenge}
	return cfg, Request{Method: http.MethodPost, URL: url, Header: cloned(v.header), Body: []byte(v.body)}
}

// cloned is a copy to which can be added.
func cloned(h http.Header) http.Header {
	if h == nil {
		return http.Header{}
	}
	return h.Clone()
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			cfg, r := v.request()
			s, err := New(cfg)
			require.NoError(t, err)
			_, err = s.Receive(r, time.Unix(v.now, 0))
			require.NoError(t, err)

			cfg.Secrets = []string{"whsec_d3Jvbmcgc2VjcmV0"}
			if other := map[string]string{"basic": "Aladdin:close sesame", "sendgrid": otherSendgridPublic, "adyen": "00", "adyen-platform": "00"}[v.scheme]; other != "" {
				cfg.Secrets = []string{other}
			}
			if v.otherSecret != "" {
				cfg.Secrets = []string{v.otherSecret}
			}
			if v.hmac != nil && v.hmac.SecretEncoding == "hex" {
				cfg.Secrets = []string{"00"}
			}
			s, err = New(cfg)
			require.NoError(t, err)
			_, err = s.Receive(r, time.Unix(v.now, 0))
			var rejection *Rejection
			require.ErrorAs(t, err, &rejection)
		})
	}
}

// Every scheme has a vector.
func TestVectorsAreComplete(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, v := range vectors {
		have[v.scheme] = true
	}
	have["sendgrid-inbound"] = have["sendgrid"] // the same signature
	for _, name := range Schemes() {
		require.True(t, have[name], name)
	}
}
