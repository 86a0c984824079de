package webhook

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/strictjson"
)

// holds checks what is true of every answer of Receive.
func holds(t *testing.T, in Intake, err error, secrets []string) {
	if err != nil {
		require.Empty(t, in.Deliveries)
		require.Nil(t, in.Answer)
		require.Less(t, len(err.Error()), 2<<10)
		for _, secret := range secrets {
			require.NotContains(t, err.Error(), secret)
		}
		switch e := err.(type) { //nolint:errorlint // it is one of the two, unwrapped
		case *Rejection:
			require.NotEmpty(t, e.Reason)
			require.NotEmpty(t, e.Detail)
		case *event.Error:
			require.Equal(t, event.MalformedRequest, e.Kind)
			require.Equal(t, event.NotWritten, e.Outcome)
		default:
			require.Fail(t, "another error", "%T", err)
		}
		return
	}
	require.NotEqual(t, in.Answer == nil, len(in.Deliveries) == 0, "an answer or deliveries")
	require.LessOrEqual(t, len(in.Deliveries), maxItems)
	for _, d := range in.Deliveries {
		require.LessOrEqual(t, len(d.ID), maxText+len(":999"))
		if d.Err != nil {
			continue
		}
		require.True(t, event.ValidTypeName(d.EventType), d.EventType)
		require.True(t, json.Valid(d.Data))
		require.True(t, strings.HasPrefix(d.MediaType, "application/"))
	}
}

// FuzzReceive: for any input, Receive keeps its promises, and rejects every request of
// which a signed byte was changed.
func FuzzReceive(f *testing.F) {
	for i, m := range samples {
		r := m.request(f, m.secrets[0], now)
		values := []string{"", "", ""}
		for j, name := range m.counts {
			if j < len(values) {
				values[j] = r.Header.Get(name)
			}
		}
		f.Add(i, values[0], values[1], values[2], now.Unix(), r.Body, "application/json", false)
		f.Add(i, values[0], values[1], values[2], now.Unix(), []byte(`[{"id":1,"type":"a"},{"id":2}]`), formType, true)
		f.Add(i, "sha256=,", "t=1,v1=00", "v1,AAAA v1a,", int64(-1), []byte("payload=%7B%7D&a=%zz"), "text/xml; q=\"", true)
	}
	for _, tc := range mappings {
		index := slices.IndexFunc(samples, func(m sample) bool { return m.scheme == tc.scheme })
		f.Add(index, "", "", "", now.Unix(), []byte(readFile(f, tc.file)), tc.header.Get("Content-Type"), true)
	}
	f.Fuzz(func(t *testing.T, index int, first, second, third string, at int64, body []byte, media string, signed bool) {
		if len(body) > 64<<10 || len(media) > 1<<10 {
			return
		}
		m := samples[int(uint(index)%uint(len(samples)))]
		s := m.source(t, m.secrets[0])
		clock := time.Unix(at, 0)
		if !signed {
			r := m.request(t, m.secrets[0], now)
			r.Body = body
			r.Header.Set("Content-Type", media)
			for i, value := range []string{first, second, third} {
				if i < len(m.counts) {
					r.Header.Set(m.counts[i], value)
				}
			}
			in, err := s.Receive(r, clock)
			holds(t, in, err, nil)
			return
		}
		// A request that the provider could have sent is verified, whatever is in it …
		m.body, m.header = string(body), cloned(m.header)
		m.header.Set("Content-Type", media)
		if !m.signable(t, now) {
			return
		}
		r := m.request(t, m.secrets[0], now)
		in, err := s.Receive(r, now)
		var rejection *Rejection
		require.NotErrorAs(t, err, &rejection)
		holds(t, in, err, []string{m.secrets[0]})
		// … and no other body matches its signature.
		if m.unsigned || m.loose || m.change != nil || len(r.Body) == 0 {
			return
		}
		r.Body[int(uint(at)%uint(len(r.Body)))] ^= 1
		_, err = s.Receive(r, now)
		require.ErrorAs(t, err, &rejection)
	})
}

// signable reports whether the sample's body can be signed: schemes with the
// signature in the body need one that they can put it into.
func (m sample) signable(t *testing.T, at time.Time) bool {
	if m.sign != nil {
		return true
	}
	r := Request{Method: http.MethodPost, URL: "/", Header: cloned(m.header), Body: []byte(m.body)}
	return m.source(t, m.secrets[0]).Sign(&r, "id-1", at) == nil
}

// FuzzForm: a form is read as net/url reads it, in bounds, and becomes strict JSON.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"", "&", "=", "a", "a=1&a=2&b=", "a+b=%20%2B", "a=%zz", "a=%", "%ff=%c3%28", "payload=%7B%7D", "a=1;b=2", "\x00=\x01", strings.Repeat("a&", 1001),
		readFile(f, "slack/slash_command.form"), readFile(f, "slack/block_actions.form"),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) > 64<<10 {
			return
		}
		fields, fault, tooMany := parseForm(body)
		require.LessOrEqual(t, len(fields), maxFields)
		if fault != nil || tooMany != nil {
			return
		}
		require.NotEmpty(t, fields)
		data := formJSON(fields)
		require.Nil(t, checkJSON(data))
		var object map[string]any
		require.NoError(t, json.Unmarshal(data, &object))
		if strings.Contains(body, ";") {
			return // net/url refuses it, browsers and we do not
		}
		want, err := url.ParseQuery(body)
		require.NoError(t, err)
		require.Len(t, object, len(want))
		for name, values := range want {
			var got []string
			switch v := object[name].(type) {
			case string:
				got = []string{v}
			case []any:
				for _, one := range v {
					got = append(got, one.(string))
				}
			}
			require.Equal(t, values, got)
		}
	})
}

// FuzzSignatureHeader: no header panics a parser, and what a parser accepts is in
// bounds.
func FuzzSignatureHeader(f *testing.F) {
	for _, seed := range []string{
		"", "t=1,v1=00", "t=1700000000," + stripeV1 + ",v0=x", "ts=1;h1=00;h1=11", "ts=1700000000;h1=" + zerosV1[3:],
		"v1,AAAA v1a,AAAA v2,", strings.Repeat("v1, ", 20), "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=",
		"{body}", "v0:{timestamp}:{body}", "{header:X-A}{id}{url}{method}", "{", "}", "{{body}}", "{header:}",
		"1700000000", "1700000000000", "2023-11-14T22:13:20Z", "Basic QQ==", "Bearer ", "/a~0~1/0", "header:x", "body-hash",
	} {
		f.Add(seed)
	}
	lists := []listSpec{
		{header: "Stripe-Signature", between: ",", timestamp: "t", signature: "v1", separator: "."},
		{header: "Paddle-Signature", between: ";", timestamp: "ts", signature: "h1", separator: ":"},
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, list := range lists {
			timestamp, signatures, rejection := list.parse(text)
			require.Equal(t, rejection == nil, timestamp != "" && len(signatures) > 0)
		}
		sent, rejection := parseStandard(text, "Webhook-Signature")
		require.LessOrEqual(t, len(sent.v1a), maxPublicSignatures)
		if rejection == nil {
			require.NotZero(t, len(sent.v1)+len(sent.v1a))
		}
		for _, format := range []timestampFormat{anyTimestamp, unixSeconds, unixMilliseconds, rfc3339} {
			if signed, ok := format.parse(text); ok {
				_ = fresh(signed, now, DefaultTolerance, "X")
			}
		}
		if parsed, err := parseTemplate(text, "X-Id"); err == nil {
			var out strings.Builder
			headers := make([]string, len(parsed))
			parsed.write(&out, variables{headers: headers})
			require.LessOrEqual(t, out.Len(), len(text))
		}
		if p, err := parsePlace(text); err == nil && p.pointer != nil {
			require.Equal(t, text, p.pointer.String())
		}
		for _, c := range []*credentials{{header: authorization, kind: "Basic", base64: true}, {header: authorization, kind: "Bearer"}} {
			_, _ = c.read(text)
		}
	})
}

// FuzzPointers: one pass over the data finds what a pass for each pointer finds, and
// what is put at a pointer is found there.
func FuzzPointers(f *testing.F) {
	for _, seed := range []string{
		`{"a":[0,{"b":null,"a":"x"}],"":{"":"z"},"a/b":7}`, `[[["deep"]],{"0":1}]`, `"s"`, `{"a":{"a":{"a":[]}}}`, "", "{", `{"a":1,"a":2}`, `[1,2] 3`,
		strings.Repeat("[", 65) + strings.Repeat("]", 65), `{"\u0061":1,"b\\":"}{"}`,
	} {
		f.Add([]byte(seed), "/a", "/a/1/b", "/0/0")
		f.Add([]byte(seed), "", "//", "/a~1b")
	}
	f.Fuzz(func(t *testing.T, data []byte, first, second, third string) {
		if len(data) > 16<<10 {
			return
		}
		var pointers []strictjson.Pointer
		for _, text := range []string{first, second, third} {
			if p, err := parsePointer(text); err == nil && len(p) < strictjson.MaxDepth {
				pointers = append(pointers, p)
			}
		}
		found := strictjson.FindAll(data, pointers) // never panics, whatever the data
		if checkJSON(data) != nil {
			return
		}
		require.True(t, json.Valid(data))
		for i, p := range pointers {
			want, ok := p.Find(data)
			if len(p) == 0 {
				want, ok = data, true
			}
			require.Equal(t, ok, found[i] != nil)
			require.Equal(t, string(want), string(found[i]))
			changed, err := put(data, p, []byte(`"new"`))
			if err != nil || len(p) == 0 {
				continue
			}
			if fault := checkJSON(changed); fault != nil {
				require.Contains(t, fault.Detail, "deep") // the objects that were made
				continue
			}
			got, ok := p.Find(changed)
			require.True(t, ok)
			require.Equal(t, []byte(`"new"`), got)
		}
	})
}
