package webhook

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"eventgateway/internal/event"
	"eventgateway/internal/strictjson"
)

// checkJSON reports why data is not one strict JSON value; nil if it is one.
func checkJSON(data []byte) *event.Error {
	err := strictjson.Check(data)
	if err == nil {
		return nil
	}
	var wrong *strictjson.Error
	if !errors.As(err, &wrong) {
		return event.RefuseCause(event.MalformedJSON, err, "The body is not JSON.") // cannot be: Check has no other errors
	}
	switch wrong.Kind {
	case strictjson.Empty:
		return event.Refuse(event.MalformedJSON, "The body is empty; it must be one JSON value.")
	case strictjson.ByteOrderMark:
		return event.Refuse(event.MalformedJSON, "The body starts with a byte order mark (EF BB BF); it must be UTF-8 without one.")
	case strictjson.EndsInside:
		return event.Refuse(event.MalformedJSON, "The body ends inside a JSON value, at byte %d.", wrong.Offset)
	case strictjson.TrailingData:
		return event.Refuse(event.MalformedJSON, "More data follows the JSON value, at byte %d; it must be one value.", wrong.Offset)
	case strictjson.DuplicateName:
		return event.Refuse(event.MalformedJSON, "A member name appears twice in one object, at byte %d.", wrong.Offset)
	case strictjson.TooDeep:
		return event.Refuse(event.MalformedJSON, "Arrays and objects are nested more than %d deep, at byte %d.", strictjson.MaxDepth, wrong.Offset)
	}
	return event.Refuse(event.MalformedJSON, "The body is not JSON: %s, at byte %d.", wrong.Reason, wrong.Offset)
}

// scalar is the text of a JSON string, or a number as written.
func scalar(v []byte) (string, bool) {
	switch {
	case len(v) == 0:
		return "", false
	case v[0] == '"':
		text, err := jsontext.AppendUnquote(nil, v)
		return string(text), err == nil
	case v[0] == '-' || '0' <= v[0] && v[0] <= '9':
		return string(v), true
	}
	return "", false
}

// written is the text of a scalar, or "true" or "false"; "" for anything else.
func written(v []byte) string {
	if s := string(v); s == "true" || s == "false" {
		return s
	}
	s, _ := scalar(v)
	return s
}

// text is the string or number at a pointer; "" if there is none.
func text(data []byte, p strictjson.Pointer) string {
	v, ok := p.Find(data)
	if !ok {
		return ""
	}
	s, _ := scalar(v)
	return s
}

// put sets the value at a pointer in data that checkJSON has accepted, and leaves
// every other byte as it is. It creates missing objects on the way.
func put(data []byte, p strictjson.Pointer, value []byte) ([]byte, error) {
	if len(p) == 0 {
		return value, nil
	}
	name, inner := p[0], p[1:]
	if start, end, ok := (strictjson.Pointer{name}).Span(data); ok {
		child, err := put(data[start:end], inner, value)
		if err != nil {
			return nil, err
		}
		return slices.Concat(data[:start], child, data[end:]), nil
	}
	open := bytes.IndexByte(data, '{')
	if open < 0 || len(bytes.TrimLeft(data[:open], " \t\r\n")) > 0 {
		return nil, errors.New("the body must be a JSON object: the signature goes into it")
	}
	for _, token := range slices.Backward(inner) {
		value = slices.Concat(append(quote([]byte{'{'}, token), ':'), value, []byte{'}'})
	}
	member := append(append(quote(nil, name), ':'), value...)
	rest := data[open+1:]
	if !bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte{'}'}) {
		member = append(member, ',')
	}
	return slices.Concat(data[:open+1], member, rest), nil
}

// shorten cuts a text that may echo what a caller sent.
func shorten(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
