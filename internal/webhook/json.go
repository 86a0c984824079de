package webhook

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"eventgateway/internal/event"
)

// maxDepth bounds nested arrays and objects, as for every event.
const maxDepth = 64

// checkJSON reports why data is not one strict JSON value: names twice in an object,
// invalid UTF-8, more than one value, too deep.
func checkJSON(data []byte) *event.Error {
	switch {
	case len(bytes.TrimLeft(data, " \t\r\n")) == 0:
		return event.Refuse(event.MalformedJSON, "The body is empty; it must be one JSON value.")
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return event.Refuse(event.MalformedJSON, "The body starts with a byte order mark (EF BB BF); it must be UTF-8 without one.")
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(data)) // reads in place
	for {
		if _, err := dec.ReadToken(); err != nil {
			return malformed(data, err)
		}
		switch dec.StackDepth() {
		case 0:
			if rest := bytes.TrimLeft(data[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
				return event.Refuse(event.MalformedJSON, "More data follows the JSON value, at byte %d; it must be one value.", len(data)-len(rest))
			}
			return nil
		case maxDepth + 1:
			return event.Refuse(event.MalformedJSON, "Arrays and objects are nested more than %d deep, at byte %d.", maxDepth, dec.InputOffset())
		}
	}
}

func malformed(data []byte, err error) *event.Error {
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return event.Refuse(event.MalformedJSON, "The body ends inside a JSON value, at byte %d.", len(data))
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntactic):
		return event.Refuse(event.MalformedJSON, "A member name appears twice in one object, at byte %d.", syntactic.ByteOffset)
	case errors.As(err, &syntactic):
		return event.Refuse(event.MalformedJSON, "The body is not JSON: %s, at byte %d.", shorten(syntactic.Err.Error()), syntactic.ByteOffset)
	}
	return event.RefuseCause(event.MalformedJSON, err, "The body is not JSON.")
}

// checked makes a decoder for data that checkJSON has accepted.
func checked(data []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// find returns the bytes of the value at a pointer, as they stand in data. On what
// checkJSON has not accepted it finds something or nothing.
func find(data []byte, p pointer) ([]byte, bool) {
	start, end, ok := span(data, p)
	if !ok {
		return nil, false
	}
	return data[start:end:end], true
}

// span is where the value at a pointer starts and ends.
func span(data []byte, p pointer) (start, end int, ok bool) {
	dec := checked(data)
	for _, token := range p {
		if !enter(dec, token) {
			return 0, 0, false
		}
	}
	return next(dec)
}

// next is where the next value starts and ends.
func next(dec *jsontext.Decoder) (start, end int, ok bool) {
	v, err := dec.ReadValue()
	if err != nil {
		return 0, 0, false
	}
	end = int(dec.InputOffset())
	return end - len(v), end, true
}

// enter goes to a member or an item of the next value.
func enter(dec *jsontext.Decoder, token string) bool {
	kind := dec.PeekKind()
	if kind != '{' && kind != '[' {
		return false
	}
	if _, err := dec.ReadToken(); err != nil {
		return false
	}
	wanted, isIndex := arrayIndex(token)
	if kind == '[' && !isIndex {
		return false
	}
	for i := 0; dec.PeekKind() != '}' && dec.PeekKind() != ']'; i++ {
		found := kind == '[' && i == wanted
		if kind == '{' {
			name, err := dec.ReadToken()
			if err != nil {
				return false
			}
			found = name.String() == token
		}
		if found {
			return true
		}
		if err := dec.SkipValue(); err != nil {
			return false
		}
	}
	return false
}

// isArray reports whether a JSON value is an array.
func isArray(v []byte) bool {
	v = bytes.TrimLeft(v, " \t\r\n")
	return len(v) > 0 && v[0] == '['
}

// items returns the bytes of an array's items, but no more than limit; over says
// that there are more.
func items(array []byte, limit int) (all [][]byte, over bool) {
	dec := checked(array)
	if _, err := dec.ReadToken(); err != nil {
		return nil, false
	}
	for dec.PeekKind() != ']' {
		if len(all) == limit {
			return nil, true
		}
		start, end, ok := next(dec)
		if !ok {
			return nil, false
		}
		all = append(all, array[start:end:end])
	}
	return all, false
}

// scalar is the text of a JSON string, or of a number as written.
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

// written is a scalar, true or false, as they are written in a signed text.
func written(data []byte, p pointer) string {
	v, ok := find(data, p)
	if !ok {
		return ""
	}
	if s := string(v); s == "true" || s == "false" {
		return s
	}
	s, _ := scalar(v)
	return s
}

// text is the string or number at a pointer; "" if there is none.
func text(data []byte, p pointer) string {
	v, ok := find(data, p)
	if !ok {
		return ""
	}
	s, _ := scalar(v)
	return s
}

// shorten cuts a text that may echo what a caller sent.
func shorten(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
