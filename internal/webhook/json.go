package webhook

import (
	"bytes"
	"errors"
	"io"
	"strconv"
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
	if _, err := dec.ReadValue(); err != nil {
		return malformed(data, err)
	}
	if rest := bytes.TrimLeft(data[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return event.Refuse(event.MalformedJSON, "More data follows the JSON value, at byte %d; it must be one value.", len(data)-len(rest))
	}
	if at := tooDeep(data); at >= 0 {
		return event.Refuse(event.MalformedJSON, "Arrays and objects are nested more than %d deep, at byte %d.", maxDepth, at)
	}
	return nil
}

// tooDeep is where valid JSON is nested more than maxDepth deep, or -1. The decoder
// has a limit of its own, but a higher one.
func tooDeep(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if depth++; depth > maxDepth {
				return i
			}
		case '}', ']':
			depth--
		}
	}
	return -1
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

// wanted is a pointer that is looked for, and where its value goes.
type wanted struct {
	pointer pointer
	at      int
}

// findAll is find for several pointers in one pass; what is not there is nil.
func findAll(data []byte, pointers []pointer) [][]byte {
	out := make([][]byte, len(pointers))
	all := make([]wanted, 0, len(pointers))
	for i, p := range pointers {
		if len(p) == 0 {
			out[i] = data
		} else {
			all = append(all, wanted{p, i})
		}
	}
	if len(all) > 0 {
		gather(data, checked(data), all, out)
	}
	return out
}

// gather reads the next value for what is wanted of its members or items; no pointer
// is empty. It reports whether there was a whole value.
func gather(data []byte, dec *jsontext.Decoder, all []wanted, out [][]byte) bool {
	kind := dec.PeekKind()
	if kind != '{' && kind != '[' {
		return dec.SkipValue() == nil
	}
	if _, err := dec.ReadToken(); err != nil {
		return false
	}
	for i := 0; dec.PeekKind() != '}' && dec.PeekKind() != ']'; i++ {
		token := ""
		if kind == '[' {
			token = strconv.Itoa(i)
		} else {
			name, err := dec.ReadToken()
			if err != nil {
				return false
			}
			token = name.String()
		}
		if !gatherOne(data, dec, token, all, out) {
			return false
		}
	}
	_, err := dec.ReadToken()
	return err == nil
}

// gatherOne reads the value of one member or item.
func gatherOne(data []byte, dec *jsontext.Decoder, token string, all []wanted, out [][]byte) bool {
	var here, inside []wanted
	for _, w := range all {
		switch {
		case w.pointer[0] != token:
		case len(w.pointer) == 1:
			here = append(here, w)
		default:
			inside = append(inside, wanted{w.pointer[1:], w.at})
		}
	}
	switch {
	case here == nil && inside == nil:
		return dec.SkipValue() == nil
	case here == nil:
		return gather(data, dec, inside, out)
	}
	start, end, ok := next(dec)
	if !ok {
		return false
	}
	value := data[start:end:end]
	for _, w := range here {
		out[w.at] = value
	}
	return inside == nil || gather(value, checked(value), inside, out)
}

// items returns the bytes of the items of the array at a pointer, but no more than
// limit; over says that there are more. Without an array there, found is false.
func items(data []byte, p pointer, limit int) (all [][]byte, found, over bool) {
	dec := checked(data)
	for _, token := range p {
		if !enter(dec, token) {
			return nil, false, false
		}
	}
	if dec.PeekKind() != '[' {
		return nil, false, false
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, false, false
	}
	for dec.PeekKind() != ']' {
		if len(all) == limit {
			return nil, true, true
		}
		start, end, ok := next(dec)
		if !ok {
			return nil, false, false
		}
		all = append(all, data[start:end:end])
	}
	return all, true, false
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

// written is the text of a scalar, or "true" or "false"; "" for anything else.
func written(v []byte) string {
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
