package cloudevent

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"eventgateway/internal/event"
	"eventgateway/internal/strictjson"
)

// Parse reads an event in the JSON format (CloudEvents JSON event format 1.0).
// Beside an error the event has what could be read, so that its entity may still be
// found. The event's data are a slice of text.
//
// Duplicate names inside the data are not reported here: the data are checked later,
// like those of every event.
func Parse(text []byte) (Event, error) {
	d := decoder(text, jsontext.AllowDuplicateNames(true))
	defer d.free(text)
	r := d.reader(text)
	err := r.object()
	if err == nil {
		err = trailing(r.dec, text, "CloudEvent")
	}
	if err == nil {
		err = r.complete()
	}
	return r.event, err
}

// pooled is a decoder that reads in place. Its memory for finding duplicate names would
// otherwise be most of what reading a small event allocates.
type pooled struct {
	jsontext.Decoder
	source *bytes.Buffer
	names  [12]string // memory for a reader's names
}

// keptText bounds the texts whose decoders are kept, in bytes: a large event must not
// leave its memory behind in the pool.
const keptText = 64 << 10

var decoders = sync.Pool{New: func() any { return &pooled{source: &bytes.Buffer{}} }}

func decoder(text []byte, options ...jsontext.Options) *pooled {
	d, _ := decoders.Get().(*pooled)
	*d.source = *bytes.NewBuffer(text)
	d.Reset(d.source, options...)
	return d
}

// reader reads the next event of the text.
func (d *pooled) reader(text []byte) reader {
	return reader{text: text, dec: &d.Decoder, names: d.names[:0]}
}

// free drops the text and returns the decoder to the pool.
func (d *pooled) free(text []byte) {
	if len(text) > keptText {
		return
	}
	*d.source, d.names = bytes.Buffer{}, [len(d.names)]string{}
	d.Reset(d.source)
	decoders.Put(d)
}

const (
	mediaTypeJSON = "application/json"
	specVersion   = "1.0"
)

type reader struct {
	text   []byte
	dec    *jsontext.Decoder
	event  Event
	fault  error    // the first attribute that is wrong
	base64 bool     // the data came as data_base64
	names  []string // of members so far

	source, eventType repeated // in a batch
}

// maxMembers is enough for an event that sets all attributes and extensions, and as
// many further extensions to null.
const maxMembers = 10 + 2*maxExtensions

func (r *reader) object() error {
	open, err := r.dec.ReadToken()
	if err != nil {
		return syntax(err, "CloudEvent")
	}
	if open.Kind() != jsontext.KindBeginObject {
		return event.Refuse(event.MalformedJSON, "A CloudEvent is a JSON object; this is something else.")
	}
	for r.dec.PeekKind() != jsontext.KindEndObject {
		name, err := r.dec.ReadValue()
		if err != nil {
			return syntax(err, "CloudEvent")
		}
		member, err := r.name(name)
		if err != nil {
			return err
		}
		value, err := r.dec.ReadValue()
		if err != nil {
			return syntax(err, "CloudEvent")
		}
		end := int(r.dec.InputOffset())
		if wrong := r.member(member, r.text[end-len(value):end]); wrong != "" && r.fault == nil {
			r.fault = refuseAttribute(member, wrong)
		}
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return syntax(err, "CloudEvent")
	}
	return nil
}

// complete reports the first fault of an event that was read, or what it lacks.
func (r *reader) complete() error {
	if r.fault != nil {
		return r.fault
	}
	if missing := r.event.Missing(); len(missing) > 0 {
		return event.Refuse(event.MalformedRequest,
			"The CloudEvent lacks the attribute %s. It needs specversion (\"1.0\"), id, source and type.", missing[0])
	}
	if r.event.Data == nil {
		return event.Refuse(event.MalformedJSON, "The CloudEvent has no data; say what happened in its member \"data\".")
	}
	return nil
}

// name is the name of a member, which must not be a duplicate.
func (r *reader) name(raw []byte) (string, error) {
	name := known(raw[1 : len(raw)-1])
	if name == "" {
		plain, err := jsontext.AppendUnquote(nil, raw)
		if err != nil {
			return "", syntax(err, "CloudEvent")
		}
		if name = known(plain); name == "" {
			name = string(plain)
		}
	}
	switch {
	case slices.Contains(r.names, name):
		return "", event.Refuse(event.MalformedJSON, "The CloudEvent has the same member name twice in one object: %s.", Quote(name))
	case len(r.names) == maxMembers:
		return "", event.Refuse(event.MalformedRequest, "The CloudEvent has more than %d members.", maxMembers)
	}
	r.names = append(r.names, name)
	return name, nil
}

// known returns the names that CloudEvents defines without an allocation; empty for
// others.
func known(name []byte) string {
	switch string(name) {
	case "specversion":
		return "specversion"
	case "id":
		return "id"
	case "source":
		return "source"
	case "type":
		return "type"
	case "time":
		return "time"
	case "subject":
		return "subject"
	case "dataschema":
		return "dataschema"
	case "datacontenttype":
		return "datacontenttype"
	case "data":
		return "data"
	}
	return ""
}

// member sets a member from its value in the text; null does not set it.
func (r *reader) member(name string, raw []byte) (wrong string) {
	if jsontext.Value(raw).Kind() == jsontext.KindNull {
		return ""
	}
	switch name {
	case "data":
		if r.base64 {
			return "is there beside data_base64; an event has one of them"
		}
		r.event.Data = raw
		return ""
	case "data_base64":
		return r.setBase64(raw)
	case "source":
		return r.repeat(&r.source, &r.event.Source, name, raw)
	case "type":
		return r.repeat(&r.eventType, &r.event.Type, name, raw)
	}
	return r.attribute(name, raw)
}

func (r *reader) attribute(name string, raw []byte) (wrong string) {
	value, wrong := text(name, raw)
	if wrong != "" {
		return wrong
	}
	if jsontext.Value(raw).Kind() != jsontext.KindString { // only extensions may be something else
		return r.event.setExtension(name, value, true)
	}
	return r.event.Set(name, value)
}

func (r *reader) setBase64(raw []byte) (wrong string) {
	if r.event.Data != nil {
		return "is there beside data; an event has one of them"
	}
	encoded, wrong := text("data_base64", raw)
	if wrong != "" {
		return wrong
	}
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "must be base64 (RFC 4648 §4)"
	}
	r.event.Data, r.base64 = data, true
	return ""
}

// text is an attribute's value in its canonical string form (CloudEvents §3.1):
// extensions may be integers and booleans, the others are strings.
func text(name string, raw []byte) (value, wrong string) {
	switch jsontext.Value(raw).Kind() {
	case jsontext.KindString:
		inner := raw[1 : len(raw)-1]
		switch {
		case string(inner) == mediaTypeJSON: // the most frequent one
			return mediaTypeJSON, ""
		case string(inner) == specVersion:
			return specVersion, ""
		case bytes.IndexByte(inner, '\\') < 0:
			return string(inner), "" // the decoder has checked it
		}
		plain, err := jsontext.AppendUnquote(nil, raw)
		if err != nil {
			return "", "must be a string"
		}
		return string(plain), ""
	case jsontext.KindTrue, jsontext.KindFalse:
		value = string(raw)
	case jsontext.KindNumber:
		if bytes.ContainsAny(raw, ".eE") {
			return "", "is a number with a fraction or exponent; attributes may be integers"
		}
		n, err := strconv.ParseInt(string(raw), 10, 32)
		if err != nil {
			return "", "is an integer of more than 32 bits; send it as a string"
		}
		value = strconv.FormatInt(n, 10)
	default:
		return "", "is an object or array; attributes are strings, integers or booleans"
	}
	switch name {
	case "id", "source", "type", "specversion", "time", "subject", "dataschema", "datacontenttype", "data_base64":
		return "", "must be a string"
	}
	return value, ""
}

func refuseAttribute(name, wrong string) *event.Error {
	if name != "data_base64" && !ValidName(name) {
		return event.Refuse(event.MalformedRequest, "The member %s of the CloudEvent %s.", Quote(name), wrong)
	}
	return event.Refuse(event.MalformedRequest, "The attribute %s %s.", name, wrong)
}

func trailing(dec *jsontext.Decoder, text []byte, what string) error {
	if at := strictjson.Trailing(text, int(dec.InputOffset())); at >= 0 {
		return event.Refuse(event.MalformedJSON, "More data follows the %s, at byte offset %d.", what, at)
	}
	return nil
}

// syntax words the decoder's error.
func syntax(err error, what string) *event.Error {
	switch wrong := strictjson.Explain(err, 0); wrong.Kind {
	case strictjson.EndsInside:
		return event.RefuseCause(event.MalformedJSON, err, "The %s ends inside a JSON value.", what)
	case strictjson.DuplicateName:
		return event.RefuseCause(event.MalformedJSON, err, "The %s has the same member name twice in one object.", what)
	default:
		return event.RefuseCause(event.MalformedJSON, err, "The %s is not JSON: %s, at byte offset %d.", what, wrong.Reason, wrong.Offset)
	}
}
