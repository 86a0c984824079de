package webhook

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/strictjson"
)

// What changes in the body of a redelivery does not change the id.
func TestRedeliveriesKeepTheirIDs(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ scheme, file, old, new string }{
		{scheme: "stripe", file: "stripe/payment_intent_succeeded.json", old: `"pending_webhooks": 2`, new: `"pending_webhooks": 1`},
		{scheme: "hubspot", file: "hubspot/batch.json", old: `"attemptNumber":0`, new: `"attemptNumber":3`},
		{scheme: "intercom", file: "intercom/conversation.json", old: `"delivery_attempts":1`, new: `"delivery_attempts":2`},
		{scheme: "paddle", file: "paddle/transaction_completed.json", old: `ntf_01hv8x3qfw5nq6jf9m4vrqq2cj`, new: `ntf_01hv8x3qfw5nq6jf9m4vrqq2ck`},
		{scheme: "adyen", file: "adyen/notification.json", old: `"eventDate":"2024-01-01T01:00:00+02:00"`, new: `"eventDate":"2024-01-01T01:09:00+02:00"`},
		{scheme: "linear", file: "linear/issue_create.json", old: `"webhookTimestamp":1676056940508`, new: `"webhookTimestamp":1676056999999`},
		{scheme: "mailgun", file: "mailgun/opened.json", old: `"token":"old"`, new: `"token":"new"`},
	} {
		t.Run(tc.scheme, func(t *testing.T) {
			t.Parallel()
			m := sampleOf(t, tc.scheme)
			m.body = readFile(t, tc.file)
			s := m.source(t, m.secrets[0])
			first := requireVerified(t, s, m.request(t, m.secrets[0], now), now)
			require.Contains(t, m.body, tc.old)
			m.body = strings.ReplaceAll(m.body, tc.old, tc.new)
			again := requireVerified(t, s, m.request(t, m.secrets[0], now.Add(time.Second)), now)
			require.Len(t, again, len(first))
			for i := range first {
				require.Equal(t, first[i].ID, again[i].ID)
			}
		})
	}
}

func TestTwilioBodies(t *testing.T) {
	t.Parallel()
	m := sampleOf(t, "twilio")
	s := m.source(t, m.secrets[0])
	form := m.request(t, m.secrets[0], now)
	m.body, m.header = `{"type":"a","id":"1"}`, header("Content-Type", "application/json")
	json := m.request(t, m.secrets[0], now)
	require.Contains(t, json.URL, "tenant=7&bodySHA256=")
	requireVerified(t, s, json, now)

	for _, tc := range []struct {
		name   string
		base   Request
		change func(*Request)
		want   Reason
		detail string
	}{
		{name: "form taken for JSON", base: form, change: func(r *Request) { r.Header.Set("Content-Type", "application/json") }, want: SignatureMismatch, detail: "The body is not signed"},
		{name: "JSON taken for a form", base: json, change: func(r *Request) { r.Header.Set("Content-Type", formType); r.Body = []byte("id=1") }, want: SignatureMismatch, detail: "bodySHA256"},
		{name: "no hash", base: json, change: func(r *Request) { r.URL = "/v1/webhooks/src?tenant=7" }, want: SignatureMismatch, detail: "The body is not signed"},
		{name: "another hash", base: json, change: func(r *Request) { r.URL = strings.Replace(r.URL, "bodySHA256=", "bodySHA256=0", 1) }, want: SignatureMismatch, detail: "bodySHA256"},
		{name: "two hashes", base: json, change: func(r *Request) { r.URL += "&bodySHA256=00" }, want: SignatureMismatch, detail: "bodySHA256"},
		{name: "another query", base: form, change: func(r *Request) { r.URL += "1" }, want: SignatureMismatch, detail: "public_url is not the URL"},
		{name: "ill-formed query", base: form, change: func(r *Request) { r.URL = "/v1/webhooks/src?\x7f" }, want: SignatureMismatch, detail: "ill-formed"},
		{name: "ill-formed form", base: form, change: func(r *Request) { r.Body = append(r.Body, '%') }, want: MalformedBody, detail: "cannot be checked"},
		{name: "a huge form", base: form, change: func(r *Request) { r.Body = []byte(strings.Repeat("a=1&", 1001)) }, want: MalformedBody, detail: "1000 fields"},
		{name: "a field more", base: form, change: func(r *Request) { r.Body = append(r.Body, "&a=b"...) }, want: SignatureMismatch},
		{name: "an odd length", base: form, change: func(r *Request) { r.Header.Set("X-Twilio-Signature", "AAAA") }, want: MalformedHeader},
		{name: "not base64", base: form, change: func(r *Request) { r.Header.Set("X-Twilio-Signature", "????") }, want: MalformedHeader},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := tc.base
			r.Header, r.Body = r.Header.Clone(), append([]byte{}, r.Body...)
			tc.change(&r)
			_, err := s.Receive(r, now)
			requireRejection(t, err, tc.want)
			require.ErrorContains(t, err, tc.detail)
		})
	}
}

// The order of the fields is not signed and does not matter.
func TestTwilioTakesFieldsInAnyOrder(t *testing.T) {
	t.Parallel()
	m := sampleOf(t, "twilio")
	r := m.request(t, m.secrets[0], now)
	r.Body = []byte("To=%2B1&MessageStatus=sent&MessageSid=SM1")
	requireVerified(t, m.source(t, m.secrets[0]), r, now)
}

func TestPorts(t *testing.T) {
	t.Parallel()
	for full, other := range map[string]string{
		"https://a.example/x?b=https://a.example":  "https://a.example:443/x?b=https://a.example",
		"http://a.example/x":                       "http://a.example:80/x",
		"https://a.example:8443/x":                 "https://a.example/x",
		"https://[::1]:8443/x":                     "https://[::1]/x",
		"https://[::1]/x":                          "https://[::1]:443/x",
		"https://user:password@a.example:8443/x?y": "https://user:password@a.example/x?y",
	} {
		require.Equal(t, []string{full, other}, withAndWithoutPort(full))
	}
}

func TestHubSpotDecodesItsOwnEscapesOnly(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a:/?@!$'()*,;%20%26%3D%25b", hubspotDecodes.Replace("a%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B%20%26%3D%25b"))
	require.Equal(t, ":/?*,;", hubspotDecodes.Replace("%3a%2f%3f%2a%2c%3b"))
}

// The schemes that have the signature, or its timestamp, in the body.
func TestBodiesWithoutTheirSignature(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, scheme, body, media string
		want                      Reason
		detail                    string
	}{
		{name: "mailgun: not JSON", scheme: "mailgun", body: "hello", want: MalformedBody, detail: "cannot be read"},
		{name: "mailgun: an array", scheme: "mailgun", body: "[]", want: MalformedBody, detail: "no signature"},
		{name: "mailgun: no signature", scheme: "mailgun", body: `{"event-data":{}}`, want: MalformedBody, detail: "no signature"},
		{name: "mailgun: a signature in words", scheme: "mailgun", body: `{"signature":{"timestamp":"1","token":"t","signature":"zz"}}`, want: MalformedBody, detail: "32 bytes in hex"},
		{name: "mailgun: half a signature", scheme: "mailgun", body: `{"signature":{"timestamp":"1","token":"t","signature":"00"}}`, want: MalformedBody, detail: "32 bytes in hex"},
		{name: "mailgun: no timestamp", scheme: "mailgun", body: `{"signature":{"token":"t","signature":"` + zerosV1[3:] + `"}}`, want: MalformedBody, detail: "/signature/timestamp"},
		{name: "mailgun: an old timestamp", scheme: "mailgun", body: `{"signature":{"timestamp":"1","token":"t","signature":"` + zerosV1[3:] + `"}}`, want: TimestampTooOld},
		{name: "mailgun: no token", scheme: "mailgun", body: `{"signature":{"timestamp":"1700000000","signature":"` + zerosV1[3:] + `"}}`, want: MalformedBody, detail: "no signature"},
		{name: "mailgun: a member twice", scheme: "mailgun", body: `{"signature":{},"signature":{}}`, want: MalformedBody, detail: "twice"},
		{name: "mailgun: an ill-formed form", scheme: "mailgun", body: "token=%", media: formType, want: MalformedBody, detail: "ill-formed"},
		{name: "adyen: not JSON", scheme: "adyen", body: "hello", want: MalformedBody, detail: "cannot be read"},
		{name: "adyen: no items", scheme: "adyen", body: `{}`, want: MalformedBody, detail: "/notificationItems"},
		{name: "adyen: empty items", scheme: "adyen", body: `{"notificationItems":[]}`, want: MalformedBody, detail: "empty"},
		{name: "adyen: 1,001 items", scheme: "adyen", body: `{"notificationItems":[0` + strings.Repeat(",0", 1000) + `]}`, want: MalformedBody, detail: "1000"},
		{name: "adyen: unsigned item", scheme: "adyen", body: `{"notificationItems":[{}]}`, want: MalformedBody, detail: "Item 0 has no signature"},
		{name: "adyen: a member twice", scheme: "adyen", body: `{"notificationItems":[{"a":1,"a":2}]}`, want: MalformedBody, detail: "twice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := sampleOf(t, tc.scheme)
			_, err := m.source(t, m.secrets[0]).Receive(Request{Header: header("Content-Type", tc.media), Body: []byte(tc.body)}, now)
			requireRejection(t, err, tc.want)
			require.ErrorContains(t, err, tc.detail)
		})
	}
}

// One item that is not signed rejects the batch.
func TestAdyenVerifiesAllOrNothing(t *testing.T) {
	t.Parallel()
	m := sampleOf(t, "adyen")
	r := m.request(t, m.secrets[0], now)
	r.Body = []byte(strings.Replace(string(r.Body), `"success":"false"`, `"success":"true"`, 1))
	_, err := m.source(t, m.secrets[0]).Receive(r, now)
	requireRejection(t, err, SignatureMismatch)
	require.ErrorContains(t, err, "item 1")
}

// success may also be a boolean: it is signed and part of the id as written.
func TestAdyenTakesABoolean(t *testing.T) {
	t.Parallel()
	m := sampleOf(t, "adyen")
	m.body = `{"notificationItems":[{"NotificationRequestItem":{"pspReference":"a:b%","eventCode":"CAPTURE","success":true}}]}`
	d := requireVerified(t, m.source(t, m.secrets[0]), m.request(t, m.secrets[0], now), now)
	require.Equal(t, "a%3Ab%25:CAPTURE:true", d[0].ID)
}

func TestMailgunTakesTheParentsSignature(t *testing.T) {
	t.Parallel()
	m := sampleOf(t, "mailgun")
	r := m.request(t, m.secrets[0], now)
	body := strings.Replace(string(r.Body), `"signature":"`, `"signature":"`+zerosV1[3:]+`","parent-signature":"`, 1)
	r.Body = []byte(body)
	requireVerified(t, m.source(t, m.secrets[0]), r, now)
}

// The timestamp is checked only after the body is verified.
func TestLinearNeedsATimestamp(t *testing.T) {
	t.Parallel()
	m := sampleOf(t, "linear")
	s := m.source(t, m.secrets[0])
	v := s.verifier.(*hmacVerifier)
	for _, body := range []string{`{"type":"Issue"}`, `{"type":"Issue","webhookTimestamp":"soon"}`, `[]`, `hello`, ``} {
		r := Request{Header: header("Linear-Signature", v.encoding.encode(v.mac(v.keys[0], variables{body: []byte(body)}))), Body: []byte(body)}
		_, err := s.Receive(r, now)
		requireRejection(t, err, MalformedBody)
	}
	r := m.request(t, m.secrets[0], now.Add(-time.Hour))
	r.Header.Set("Linear-Signature", zerosV1[3:])
	_, err := s.Receive(r, now)
	requireRejection(t, err, SignatureMismatch)
}

func TestGitLabWithBothKindsOfSecret(t *testing.T) {
	t.Parallel()
	const token, signing = "a-token", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	m := sampleOf(t, "gitlab")
	both, onlyToken, onlySigning := m.source(t, token, signing), m.source(t, token), m.source(t, signing)
	sent, signed := m.request(t, token, now), m.request(t, signing, now)

	requireVerified(t, both, sent, now)
	requireVerified(t, both, signed, now)
	_, err := onlyToken.Receive(signed, now)
	requireRejection(t, err, MissingHeader)
	_, err = onlySigning.Receive(sent, now)
	requireRejection(t, err, MissingHeader)

	signed.Header.Set("X-Gitlab-Token", token) // a token beside a wrong signature does not help
	signed.Body = append(signed.Body, ' ')
	_, err = both.Receive(signed, now)
	requireRejection(t, err, SignatureMismatch)
	requireVerified(t, onlyToken, signed, now)
}

func TestSendGridKeys(t *testing.T) {
	t.Parallel()
	m := sampleOf(t, "sendgrid")
	der, err := base64.StdEncoding.DecodeString(sendgridPublic)
	require.NoError(t, err)
	inPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	requireVerified(t, m.source(t, inPEM), m.request(t, sendgridPublic, now), now)
	require.ErrorContains(t, m.source(t, sendgridPublic).Sign(&Request{}, "", now), "public keys")

	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	p384, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	for _, secret := range []string{"hello", "AAAA", base64.StdEncoding.EncodeToString(p384), sendgridPrivate} {
		_, err := New(Config{Name: "s", Scheme: "sendgrid", Secrets: []string{sendgridPublic, secret}, EventType: "a.b"})
		require.ErrorContains(t, err, "secrets: the second must be the provider's verification key")
	}
}

func TestSendGridSignatures(t *testing.T) {
	t.Parallel()
	m := sampleOf(t, "sendgrid")
	s := m.source(t, m.secrets[0])
	for _, signature := range []string{"!", "====", strings.Repeat("A", 100)} {
		r := m.request(t, m.secrets[0], now)
		r.Header.Set(sendgridSignature, signature)
		_, err := s.Receive(r, now)
		requireRejection(t, err, MalformedHeader)
	}
	r := m.request(t, m.secrets[0], now)
	r.Header.Set(sendgridSignature, "AAAA") // base64, but no ASN.1
	_, err := s.Receive(r, now)
	requireRejection(t, err, SignatureMismatch)
}

// Batches whose body is no array are set aside.
func TestBatchesMustBeArrays(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"sendgrid", "hubspot"} {
		m := sampleOf(t, scheme)
		m.body = `{"event":"open"}`
		in, err := m.source(t, m.secrets[0]).Receive(m.request(t, m.secrets[0], now), now)
		require.NoError(t, err)
		require.Len(t, in.Deliveries, 1)
		require.ErrorContains(t, in.Deliveries[0].Err, "no array of events")
	}
}

func TestNewSaysWhatAProviderNeeds(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"twilio", "square", "hubspot"} {
		_, err := New(Config{Name: "s", Scheme: scheme, Secrets: []string{"x"}, EventType: "a.b"})
		require.EqualError(t, err, `public_url: is missing; "`+scheme+`" signs the URL, so give the full URL that the provider has`)
	}
	_, err := New(Config{Name: "s", Scheme: "adyen", Secrets: []string{"4478", "xy"}, EventType: "a.b"})
	require.EqualError(t, err, "secrets: the second must be hexadecimal, as Adyen shows its HMAC keys")
	_, err = New(Config{Name: "s", Scheme: "gitlab", Secrets: []string{"token", "whsec_$"}, EventType: "a.b"})
	require.ErrorContains(t, err, "secrets: the second must be whsec_")
}

func TestPut(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, data string
		p          strictjson.Pointer
		want       string
	}{
		{name: "the whole", data: `{}`, want: `9`},
		{name: "into nothing", data: ` { } `, p: strictjson.Pointer{"a"}, want: ` {"a":9 } `},
		{name: "before others", data: `{ "b":1}`, p: strictjson.Pointer{"a"}, want: `{"a":9, "b":1}`},
		{name: "in place", data: `{"b":1, "a" : "x" }`, p: strictjson.Pointer{"a"}, want: `{"b":1, "a" : 9 }`},
		{name: "deeper, in place", data: `{"a":[0,{"b":null}]}`, p: strictjson.Pointer{"a", "1", "b"}, want: `{"a":[0,{"b":9}]}`},
		{name: "deeper, from nothing", data: `{}`, p: strictjson.Pointer{"a", "b", "c"}, want: `{"a":{"b":{"c":9}}}`},
		{name: "a name to quote", data: `{}`, p: strictjson.Pointer{`"`}, want: `{"\"":9}`},
		{name: "into a number", data: `7`, p: strictjson.Pointer{"a"}},
		{name: "into a string with a brace", data: `"{"`, p: strictjson.Pointer{"a"}},
		{name: "into an array", data: `[{}]`, p: strictjson.Pointer{"1"}},
		{name: "under a scalar", data: `{"a":7}`, p: strictjson.Pointer{"a", "b"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := put([]byte(tc.data), tc.p, []byte("9"))
			if tc.want == "" {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, string(got))
		})
	}
}
