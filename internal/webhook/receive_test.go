package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// bearerSource is a source without any provider's rules.
func bearerSource(t testing.TB, change func(*Config)) *Source {
	cfg := Config{Name: "src", Scheme: "bearer", Secrets: []string{"s3cret"}, EventType: "shop.{type}", Type: "/type", ID: "/id"}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	require.NoError(t, err)
	return s
}

func bearerRequest(body string, pairs ...string) Request {
	h := header(pairs...)
	h.Set("Authorization", "Bearer s3cret")
	return Request{Method: http.MethodPost, URL: "/v1/webhooks/src", Header: h, Body: []byte(body)}
}

func hashOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

func TestReceiveMapsWhatItFinds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*Config)
		body   string
		header []string
		want   []Delivery
	}{
		{
			name: "strings", body: `{"id":"a","type":"b"}`,
			want: []Delivery{{ID: "a", EventType: "shop.b", Data: []byte(`{"id":"a","type":"b"}`), MediaType: "application/json"}},
		},
		{
			name: "numbers as written", body: `{"id":12345678901234567890,"type":7}`,
			want: []Delivery{{ID: "12345678901234567890", EventType: "shop.7", Data: []byte(`{"id":12345678901234567890,"type":7}`), MediaType: "application/json"}},
		},
		{
			name: "the body's own bytes", body: "\n { \"type\" :\t\"b\" , \"id\":\"\\u0061\", \"n\":1.0e0 }\r\n",
			want: []Delivery{{ID: "a", EventType: "shop.b", Data: []byte("\n { \"type\" :\t\"b\" , \"id\":\"\\u0061\", \"n\":1.0e0 }\r\n"), MediaType: "application/json"}},
		},
		{
			name: "characters that no event type has", body: `{"id":"a","type":"orders/créate now"}`,
			want: []Delivery{{ID: "a", EventType: "shop.orders.cr.ate.now", Data: []byte(`{"id":"a","type":"orders/créate now"}`), MediaType: "application/json"}},
		},
		{
			name: "a fixed event type needs no type", body: `{"id":"a"}`, change: func(c *Config) { c.EventType, c.Type = "orders.placed", "" },
			want: []Delivery{{ID: "a", EventType: "orders.placed", Data: []byte(`{"id":"a"}`), MediaType: "application/json"}},
		},
		{
			name: "headers", body: `{}`, header: []string{"x-delivery", "d1", "x-topic", "a:b"},
			change: func(c *Config) { c.ID, c.Type = "header:X-Delivery", "header:x-topic" },
			want:   []Delivery{{ID: "d1", EventType: "shop.a.b", Data: []byte(`{}`), MediaType: "application/json"}},
		},
		{
			name: "escaped pointers and indices", body: `{"a/b":[{"~":"x"},{"~":"y"}],"":{"":"z"}}`,
			change: func(c *Config) { c.ID, c.Type = "/a~1b/1/~0", "//" },
			want:   []Delivery{{ID: "y", EventType: "shop.z", Data: []byte(`{"a/b":[{"~":"x"},{"~":"y"}],"":{"":"z"}}`), MediaType: "application/json"}},
		},
		{
			name: "body-hash", body: `{"type":"b"}`, change: func(c *Config) { c.ID = "body-hash" },
			want: []Delivery{{ID: hashOf(`{"type":"b"}`), EventType: "shop.b", Data: []byte(`{"type":"b"}`), MediaType: "application/json"}},
		},
		{
			name: "+json stays", body: `{"id":"a","type":"b"}`, header: []string{"Content-Type", "Application/CloudEvents+JSON; charset=UTF-8"},
			want: []Delivery{{ID: "a", EventType: "shop.b", Data: []byte(`{"id":"a","type":"b"}`), MediaType: "application/cloudevents+json"}},
		},
		{
			name: "JSON under another name", body: `{"id":"a","type":"b"}`, header: []string{"Content-Type", "text/plain"},
			want: []Delivery{{ID: "a", EventType: "shop.b", Data: []byte(`{"id":"a","type":"b"}`), MediaType: "application/json"}},
		},
		{
			name: "an array fans out", body: `[ {"id":"a","type":"b"} , {"type":"c","id":"d"}]`,
			want: []Delivery{
				{ID: "a", EventType: "shop.b", Data: []byte(`{"id":"a","type":"b"}`), MediaType: "application/json"},
				{ID: "d", EventType: "shop.c", Data: []byte(`{"type":"c","id":"d"}`), MediaType: "application/json"},
			},
		},
		{
			name: "an array that never fans out", body: `["a","b"]`, change: func(c *Config) { c.Items, c.ID, c.Type = "-", "/0", "/1" },
			want: []Delivery{{ID: "a", EventType: "shop.b", Data: []byte(`["a","b"]`), MediaType: "application/json"}},
		},
		{
			name: "an inner array; a header's id counts the items", body: `{"data":{"list":[{"type":"b"},{"type":"c"}]}}`, header: []string{"X-Delivery", "d1"},
			change: func(c *Config) { c.Items, c.ID = "/data/list", "header:X-Delivery" },
			want: []Delivery{
				{ID: "d1:0", EventType: "shop.b", Data: []byte(`{"type":"b"}`), MediaType: "application/json"},
				{ID: "d1:1", EventType: "shop.c", Data: []byte(`{"type":"c"}`), MediaType: "application/json"},
			},
		},
		{
			name: "a form", body: "id=a&type=b&tag=x&note=caf%C3%A9+%22q%22&tag=y&&empty=&flag", header: []string{"Content-Type", formType + "; charset=utf-8"},
			want: []Delivery{{ID: "a", EventType: "shop.b", Data: []byte(`{"id":"a","type":"b","tag":["x","y"],"note":"café \"q\"","empty":"","flag":""}`), MediaType: "application/json"}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in, err := bearerSource(t, tc.change).Receive(bearerRequest(tc.body, tc.header...), now)
			require.NoError(t, err)
			require.Equal(t, Intake{Deliveries: tc.want}, in)
		})
	}
}

func TestReceiveSaysWhatCannotBePublished(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*Config)
		body   string
		header []string
		kind   event.Kind
		detail string
		typed  string // EventType that was found in spite of the fault
	}{
		{name: "empty", body: "", kind: event.MalformedJSON, detail: "The body is empty"},
		{name: "blank", body: " \n", kind: event.MalformedJSON, detail: "The body is empty"},
		{name: "not JSON", body: "hello", kind: event.MalformedJSON, detail: "at byte 0"},
		{name: "cut off", body: `{"id":`, kind: event.MalformedJSON, detail: "ends inside a JSON value, at byte 6"},
		{name: "two values", body: `{} {}`, kind: event.MalformedJSON, detail: "More data follows the JSON value, at byte 3"},
		{name: "a name twice", body: `{"id":"a","id":"b"}`, kind: event.MalformedJSON, detail: "appears twice"},
		{name: "not UTF-8", body: "{\"id\":\"\xff\"}", kind: event.MalformedJSON, detail: "UTF-8"},
		{name: "byte order mark", body: "\xef\xbb\xbf{}", kind: event.MalformedJSON, detail: "byte order mark"},
		{name: "65 deep", body: strings.Repeat("[", 65) + strings.Repeat("]", 65), kind: event.MalformedJSON, detail: "more than 64 deep"},
		{name: "20,000 deep", body: strings.Repeat("[", 20000) + strings.Repeat("]", 20000), kind: event.MalformedJSON, detail: "depth"},
		{name: "XML", body: "<a/>", header: []string{"Content-Type", "text/xml"}, kind: event.UnsupportedMediaType, detail: `"text/xml"`},
		{name: "multipart", body: "--b\r\n", header: []string{"Content-Type", "multipart/form-data; boundary=b"}, kind: event.MalformedRequest, detail: "no fields"},
		{name: "multipart, a part without a name", body: "--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", header: []string{"Content-Type", "multipart/form-data; boundary=b"}, kind: event.MalformedRequest, detail: "Part 1 of the form"},
		{name: "multipart without boundary", body: "--b\r\n", header: []string{"Content-Type", "multipart/form-data"}, kind: event.MalformedRequest, detail: "no boundary"},
		{name: "multipart without parts", body: "--b--\r\n", header: []string{"Content-Type", "multipart/form-data; boundary=b"}, kind: event.MalformedRequest, detail: "no fields"},
		{name: "multipart of another kind", body: "--b--\r\n", header: []string{"Content-Type", "multipart/mixed; boundary=b"}, kind: event.UnsupportedMediaType, detail: "multipart/mixed"},
		{name: "an ill-formed media type", body: "hello", header: []string{"Content-Type", ";;"}, kind: event.UnsupportedMediaType, detail: ";;"},
		{name: "form with a bad escape", body: "a=1&b=%zz", header: []string{"Content-Type", formType}, kind: event.MalformedRequest, detail: "Field 2 of the form"},
		{name: "form that is not UTF-8", body: "a=%ff", header: []string{"Content-Type", formType}, kind: event.MalformedRequest, detail: "Field 1 of the form"},
		{name: "form without fields", body: "&&", header: []string{"Content-Type", formType}, kind: event.MalformedRequest, detail: "no fields"},
		{name: "no type", body: `{"id":"a"}`, kind: event.MalformedRequest, detail: "type is missing; it is expected at /type"},
		{name: "type is an object", body: `{"id":"a","type":{}}`, kind: event.MalformedRequest, detail: "type is missing"},
		{name: "type too long", body: `{"id":"a","type":"` + strings.Repeat("t", 200) + `"}`, kind: event.MalformedRequest, detail: "does not make an event type"},
		{name: "no id", body: `{"type":"b"}`, kind: event.MalformedRequest, detail: "id is missing; it is expected at /id", typed: "shop.b"},
		{name: "id is null", body: `{"type":"b","id":null}`, kind: event.MalformedRequest, detail: "id is missing", typed: "shop.b"},
		{name: "id is empty", body: `{"type":"b","id":""}`, kind: event.MalformedRequest, detail: "id is missing", typed: "shop.b"},
		{name: "id too long", body: `{"type":"b","id":"` + strings.Repeat("i", 256) + `"}`, kind: event.MalformedRequest, detail: "longer than 255 bytes", typed: "shop.b"},
		{name: "id with a control character", body: `{"type":"b","id":"a\nb"}`, kind: event.MalformedRequest, detail: "control characters", typed: "shop.b"},
		{name: "no array", body: `{"id":"a","type":"b"}`, change: func(c *Config) { c.Items = "/list" }, kind: event.MalformedRequest, detail: `no array of events at "/list"`},
		{name: "a scalar", body: `7`, kind: event.MalformedRequest, detail: "type is missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in, err := bearerSource(t, tc.change).Receive(bearerRequest(tc.body, tc.header...), now)
			require.NoError(t, err)
			require.Len(t, in.Deliveries, 1)
			d := in.Deliveries[0]
			require.NotNil(t, d.Err)
			require.Equal(t, tc.kind, d.Err.Kind)
			require.Equal(t, event.NotWritten, d.Err.Outcome)
			require.Contains(t, d.Err.Detail, tc.detail)
			require.Less(t, len(d.Err.Detail), 600)
			require.Equal(t, hashOf(tc.body), d.ID)
			require.Equal(t, tc.typed, d.EventType)
			require.Equal(t, tc.body, string(d.Data))
		})
	}
}

func TestReceiveSetsAsideOneItemOnly(t *testing.T) {
	t.Parallel()
	body := `[{"id":"a","type":"b"},{"type":"c"}]`
	in, err := bearerSource(t, nil).Receive(bearerRequest(body), now)
	require.NoError(t, err)
	require.Len(t, in.Deliveries, 2)
	require.Nil(t, in.Deliveries[0].Err)
	require.NotNil(t, in.Deliveries[1].Err)
	require.Equal(t, hashOf(body)+":1", in.Deliveries[1].ID)
	require.True(t, strings.HasSuffix(body, string(in.Deliveries[1].Data)+"]"))
}

func TestReceiveAnswersAnEmptyArray(t *testing.T) {
	t.Parallel()
	in, err := bearerSource(t, nil).Receive(bearerRequest(" [ ] "), now)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, in.Answer.Status)
	require.Empty(t, in.Deliveries)
}

func TestReceiveLimits(t *testing.T) {
	t.Parallel()
	items := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"id":"%d","type":"b"}`, i))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	form := func(n int) string { return "id=1&type=b" + strings.Repeat("&x=1", n-2) }
	for _, tc := range []struct {
		name, body, media string
		deliveries        int // 0: refused
	}{
		{name: "1,000 items", body: items(1000), deliveries: 1000},
		{name: "1,001 items", body: items(1001)},
		{name: "1,000 fields", body: form(1000), media: formType, deliveries: 1},
		{name: "1,001 fields", body: form(1001), media: formType},
		{name: "brackets in a string", body: `{"id":"a","type":"b","x":"\"` + strings.Repeat("[", 100) + `\\"}`, deliveries: 1},
		{name: "64 deep", body: `{"id":"a","type":"b","x":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`, deliveries: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in, err := bearerSource(t, nil).Receive(bearerRequest(tc.body, "Content-Type", tc.media), now)
			if tc.deliveries > 0 {
				require.NoError(t, err)
				require.Len(t, in.Deliveries, tc.deliveries)
				for _, d := range in.Deliveries {
					require.Nil(t, d.Err)
				}
				return
			}
			var refusal *event.Error
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, event.MalformedRequest, refusal.Kind)
			require.Equal(t, event.NotWritten, refusal.Outcome)
			require.Contains(t, refusal.Detail, "1000")
		})
	}
}

func TestSlackLooksAtTheSSLCheck(t *testing.T) {
	t.Parallel()
	m := sampleOf(t, "slack")
	m.body, m.header = "token=x&ssl_check=1", header("Content-Type", formType)
	in, err := m.source(t, m.secrets[0]).Receive(m.request(t, m.secrets[0], now), now)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, in.Answer.Status)

	m.body, m.header = `{"type":"event_callback","event_id":"Ev1","ssl_check":"1"}`, nil // an event is one, whatever it has
	requireVerified(t, m.source(t, m.secrets[0]), m.request(t, m.secrets[0], now), now)
}

// If Config says where the type is, the scheme's place is not tried.
func TestTypeReplacesTheSchemes(t *testing.T) {
	t.Parallel()
	m := sampleOf(t, "twilio")
	m.cfg.Type = "/Kind"
	in, err := m.source(t, m.secrets[0]).Receive(m.request(t, m.secrets[0], now), now)
	require.NoError(t, err)
	require.ErrorContains(t, in.Deliveries[0].Err, "it is expected at /Kind")
	m.body += "&Kind=x"
	require.Equal(t, "twilio.x", requireVerified(t, m.source(t, m.secrets[0]), m.request(t, m.secrets[0], now), now)[0].EventType)
}

func TestGitHubTakesFormDeliveries(t *testing.T) {
	t.Parallel()
	m := sampleOf(t, "github")
	m.body, m.header = "payload=%7B%22action%22%3A%22opened%22%7D", header("Content-Type", formType, "X-GitHub-Event", "issues")
	d := requireVerified(t, m.source(t, m.secrets[0]), m.request(t, m.secrets[0], now), now)
	want, err := url.QueryUnescape(strings.TrimPrefix(m.body, "payload="))
	require.NoError(t, err)
	require.Equal(t, want, string(d[0].Data))

	m.body = "payload=%7B"
	in, err := m.source(t, m.secrets[0]).Receive(m.request(t, m.secrets[0], now), now)
	require.NoError(t, err)
	require.Equal(t, event.MalformedJSON, in.Deliveries[0].Err.Kind)
}
