package api

import (
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"eventgateway/internal/event"
)

const (
	maxAttributeBytes = 2048
	maxExtensions     = 32
)

var (
	extensionName = regexp.MustCompile(`^[a-z0-9]{1,64}$`)
	// timestamp is RFC 3339 §5.6, of which time.Parse takes more: hours of one
	// digit, a comma for the point, offsets of a day. It checks the rest.
	timestamp = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`)
	// W3C Trace Context §3.2.
	traceParent = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)
)

// attributes reads the ce-* headers (CloudEvents HTTP binding 1.0 §3.1.3) and
// the trace context. What is not there stays empty.
func attributes(h *fasthttp.RequestHeader, eventType string) (event.Attributes, error) {
	var a event.Attributes
	var failed error
	var seen map[string]bool
	h.VisitAll(func(name, value []byte) {
		if failed != nil || len(name) < 3 || !strings.EqualFold(string(name[:3]), "ce-") {
			return
		}
		attr := strings.ToLower(string(name[3:]))
		if seen[attr] {
			failed = refuseAttribute(attr, "is there twice; send it once")
			return
		}
		if seen == nil {
			seen = map[string]bool{}
		}
		seen[attr] = true
		text, ok := decode(string(value))
		switch {
		case !ok:
			failed = refuseAttribute(attr, "is not percent-encoded UTF-8 (CloudEvents HTTP binding §3.1.3.2)")
		case text == "" || len(text) > maxAttributeBytes:
			failed = refuseAttribute(attr, "must not be empty or longer than 2048 bytes")
		default:
			failed = setAttribute(&a, attr, text, eventType)
		}
	})
	if failed != nil {
		return event.Attributes{}, failed
	}
	if tp := string(h.Peek("traceparent")); traceParent.MatchString(tp) {
		a.TraceParent = tp
		if ts := string(h.Peek("tracestate")); len(ts) <= 512 {
			a.TraceState = ts
		}
	}
	return a, nil
}

func setAttribute(a *event.Attributes, name, value, eventType string) error {
	switch name {
	case "id":
		a.ID = value
	case "source":
		if _, err := url.Parse(value); err != nil {
			return refuseAttribute(name, "must be a URI reference")
		}
		a.Source = value
	case "time":
		if _, err := time.Parse(time.RFC3339Nano, value); err != nil || !timestamp.MatchString(value) {
			return refuseAttribute(name, "must be a time such as 2026-01-31T12:00:00Z (RFC 3339)")
		}
		a.Time = value
	case "subject":
		a.Subject = value
	case "specversion":
		if value != "1.0" {
			return refuseAttribute(name, "must be 1.0")
		}
	case "type":
		if value != eventType {
			return refuseAttribute(name, "differs from the event type in the path; leave it out or make them equal")
		}
	case "dataschema":
		return refuseAttribute(name, "is set by the gateway; name a version with ?version= instead")
	case "datacontenttype":
		return refuseAttribute(name, "is not a header: say it with Content-Type")
	case "data", "data_base64":
		return refuseAttribute(name, "is not a header: the data is the body")
	default:
		return setExtension(a, name, value)
	}
	return nil
}

func setExtension(a *event.Attributes, name, value string) error {
	if !extensionName.MatchString(name) {
		return refuseAttribute(name, "is not a name for an extension: use a to z and 0 to 9")
	}
	if len(a.Extensions) == maxExtensions {
		return event.Refuse(event.MalformedRequest, "More than %d extension headers.", maxExtensions)
	}
	a.Extensions = append(a.Extensions, event.Header{Name: name, Value: value})
	return nil
}

func refuseAttribute(name, what string) *event.Error {
	if !extensionName.MatchString(name) {
		name = "*"
	}
	return event.Refuse(event.MalformedRequest, "The header ce-%s %s.", name, what)
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
	if !utf8.ValidString(s) {
		return "", false
	}
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r <= 0x9f {
			return "", false
		}
	}
	return s, true
}
