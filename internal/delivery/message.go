package delivery

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"eventgateway/internal/delivery/endpoint"
	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

const (
	cloudEventHeader = "ce_"
	structuredType   = "application/cloudevents+json"
)

// attribute is a CloudEvents attribute.
type attribute struct{ name, value string }

// message is a record as a CloudEvent.
type message struct {
	attributes  []attribute // beginning with id, source, type; without specversion
	contentType string
	trace       []endpoint.Header
	whole       bool // the record's value is a CloudEvent in the JSON format
}

// messageOf reads a record's headers. Records of others lack attributes: they get an id of
// their place, the topic as type, and /topics/<topic> as source.
func messageOf(r *kafka.Record) message {
	var m message
	m.attributes = make([]attribute, 3, 3+2+len(r.Headers))
	m.attributes[0].name, m.attributes[1].name, m.attributes[2].name = "id", "source", "type"
	var came [3]bool
	for _, h := range r.Headers {
		value := string(h.Value)
		name, isAttribute := strings.CutPrefix(h.Key, cloudEventHeader)
		switch {
		case !utf8.ValidString(value):
			continue
		case h.Key == event.HeaderContentType:
			m.contentType = value
		case h.Key == event.HeaderTraceParent, h.Key == event.HeaderTraceState:
			if headerText(value) {
				m.trace = append(m.trace, endpoint.Header{Name: h.Key, Value: value})
			}
		case !isAttribute || !attributeName(name) || name == "specversion" || name == "datacontenttype":
		default:
			switch at := m.index(name); {
			case at < 0:
				m.attributes = append(m.attributes, attribute{name, value})
			case at < len(came) && !came[at]:
				came[at], m.attributes[at].value = true, value
			}
		}
	}
	id, source, kind := &m.attributes[0].value, &m.attributes[1].value, &m.attributes[2].value
	if *id == "" || *source == "" {
		*id = r.Topic + "-" + strconv.Itoa(int(r.Partition)) + "-" + strconv.FormatInt(r.Offset, 10)
		*source = "/topics/" + url.PathEscape(r.Topic)
	}
	if *kind == "" {
		*kind = r.Topic
	}
	if m.index("partitionkey") < 0 && r.Key != nil && utf8.Valid(r.Key) {
		m.attributes = append(m.attributes, attribute{"partitionkey", string(r.Key)})
	}
	if m.index("sequence") < 0 {
		number := strconv.FormatInt(r.Offset, 10)
		m.attributes = append(m.attributes, attribute{"sequence", zeros[:max(0, len(zeros)-len(number))] + number})
	}
	m.whole = strings.HasPrefix(strings.ToLower(m.contentType), structuredType)
	return m
}

// zeros are the digits of a sequence, which sort as text.
const zeros = "00000000000000000000"

// index is the place of an attribute, -1 if there is none.
func (m message) index(name string) int {
	return slices.IndexFunc(m.attributes, func(a attribute) bool { return a.name == name })
}

// eventType is the record's event type, "" if it has none.
func eventType(r *kafka.Record) string {
	for _, h := range r.Headers {
		if h.Key == event.HeaderType {
			return string(h.Value)
		}
	}
	return ""
}

// attributeName is by CloudEvents §3.1: lower-case letters and digits.
func attributeName(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && name != "data"
}

// headerText reports whether a text can be a header's value as it is.
func headerText(text string) bool {
	for _, c := range []byte(text) {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// webhookID is the same for every delivery of an event, after a replay from another
// topic, too, and differs between sources: a digest of source and id.
func (m message) webhookID() string {
	h := sha256.New()
	for _, a := range m.attributes[:2] {
		_ = binary.Write(h, binary.BigEndian, uint32(len(a.value))) //nolint:gosec // a header's length
		h.Write([]byte(a.value))
	}
	return "evt_" + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}

// request is what is sent for a record.
func request(r *kafka.Record, binaryMode bool, attempt int) endpoint.Event {
	m := messageOf(r)
	e := endpoint.Event{ID: m.webhookID(), Attempt: attempt, Headers: m.trace}
	switch {
	case m.whole:
		e.ContentType, e.Body = m.contentType, r.Value
	case binaryMode:
		e.ContentType, e.Body = m.contentType, r.Value
		e.Headers = append(e.Headers, endpoint.Header{Name: "ce-specversion", Value: "1.0"})
		for _, a := range m.attributes {
			e.Headers = append(e.Headers, endpoint.Header{Name: "ce-" + a.name, Value: percentEncode(a.value)})
		}
	default:
		e.ContentType, e.Body = structuredType+"; charset=UTF-8", m.structured(r.Value)
	}
	return e
}

// structured writes the event in the JSON format. JSON is embedded byte for byte, other
// data as data_base64; a tombstone has no data.
func (m message) structured(value []byte) []byte {
	b := make([]byte, 0, len(value)+512)
	b = append(b, `{"specversion":"1.0"`...)
	for _, a := range m.attributes {
		b = appendName(b, a.name)
		b, _ = jsontext.AppendQuote(b, a.value) // it is UTF-8
	}
	if value == nil {
		return append(b, '}')
	}
	if m.contentType != "" {
		b = appendName(b, "datacontenttype")
		b, _ = jsontext.AppendQuote(b, m.contentType)
	}
	if isJSON(m.contentType) && jsontext.Value(value).IsValid() {
		b = appendName(b, "data")
		b = append(b, value...)
	} else {
		b = appendName(b, "data_base64")
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, value)
		b = append(b, '"')
	}
	return append(b, '}')
}

// appendName begins a member of an object.
func appendName(b []byte, name string) []byte {
	b = append(b, ',')
	b = strconv.AppendQuote(b, name) // lower-case letters and digits
	return append(b, ':')
}

// isJSON reports whether a media type, or none, says JSON.
func isJSON(contentType string) bool {
	kind, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	kind = strings.TrimSpace(kind)
	return kind == "" || kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json")
}

// percentEncode writes a header's value by the CloudEvents HTTP binding, §3.1.3.2.
func percentEncode(text string) string {
	plain := true
	for _, c := range []byte(text) {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '%' {
			plain = false
		}
	}
	if plain {
		return text
	}
	var b strings.Builder
	for _, c := range []byte(text) {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
