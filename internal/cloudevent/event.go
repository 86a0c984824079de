package cloudevent

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"eventgateway/internal/event"
)

// Limits of an event's context.
const (
	MaxAttributeBytes = 2048
	maxExtensions     = 32
	// maxExtensionBytes bounds the names and values of an event's extensions together. In
	// binary mode the headers are bounded before (intake.HeaderLimit).
	maxExtensionBytes = 16 << 10
	// maxTimeDigits bounds the fraction of a second. Clocks have at most 9 digits; more are
	// kept as they are sent.
	maxTimeDigits = 32
	// MaxBatch is how many events a batch may have.
	MaxBatch = 1000
)

var (
	extensionName = regexp.MustCompile(`^[a-z0-9]{1,64}$`)
	// timestamp is the syntax of RFC 3339 §5.6, in which T and Z may be small letters.
	// time.Parse alone accepts more (hours of one digit, a comma for the point, offsets
	// of a day), but also checks the values.
	timestamp = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,` + strconv.Itoa(maxTimeDigits) + `})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`)
)

// Event is a CloudEvent as sent. Attributes that are not set are empty.
type Event struct {
	event.Attributes
	SpecVersion     string
	Type            string
	DataSchema      string
	DataContentType string
	Data            []byte // nil: the event has none
}

// Set sets one attribute. It returns what is wrong with the value, as the end of a
// sentence that begins with the name; empty if nothing is wrong. Names are in lower
// case. It does not notice whether an attribute was set before.
func (e *Event) Set(name, value string) (wrong string) {
	if len(value) > MaxAttributeBytes {
		return "is longer than 2048 bytes, which is the gateway's limit"
	}
	if !Plain(value) {
		return "must be UTF-8 without control characters (CloudEvents §3)"
	}
	if value == "" && defined(name) { // an extension may be empty
		return "must not be empty (CloudEvents §3.1); leave it out if it is optional"
	}
	switch name {
	case "id":
		e.ID = value
	case "source":
		if !isReference(value) {
			return "must be a URI reference (RFC 3986 §4.1)"
		}
		e.Source = value
	case "time":
		if !validTime(value) {
			return "must be a time such as 2026-01-31T12:00:00Z (RFC 3339)"
		}
		e.Time = value
	case "subject":
		e.Subject = value
	case "specversion":
		if value != specVersion {
			return "must be 1.0"
		}
		e.SpecVersion = value
	case "type":
		e.Type = value
	case "dataschema":
		if !isReference(value) {
			return "must be a URI (RFC 3986 §4.3)"
		}
		e.DataSchema = value
	case "datacontenttype":
		e.DataContentType = value
	default:
		return e.setExtension(name, value, false)
	}
	return ""
}

func (e *Event) setExtension(name, value string, literal bool) (wrong string) {
	if !ValidName(name) {
		return "is not a name for an extension: use a to z and 0 to 9, at most 64 (CloudEvents §3)"
	}
	if len(e.Extensions) == maxExtensions {
		return "makes more than 32 extensions"
	}
	size := len(name) + len(value)
	for _, other := range e.Extensions {
		size += len(other.Name) + len(other.Value)
	}
	if size > maxExtensionBytes {
		return "makes the extensions larger than 16384 bytes together, which is the gateway's limit"
	}
	e.Extensions = append(e.Extensions, event.Extension{Name: name, Value: value, Literal: literal})
	return ""
}

// unusualHost matches references whose host RFC 3986 §3.2.2 allows and net/url does not:
// with percent-encoded ASCII, or an address of a future version of IP.
var unusualHost = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*:)?//([\w.~!$&'()*+,;=:%-]*@)?` +
	`(([\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+|\[[vV][0-9A-Fa-f]+\.[\w.~!$&'()*+,;=:-]+\])(:[0-9]*)?([/?#]([\w.~!$&'()*+,;=:@/?#-]|%[0-9A-Fa-f]{2})*)?$`)

// isReference reports whether text is a URI reference. It is lenient about characters that
// a URI should encode.
func isReference(text string) bool {
	_, err := url.Parse(text)
	return err == nil || unusualHost.MatchString(text)
}

// defined reports whether CloudEvents itself defines the attribute.
func defined(name string) bool {
	n := known([]byte(name))
	return n != "" && n != "data"
}

// validTime reports whether text is a time of RFC 3339, which knows leap seconds, at the
// end of a day in UTC. package time knows none.
func validTime(text string) bool {
	if !timestamp.MatchString(text) {
		return false
	}
	upper := strings.ToUpper(text)
	const seconds = len("2016-12-31T23:59:")
	leap := upper[seconds:seconds+2] == "60"
	if leap {
		upper = upper[:seconds] + "59" + upper[seconds+2:]
	}
	t, err := time.Parse(time.RFC3339Nano, upper)
	return err == nil && (!leap || t.UTC().Hour() == 23 && t.UTC().Minute() == 59)
}

// ValidName reports whether an attribute may have this name (CloudEvents §3).
func ValidName(name string) bool { return extensionName.MatchString(name) }

// Missing lists the required attributes that are not set.
func (e *Event) Missing() []string {
	var names []string
	for _, a := range []struct{ name, value string }{
		{"specversion", e.SpecVersion}, {"id", e.ID}, {"source", e.Source}, {"type", e.Type},
	} {
		if a.value == "" {
			names = append(names, a.name)
		}
	}
	return names
}

// maxQuoted bounds how much of a sender's name a message repeats, in bytes.
const maxQuoted = 64

// Quote is a sender's text for a message: short, in ASCII and on one line.
func Quote(text string) string {
	if len(text) <= maxQuoted {
		return strconv.QuoteToASCII(text)
	}
	cut := maxQuoted
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strconv.QuoteToASCII(text[:cut]) + "…"
}

// Plain reports whether s is UTF-8 without control characters (CloudEvents §3.1).
func Plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r >= 0x7f && r <= 0x9f })
}
