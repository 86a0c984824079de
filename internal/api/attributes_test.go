package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"eventgateway/internal/event"
)

const traceID = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// extensions makes n header lines ce-x1, ce-x2, …
func extensions(n int) string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf("ce-x%d: v", i))
	}
	return strings.Join(lines, "\r\n")
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		headers string
		want    event.Attributes
	}{
		"none": {"X-Other: 1", event.Attributes{}},
		"all": {
			"ce-id: 1\r\nce-source: /shop\r\nce-time: 2026-01-31T12:00:00Z\r\nce-subject: o-1\r\nce-specversion: 1.0\r\nce-type: orders.placed",
			event.Attributes{ID: "1", Source: "/shop", Time: "2026-01-31T12:00:00Z", Subject: "o-1"},
		},
		"names in any case":          {"CE-Id: 1\r\nCe-SUBJECT: s", event.Attributes{ID: "1", Subject: "s"}},
		"percent-encoded":            {"ce-subject: Euro%20%E2%82%AC%20%F0%9F%98%80", event.Attributes{Subject: "Euro € 😀"}},
		"lower-case hexadecimal":     {"ce-subject: %e2%82%ac", event.Attributes{Subject: "€"}},
		"one round of decoding":      {"ce-subject: %2541", event.Attributes{Subject: "%41"}},
		"plus is a plus":             {"ce-subject: a+b", event.Attributes{Subject: "a+b"}},
		"raw UTF-8":                  {"ce-subject: €", event.Attributes{Subject: "€"}},
		"quoted, as of old":          {`ce-subject: "Euro %E2%82%AC \"x\" \\ \y"`, event.Attributes{Subject: `Euro € "x" \ y`}},
		"a quote inside":             {`ce-subject: a"b`, event.Attributes{Subject: `a"b`}},
		"absolute source":            {"ce-source: https://example.com/x?y#z", event.Attributes{Source: "https://example.com/x?y#z"}},
		"urn source":                 {"ce-source: urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", event.Attributes{Source: "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"}},
		"time with offset, fraction": {"ce-time: 2026-01-31T12:00:00.123456789+05:30", event.Attributes{Time: "2026-01-31T12:00:00.123456789+05:30"}},
		"type percent-encoded":       {"ce-type: orders%2Eplaced", event.Attributes{}},
		"extensions": {
			"ce-traceid: t\r\nce-x9: %41",
			event.Attributes{Extensions: []event.Extension{{Name: "traceid", Value: "t"}, {Name: "x9", Value: "A"}}},
		},
		"extension of 64 characters": {
			"ce-" + strings.Repeat("x", 64) + ": v",
			event.Attributes{Extensions: []event.Extension{{Name: strings.Repeat("x", 64), Value: "v"}}},
		},
		"2048 bytes":             {"ce-subject: " + strings.Repeat("s", 2048), event.Attributes{Subject: strings.Repeat("s", 2048)}},
		"empty extension":        {"ce-tracestate:", event.Attributes{Extensions: []event.Extension{{Name: "tracestate"}}}},
		"empty, in quotes":       {`ce-tenant: ""`, event.Attributes{Extensions: []event.Extension{{Name: "tenant"}}}},
		"time in small letters":  {"ce-time: 2026-01-31t12:00:00z", event.Attributes{Time: "2026-01-31t12:00:00z"}},
		"leap second":            {"ce-time: 2016-12-31T23:59:60Z", event.Attributes{Time: "2016-12-31T23:59:60Z"}},
		"leap second elsewhere":  {"ce-time: 1990-12-31T15:59:60.5-08:00", event.Attributes{Time: "1990-12-31T15:59:60.5-08:00"}},
		"not a prefix":           {"cexid: 1\r\nce: 2", event.Attributes{}},
		"trace":                  {"traceparent: " + traceID + "\r\ntracestate: a=1,b=2", event.Attributes{TraceParent: traceID, TraceState: "a=1,b=2"}},
		"bad trace is ignored":   {"traceparent: 00-xyz\r\ntracestate: a=1", event.Attributes{}},
		"upper-case trace":       {"traceparent: " + strings.ToUpper(traceID), event.Attributes{}},
		"trace state of bytes":   {"traceparent: " + traceID + "\r\ntracestate: a=\xff\xfe", event.Attributes{TraceParent: traceID}},
		"trace state, not ASCII": {"traceparent: " + traceID + "\r\ntracestate: a=ü", event.Attributes{TraceParent: traceID}},
		"long trace state":       {"traceparent: " + traceID + "\r\ntracestate: " + strings.Repeat("a", 513), event.Attributes{TraceParent: traceID}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			w := start(t, d).dial(t)
			w.send(t, rawPost(c.headers, "{}"))
			a := w.answer(t)
			require.Equal(t, http.StatusAccepted, a.StatusCode, string(a.body))
			require.Equal(t, c.want, (<-seen).Attributes)
		})
	}
}

func TestThirtyTwoExtensions(t *testing.T) {
	t.Parallel()
	d, seen := recording()
	w := start(t, d).dial(t)
	w.send(t, rawPost(extensions(32), "{}"))
	require.Equal(t, http.StatusAccepted, w.answer(t).StatusCode)
	require.Len(t, (<-seen).Attributes.Extensions, 32)
}

func TestIllFormedAttributes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ headers, detail string }{
		"twice":                     {"ce-subject: a\r\nce-subject: b", "ce-subject is there twice"},
		"twice in different case":   {"ce-subject: a\r\nCE-SUBJECT: a", "ce-subject is there twice"},
		"extension twice":           {"ce-x: a\r\nce-x: b", "ce-x is there twice"},
		"empty":                     {"ce-subject:", "ce-subject must not be empty"},
		"empty id":                  {"ce-id:", "ce-id must not be empty"},
		"empty in quotes":           {`ce-subject: ""`, "ce-subject must not be empty"},
		"too long":                  {"ce-subject: " + strings.Repeat("s", 2049), "longer than 2048 bytes, which is the gateway's limit"},
		"half a percent-encoding":   {"ce-subject: 50%", "not percent-encoded"},
		"bad hexadecimal":           {"ce-subject: %zz", "not percent-encoded"},
		"not UTF-8":                 {"ce-subject: a\xff", "not percent-encoded UTF-8"},
		"not UTF-8 when decoded":    {"ce-subject: %ff", "not percent-encoded UTF-8"},
		"overlong UTF-8":            {"ce-subject: %c0%af", "not percent-encoded UTF-8"},
		"lone surrogate":            {"ce-subject: %ed%a0%80", "not percent-encoded UTF-8"},
		"control character":         {"ce-subject: a%00b", "not percent-encoded UTF-8"},
		"new line":                  {"ce-subject: a%0Ab", "not percent-encoded UTF-8"},
		"delete":                    {"ce-subject: a%7Fb", "not percent-encoded UTF-8"},
		"C1 control":                {"ce-subject: a%C2%85b", "not percent-encoded UTF-8"},
		"open quote":                {`ce-subject: "a`, "not percent-encoded UTF-8"},
		"no time":                   {"ce-time: yesterday", "RFC 3339"},
		"time without offset":       {"ce-time: 2026-01-31T12:00:00", "RFC 3339"},
		"date alone":                {"ce-time: 2026-01-31", "RFC 3339"},
		"30 February":               {"ce-time: 2026-02-30T12:00:00Z", "RFC 3339"},
		"leap second at noon":       {"ce-time: 2016-12-31T12:00:60Z", "RFC 3339"},
		"hour of one digit":         {"ce-time: 2026-01-31T1:00:00Z", "RFC 3339"},
		"comma for a point":         {"ce-time: 2026-01-31T12:00:00,5Z", "RFC 3339"},
		"offset of a day":           {"ce-time: 2026-01-31T12:00:00+24:00", "RFC 3339"},
		"no URI":                    {"ce-source: :no", "URI reference"},
		"no URI when decoded":       {"ce-source: http://%5B::1", "URI reference"},
		"specversion of the past":   {"ce-specversion: 0.3", "must be 1.0"},
		"another type":              {"ce-type: orders.cancelled", "differs from the event type in the path"},
		"type in another case":      {"ce-type: Orders.Placed", "differs from the event type in the path"},
		"data schema":               {"ce-dataschema: https://example.com/s", "?version="},
		"content type":              {"ce-datacontenttype: application/json", "Content-Type"},
		"data":                      {"ce-data: x", "the data is the body"},
		"data as base64":            {"ce-data_base64: eA==", "the data is the body"},
		"extension with a dash":     {"ce-my-ext: x", `"ce-my-ext" is not a name for an extension`},
		"extension with underscore": {"ce-my_ext: x", `"ce-my_ext" is not a name for an extension`},
		"extension of 65":           {"ce-" + strings.Repeat("x", 65) + ": v", "not a name for an extension"},
		"no name":                   {"ce-: v", `"ce-" is not a name for an extension`},
		"33 extensions":             {extensions(33), "more than 32"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			w := start(t, d).dial(t)
			w.send(t, rawPost(c.headers, "{}"))
			requireRefused(t, w.answer(t), event.MalformedRequest, c.detail)
			require.Empty(t, seen)
		})
	}
}

func FuzzAttributes(f *testing.F) {
	for _, seed := range [][4]string{
		{"ce-id", "1", "ce-source", "/shop"},
		{"ce-time", "2026-01-31T12:00:00Z", "ce-subject", "%E2%82%AC"},
		{"ce-subject", `"a\"b"`, "CE-SUBJECT", "a"},
		{"ce-data_base64", "x", "ce-my-ext", "%"},
		{"ce-x", "%00", "ce-specversion", "1.0"},
		{"ce-", "v", "traceparent", traceID},
		{"tracestate", "a=1", "traceparent", traceID},
		{"ce-source", "http://%5b::1", "ce-type", "orders.placed"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		var h fasthttp.RequestHeader
		h.Add(name1, value1)
		h.Add(name2, value2)
		a, err := attributes(&h, "orders.placed")
		if err != nil {
			var e *event.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, event.MalformedRequest, e.Kind)
			require.Equal(t, event.NotWritten, e.Outcome)
			require.Regexp(t, `^[ -~§]+$`, e.Detail)
			require.Equal(t, event.Attributes{}, a)
			return
		}
		values := []string{a.ID, a.Source, a.Time, a.Subject}
		for _, x := range a.Extensions {
			require.Regexp(t, `^[a-z0-9]{1,64}$`, x.Name)
			require.NotEmpty(t, x.Value)
			values = append(values, x.Value)
		}
		for _, v := range values {
			require.True(t, utf8.ValidString(v))
			require.LessOrEqual(t, len(v), 2048)
			require.False(t, strings.ContainsFunc(v, func(r rune) bool { return r < 0x20 || r == 0x7f }), v)
		}
		if a.Time != "" {
			_, err := time.Parse(time.RFC3339Nano, a.Time)
			require.NoError(t, err)
		}
		if a.TraceParent == "" {
			require.Empty(t, a.TraceState)
		}
	})
}
