package webhook

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	stripeV1 = "v1=a64eaa02b5b9a59796fdb3cfba69ac6426cfbb3da4d8f0b4760f19e0ed6fd525"
	zerosV1  = "v1=0000000000000000000000000000000000000000000000000000000000000000"
)

// What the list of Stripe's header may look like.
func TestListHeaders(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, header string
		want         Reason // "": verified
	}{
		{name: "one", header: "t=1700000000," + stripeV1},
		{name: "the second of two, as in a rotation", header: "t=1700000000," + zerosV1 + "," + stripeV1},
		{name: "other names", header: "t=1700000000,v0=zz,x," + stripeV1 + ",v2=1"},
		{name: "spaces after commas", header: "t=1700000000, " + stripeV1},
		{name: "upper-case hex", header: "t=1700000000,v1=" + strings.ToUpper(stripeV1[3:])},
		{name: "the last of 16", header: "t=1700000000," + strings.Repeat(zerosV1+",", 15) + stripeV1},
		{name: "the last of 100", header: "t=1700000000," + strings.Repeat(zerosV1+",", 99) + stripeV1},
		{name: "another signature", header: "t=1700000000," + zerosV1, want: SignatureMismatch},
		{name: "the signature as another version", header: "t=1700000000,v0=" + stripeV1[3:], want: MalformedHeader},
		{name: "no timestamp", header: stripeV1, want: MalformedHeader},
		{name: "two timestamps", header: "t=1700000000,t=1700000001," + stripeV1, want: MalformedHeader},
		{name: "no signature", header: "t=1700000000", want: MalformedHeader},
		{name: "half a signature", header: "t=1700000000," + stripeV1[:35], want: MalformedHeader},
		{name: "odd hex", header: "t=1700000000," + stripeV1[:len(stripeV1)-1], want: MalformedHeader},
		{name: "one ill-formed beside a good one", header: "t=1700000000,v1=zz," + stripeV1},
		{name: "ill-formed ones around a good one", header: "v1=,v1,v1==,t=1700000000,v1=00," + stripeV1 + ",v1=" + stripeV1[3:] + "00,v1=\x80,"},
		{name: "ill-formed ones only", header: "t=1700000000,v1=zz,v1=", want: MalformedHeader},
		{name: "a timestamp in words", header: "t=now," + stripeV1, want: MalformedHeader},
		{name: "a signed timestamp", header: "t=+1700000000," + stripeV1, want: MalformedHeader},
		{name: "a changed timestamp", header: "t=1700000001," + stripeV1, want: SignatureMismatch},
		{name: "a leading zero", header: "t=01700000000," + stripeV1, want: SignatureMismatch},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, err := New(Config{Name: "s", Scheme: "stripe", Secrets: []string{"whsec_test_secret"}, EventType: "stripe.{type}"})
			require.NoError(t, err)
			_, err = s.Receive(Request{Header: header("Stripe-Signature", tc.header), Body: []byte(chargeSucceeded)}, now)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			requireRejection(t, err, tc.want)
		})
	}
}

// What the list of the Standard Webhooks header may look like.
func TestStandardHeaders(t *testing.T) {
	t.Parallel()
	const good, other = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
	const goodA = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="
	otherA := "v1a," + base64.StdEncoding.EncodeToString(make([]byte, 64))
	const secret, public = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whpk_ZlN4eg7dSSqi0moX9hQUk3orrOouK3QVQSlJa248c/g="
	const other25519 = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" // source: RFC 8032 §7.1, test 1
	for _, tc := range []struct {
		name, header string
		secrets      []string
		want         Reason // "": verified
	}{
		{name: "one", header: good},
		{name: "without whsec_", header: good, secrets: []string{secret[6:]}},
		{name: "several", header: other + " v2,whatever " + good + "  " + other},
		{name: "the last of 16", header: strings.Repeat(other+" ", 15) + good},
		{name: "the last of 100", header: strings.Repeat(other+" ", 99) + good},
		{name: "100 of a version to come", header: strings.Repeat("v2,x ", 100) + good},
		{name: "ill-formed ones around a good one", header: "v1 v1, v1,%%% v1,AAAA v1a,AAAA , " + good + " v1,=="},
		{name: "the last of 16, public", header: strings.Repeat(otherA+" ", 15) + goodA, secrets: []string{public}},
		{name: "the last of 17, public", header: strings.Repeat(otherA+" ", 16) + goodA, secrets: []string{public}, want: SignatureMismatch},
		{name: "public key", header: goodA, secrets: []string{public}},
		{name: "another public key", header: goodA, secrets: []string{other25519}, want: SignatureMismatch},
		{name: "two public keys, the first", header: goodA, secrets: []string{public, other25519}},
		{name: "two public keys, the second", header: goodA, secrets: []string{other25519, public}},
		{name: "both kinds of secret, v1a", header: goodA, secrets: []string{secret, public}},
		{name: "both kinds of secret, v1", header: good, secrets: []string{public, secret}},
		{name: "both kinds of signature", header: other + " " + goodA, secrets: []string{secret, public}},
		{name: "v1a without public key", header: goodA, want: SignatureMismatch},
		{name: "v1 with a public key only", header: good, secrets: []string{public}, want: SignatureMismatch},
		{name: "v1 in v1a's place", header: "v1a" + good[2:], secrets: []string{public}, want: MalformedHeader},
		{name: "another", header: other, want: SignatureMismatch},
		{name: "nothing after the comma", header: "v1,", want: MalformedHeader},
		{name: "no comma", header: good[3:], want: MalformedHeader},
		{name: "hex", header: "v1,8348", want: MalformedHeader},
		{name: "unknown version only", header: "v2,x", want: MalformedHeader},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.secrets == nil {
				tc.secrets = []string{secret}
			}
			s, err := New(Config{Name: "s", Scheme: "standard", Secrets: tc.secrets, EventType: "a.b"})
			require.NoError(t, err)
			_, err = s.Receive(Request{
				Header: header("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp", "1614265330", "webhook-signature", tc.header),
				Body:   []byte(`{"test": 2432232314}`),
			}, time.Unix(1614265330, 0))
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			requireRejection(t, err, tc.want)
		})
	}
}

// An id that was not signed is not used: with a webhook- header, the svix- headers do
// not count.
func TestStandardNeverTakesAnUnsignedID(t *testing.T) {
	t.Parallel()
	s, err := New(Config{Name: "s", Scheme: "standard", Secrets: []string{"whsec_plJ3nmyCDGBKInavdOK15jsl"}, EventType: "a.b"})
	require.NoError(t, err)
	_, r := vectors[0].request()
	at := time.Unix(vectors[0].now, 0)
	require.Equal(t, "msg_loFOjxBNrRLzqYUf", requireVerified(t, s, r, at)[0].ID)
	r.Header.Set("webhook-id", "another")
	_, err = s.Receive(r, at)
	requireRejection(t, err, MissingHeader)
}

func TestTimestamps(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, text string
		format     timestampFormat
		want       time.Time // zero: ill-formed
	}{
		{name: "seconds", text: "1700000000", format: unixSeconds, want: now},
		{name: "zero", text: "0", format: unixSeconds, want: time.Unix(0, 0)},
		{name: "milliseconds", text: "1700000000123", format: unixMilliseconds, want: now.Add(123 * time.Millisecond)},
		{name: "RFC 3339", text: "2023-11-14T22:13:20Z", format: rfc3339, want: now},
		{name: "RFC 3339 with fraction and zone", text: "2023-11-14T23:13:20.5+01:00", format: rfc3339, want: now.Add(time.Second / 2)},
		{name: "any: seconds", text: "1700000000", want: now},
		{name: "any: milliseconds", text: "1700000000000", want: now},
		{name: "any: RFC 3339", text: "2023-11-14T22:13:20Z", want: now},
		{name: "empty", text: "", format: unixSeconds},
		{name: "negative", text: "-1700000000", format: unixSeconds},
		{name: "plus", text: "+1700000000", format: unixSeconds},
		{name: "fraction", text: "1700000000.5", format: unixSeconds},
		{name: "space", text: " 1700000000", format: unixSeconds},
		{name: "too long", text: "17000000000000000", format: unixSeconds},
		{name: "past int64", text: "99999999999999999999", format: unixMilliseconds},
		{name: "date in a number's place", text: "2023-11-14T22:13:20Z", format: unixSeconds},
		{name: "number in a date's place", text: "1700000000", format: rfc3339},
		{name: "any: words", text: "yesterday"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, ok := tc.format.parse(tc.text)
			require.Equal(t, !tc.want.IsZero(), ok)
			if ok {
				require.True(t, tc.want.Equal(got), got)
			}
		})
	}
	for _, f := range []timestampFormat{anyTimestamp, unixSeconds, unixMilliseconds, rfc3339} {
		got, ok := f.parse(f.write(now))
		require.True(t, ok)
		require.True(t, now.Equal(got))
	}
}

func TestToleranceIsTheConfiguredOne(t *testing.T) {
	t.Parallel()
	m := sampleOf(t, "stripe")
	m.cfg.Tolerance = time.Minute
	s, r := m.source(t, m.secrets[0]), m.request(t, m.secrets[0], now)
	requireVerified(t, s, r, now.Add(time.Minute))
	_, err := s.Receive(r, now.Add(time.Minute+1))
	requireRejection(t, err, TimestampTooOld)
	require.Contains(t, err.Error(), "1m0s is allowed")
}

// Timestamps at the end of time neither overflow nor pass.
func TestExtremeTimestamps(t *testing.T) {
	t.Parallel()
	s, err := New(Config{Name: "s", Scheme: "stripe", Secrets: []string{"x"}, EventType: "a.b", Tolerance: 1<<63 - 1})
	require.NoError(t, err)
	_, err = s.Receive(Request{Header: header("Stripe-Signature", "t=9999999999999999,"+zerosV1)}, now)
	requireRejection(t, err, TimestampInFuture)
	s, err = New(Config{Name: "s", Scheme: "stripe", Secrets: []string{"x"}, EventType: "a.b"})
	require.NoError(t, err)
	_, err = s.Receive(Request{Header: header("Stripe-Signature", "t=9999999999999999,"+zerosV1)}, now)
	requireRejection(t, err, TimestampInFuture)
}

func TestBasicCredentials(t *testing.T) {
	t.Parallel()
	s, err := New(Config{Name: "s", Scheme: "basic", Secrets: []string{"Aladdin:open sesame"}, EventType: "a.b"})
	require.NoError(t, err)
	for _, tc := range []struct {
		value string
		want  Reason
	}{
		{value: "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
		{value: "bAsIc  QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
		{value: "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", want: MalformedHeader},
		{value: "Basic", want: WrongCredentials},
		{value: "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", want: MalformedHeader},
		{value: "Basic QWxhZGRpbg==", want: WrongCredentials},
	} {
		_, err := s.Receive(Request{Header: header("Authorization", tc.value), Body: []byte("{}")}, now)
		if tc.want == "" {
			require.NoError(t, err, tc.value)
			continue
		}
		requireRejection(t, err, tc.want)
	}
}

func TestSignSaysWhoCannot(t *testing.T) {
	t.Parallel()
	s, err := New(Config{Name: "s", Scheme: "standard", Secrets: []string{"whpk_ZlN4eg7dSSqi0moX9hQUk3orrOouK3QVQSlJa248c/g="}, EventType: "a.b"})
	require.NoError(t, err)
	err = s.Sign(&Request{}, "id", now)
	require.ErrorContains(t, err, "public keys")
	s, err = New(Config{Name: "s", Scheme: "standard", Secrets: []string{"whsec_plJ3nmyCDGBKInavdOK15jsl"}, EventType: "a.b"})
	require.NoError(t, err)
	require.ErrorContains(t, s.Sign(&Request{}, "", now), "an id is needed")
	m := samples[slices.IndexFunc(samples, func(m sample) bool { return m.header.Get("X-Tenant") != "" })]
	require.ErrorContains(t, m.source(t, "x").Sign(&Request{}, "id", now), "The X-Tenant header is missing")
}

func TestSignedURL(t *testing.T) {
	t.Parallel()
	require.Equal(t, "https://a.example/x", signedURL("https://a.example/x", "/y"))
	require.Equal(t, "https://a.example/x?b=2", signedURL("https://a.example/x?a=1#f", "/y?b=2"))
	require.Equal(t, "https://a.example/x", signedURL("https://a.example/x?a=1", "/y"))
	require.Equal(t, "https://a.example/x?", signedURL("https://a.example/x", "/y?"))
}
