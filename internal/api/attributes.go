package api

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/valyala/fasthttp"

	"eventgateway/internal/cloudevent"
	"eventgateway/internal/event"
)

// W3C Trace Context §3.2.
var traceParent = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// traceState is what the values and separators of W3C Trace Context §3.3 are made of. It
// becomes a record header, and other bytes would not be text.
var traceState = regexp.MustCompile(`^[\x20-\x7e\t]{0,512}$`)

// attributes are those of an event whose type and version are in the path.
func attributes(h *fasthttp.RequestHeader, eventType string) (event.Attributes, error) {
	e, err := envelope(h)
	switch {
	case err != nil:
		return event.Attributes{}, err
	case e.Type != "" && e.Type != eventType:
		return event.Attributes{}, refuseHeader("type", "differs from the event type in the path; leave it out or make them equal")
	case e.DataSchema != "":
		return event.Attributes{}, refuseHeader("dataschema", "is set by the gateway; name a version with ?version= instead")
	}
	return e.Attributes, nil
}

// envelope reads the ce-* headers (CloudEvents HTTP binding 1.0 §3.1.3) and the trace
// context. On an error the event holds what was read so far.
func envelope(h *fasthttp.RequestHeader) (cloudevent.Event, error) {
	var e cloudevent.Event
	var failed error
	var seen map[string]bool
	h.VisitAll(func(name, value []byte) {
		if failed != nil || len(name) < 3 || !strings.EqualFold(string(name[:3]), "ce-") {
			return
		}
		attr := strings.ToLower(string(name[3:]))
		if seen[attr] {
			failed = refuseHeader(attr, "is there twice; send it once")
			return
		}
		if seen == nil {
			seen = map[string]bool{}
		}
		seen[attr] = true
		if wrong := setFromHeader(&e, attr, string(value)); wrong != "" {
			failed = refuseHeader(attr, wrong)
		}
	})
	if failed != nil {
		return e, failed
	}
	setTrace(&e.Attributes, h)
	return e, nil
}

// setTrace takes the request's trace context, whatever mode its events are in.
func setTrace(a *event.Attributes, h *fasthttp.RequestHeader) {
	if tp := string(h.Peek("traceparent")); traceParent.MatchString(tp) {
		a.TraceParent = tp
		if ts := string(h.Peek("tracestate")); traceState.MatchString(ts) {
			a.TraceState = ts
		}
	}
}

func setFromHeader(e *cloudevent.Event, name, value string) (wrong string) {
	switch name {
	case "datacontenttype":
		return "is not a header: say it with Content-Type"
	case "data", "data_base64":
		return "is not a header: the data is the body"
	}
	text, ok := decode(value)
	if !ok {
		return "is not percent-encoded UTF-8 (CloudEvents HTTP binding §3.1.3.2)"
	}
	return e.Set(name, text)
}

func refuseHeader(name, wrong string) *event.Error {
	if !cloudevent.ValidName(name) && name != "data_base64" {
		return event.Refuse(event.MalformedRequest, "The header %s %s.", cloudevent.Quote("ce-"+name), wrong)
	}
	return event.Refuse(event.MalformedRequest, "The header ce-%s %s.", name, wrong)
}

// decode decodes a header value (CloudEvents HTTP binding 1.0 §3.1.3.2), which
// must then be UTF-8 without control characters.
func decode(s string) (string, bool) {
	if strings.HasPrefix(s, `"`) { // as senders of older versions do
		var ok bool
		if s, ok = unquote(s, anyByte); !ok {
			return "", false
		}
	}
	if strings.Contains(s, "%") {
		var err error
		if s, err = url.PathUnescape(s); err != nil {
			return "", false
		}
	}
	return s, cloudevent.Plain(s)
}
