package diagnose

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/webhook"
)

// signedAt is when the deliveries of these tests were signed, receivedAt when they
// came.
var (
	signedAt   = time.Unix(1_764_000_000, 0)
	receivedAt = signedAt.Add(10 * time.Second)
)

const pretty = "{\n  \"id\": \"evt_1\",\n  \"type\": \"a\"\n}\n"

var schemes = map[string]webhook.Config{
	"stripe":   {Scheme: "stripe", Secrets: []string{"one", "two"}},
	"github":   {Scheme: "github", Secrets: []string{"one", "two"}, Type: "/type"},
	"standard": {Scheme: "standard", Secrets: []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_plJ3nmyCDGBKInavdOK15jsl"}},
	"slack":    {Scheme: "slack", Secrets: []string{"one", "two"}},
	"hmac": {
		Scheme: "hmac", Secrets: []string{"one", "two"}, ID: "header:X-Id", Type: "/type", PublicURL: "https://a.example/v1/webhooks/src",
		HMAC: &webhook.HMAC{Header: "X-Sig", Signed: "{id}{timestamp}{url}{body}", Timestamp: "X-Time"},
	},
}

// delivery is signed with the second secret.
func delivery(t *testing.T, cfg webhook.Config, body string) (webhook.Config, webhook.Request) {
	t.Helper()
	cfg.Name, cfg.EventType = "src", "src.{type}"
	second := cfg
	second.Secrets = cfg.Secrets[1:]
	source, err := webhook.New(second)
	require.NoError(t, err)
	r := webhook.Request{Method: http.MethodPost, URL: "/v1/webhooks/src", Header: http.Header{"User-Agent": {"Provider/1"}}, Body: []byte(body)}
	require.NoError(t, source.Sign(&r, "d-1", signedAt))
	return cfg, r
}

func names(list []Header) (names []string) {
	for _, h := range list {
		names = append(names, h.Name)
	}
	return names
}

// check also holds every report to its promise: no secret, no expected signature.
func check(t *testing.T, cfg webhook.Config, r webhook.Request, now time.Time) Report {
	t.Helper()
	report, err := Check(cfg, r, now)
	require.NoError(t, err)
	text, err := json.Marshal(report)
	require.NoError(t, err)
	for _, secret := range cfg.Secrets {
		require.NotContains(t, string(text), `"`+strings.TrimSpace(secret))
	}
	return report
}

func eachScheme(t *testing.T, f func(t *testing.T, cfg webhook.Config)) {
	t.Parallel()
	for name, cfg := range schemes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, cfg)
		})
	}
}

func stamped(cfg webhook.Config) bool { return cfg.Scheme != "github" }

func TestVerified(t *testing.T) {
	eachScheme(t, func(t *testing.T, cfg webhook.Config) {
		cfg, r := delivery(t, cfg, pretty)
		report := check(t, cfg, r, receivedAt)
		require.Nil(t, report.Rejection)
		require.False(t, report.TimeAlone)
		require.Empty(t, report.Changes)
		require.Equal(t, []int{1}, report.Matching)
		require.NotContains(t, names(report.Headers), "User-Agent")
		require.NotEmpty(t, report.Headers)
		require.Len(t, report.Intake.Deliveries, 1)
		if stamped(cfg) {
			require.Equal(t, signedAt.UTC(), report.Signed)
		} else {
			require.Zero(t, report.Signed)
		}
	})
}

func TestTimeAlone(t *testing.T) {
	eachScheme(t, func(t *testing.T, cfg webhook.Config) {
		if !stamped(cfg) {
			return
		}
		cfg, r := delivery(t, cfg, pretty)
		for now, reason := range map[time.Time]webhook.Reason{
			signedAt.Add(48 * time.Hour):  webhook.TimestampTooOld,
			signedAt.Add(-48 * time.Hour): webhook.TimestampInFuture,
		} {
			report := check(t, cfg, r, now)
			require.Equal(t, reason, report.Rejection.Reason)
			require.True(t, report.TimeAlone)
			require.Equal(t, signedAt.UTC(), report.Signed)
			require.Equal(t, []int{1}, report.Matching, "at its own time")
			require.Empty(t, report.Changes)
		}
		r.Body = append(r.Body, 'x')
		require.False(t, check(t, cfg, r, signedAt.Add(48*time.Hour)).TimeAlone)
	})
}

// Each change is found, by itself or with others that come to the same.
func TestChanges(t *testing.T) {
	const crlf = "{\r\n  \"id\": \"evt_1\",\r\n  \"type\": \"a\"\r\n}\r\n"
	for name, c := range map[string]struct{ sent, saved, want string }{
		"line break gained":          {strings.TrimSpace(pretty), pretty, "without the line break at the body's end"},
		"white space gained":         {strings.TrimSpace(pretty), pretty + " \n", "without the white space at the body's end"},
		"line feed lost":             {pretty, strings.TrimSpace(pretty), "with a line feed at the body's end"},
		"CR LF lost":                 {strings.TrimSpace(pretty) + "\r\n", strings.TrimSpace(pretty), "with a carriage return and a line feed at the body's end"},
		"LF became CR LF":            {pretty, crlf, "with LF instead of CR LF in the body"},
		"CR LF became LF":            {crlf, pretty, "with CR LF instead of LF in the body"},
		"LF became CR LF, and one":   {strings.TrimSpace(pretty), crlf, "with LF instead of CR LF in the body, and without the line break at its end"},
		"CR LF became LF, and one":   {strings.TrimSpace(crlf), pretty, "with CR LF instead of LF in the body, and without the line break at its end"},
		"byte order mark":            {pretty, "\xef\xbb\xbf" + pretty, "without the byte order mark before the body"},
		"pretty-printed when saved":  {`{"id":"evt_1","type":"a"}`, pretty, "with the body as compact JSON: what you saved was pretty-printed"},
		"something else":             {pretty, strings.Replace(pretty, "evt_1", "evt_2", 1), ""},
		"members in another order":   {pretty, `{"type":"a","id":"evt_1"}`, ""},
		"not JSON, and another text": {pretty, "hello", ""},
	} {
		t.Run(name, func(t *testing.T) {
			eachScheme(t, func(t *testing.T, cfg webhook.Config) {
				cfg, r := delivery(t, cfg, c.sent)
				r.Body = []byte(c.saved)
				report := check(t, cfg, r, receivedAt)
				require.Equal(t, webhook.SignatureMismatch, report.Rejection.Reason)
				require.Empty(t, report.Matching)
				require.Equal(t, c.saved, string(r.Body), "the request is left alone")
				if c.want == "" {
					require.Empty(t, report.Changes)
				} else {
					require.Contains(t, report.Changes, c.want)
				}
			})
		})
	}
}

func TestChangesOfTheConfiguration(t *testing.T) {
	t.Parallel()
	cfg, r := delivery(t, schemes["hmac"], pretty)
	for url, want := range map[string]string{
		"http://a.example/v1/webhooks/src":   "with https instead of http in public_url",
		"https://a.example/v1/webhooks/src/": "without the slash at the end of public_url",
	} {
		cfg.PublicURL = url
		require.Equal(t, []string{want}, check(t, cfg, r, receivedAt).Changes)
	}
	cfg, r = delivery(t, schemes["stripe"], pretty)
	cfg.Secrets = []string{"one", "two\n"}
	require.Equal(t, []string{"without the white space around secret 2"}, check(t, cfg, r, receivedAt).Changes)
}

func TestHeaders(t *testing.T) {
	eachScheme(t, func(t *testing.T, cfg webhook.Config) {
		cfg, r := delivery(t, cfg, pretty)
		all := check(t, cfg, r, receivedAt).Headers
		for _, one := range all {
			less := r
			less.Header = r.Header.Clone()
			less.Header.Del(one.Name)
			report := check(t, cfg, less, receivedAt)
			if report.Rejection == nil { // github's delivery id is not signed
				require.Equal(t, "X-Github-Delivery", one.Name)
				continue
			}
			require.Equal(t, webhook.MissingHeader, report.Rejection.Reason)
			require.Contains(t, report.Headers, Header{one.Name, 0})

			twice := less
			twice.Header[one.Name] = []string{"a", "b"}
			report = check(t, cfg, twice, receivedAt)
			require.Equal(t, webhook.RepeatedHeader, report.Rejection.Reason)
			require.Contains(t, report.Headers, Header{one.Name, 2})
		}
	})
}

func TestUnreadSignatures(t *testing.T) {
	t.Parallel()
	cfg, r := delivery(t, schemes["github"], pretty)
	r.Header.Set("X-Hub-Signature", "sha1=00")
	r.Header.Set("X-Other-Hmac", "00")
	require.Equal(t, []string{"X-Hub-Signature", "X-Other-Hmac"}, check(t, cfg, r, receivedAt).Unread)
}

func TestNothingAtAll(t *testing.T) {
	eachScheme(t, func(t *testing.T, cfg webhook.Config) {
		cfg.Name, cfg.EventType = "src", "src.{type}"
		report := check(t, cfg, webhook.Request{}, receivedAt)
		require.Equal(t, webhook.MissingHeader, report.Rejection.Reason)
		require.NotEmpty(t, report.Headers, "what the provider would have sent")
		require.False(t, slices.ContainsFunc(report.Headers, func(h Header) bool { return h.Found != 0 }))
	})
	_, err := Check(webhook.Config{}, webhook.Request{}, receivedAt)
	require.ErrorContains(t, err, "secrets")
}

func TestAnswersAndTooMuch(t *testing.T) {
	t.Parallel()
	cfg, r := delivery(t, schemes["slack"], `{"type":"url_verification","challenge":"c"}`)
	require.Equal(t, http.StatusOK, check(t, cfg, r, receivedAt).Intake.Answer.Status)

	cfg, r = delivery(t, schemes["stripe"], "["+strings.Repeat("{},", 1000)+"{}]")
	report := check(t, cfg, r, receivedAt)
	require.Nil(t, report.Rejection)
	require.Contains(t, report.TooMuch.Detail, "more than 1000 events")
}

func FuzzCheck(f *testing.F) {
	f.Add("Stripe-Signature", "t=1764000000,v1=00", []byte(pretty), int64(0))
	f.Add("Webhook-Timestamp", "99999999999999", []byte("\r\n"), int64(1<<62))
	f.Fuzz(func(t *testing.T, name, value string, body []byte, now int64) {
		for _, cfg := range schemes {
			cfg.Name, cfg.EventType = "src", "src.{type}"
			sent := bytes.Clone(body)
			report, err := Check(cfg, webhook.Request{Header: http.Header{http.CanonicalHeaderKey(name): {value}}, Body: body}, time.Unix(now, 0))
			require.NoError(t, err)
			require.NotNil(t, report.Rejection, "nobody signed this")
			require.Equal(t, sent, body)
		}
	})
}
