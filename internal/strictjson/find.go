package strictjson

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// checked makes a decoder for data that Check or Parse has accepted.
func checked(data []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// Find returns the bytes of the value at the pointer, unchanged. For data that Check
// rejects the result is unspecified.
func (p Pointer) Find(data []byte) ([]byte, bool) {
	start, end, ok := p.Span(data)
	if !ok {
		return nil, false
	}
	return data[start:end:end], true
}

// Span is where the value at the pointer starts and ends.
func (p Pointer) Span(data []byte) (start, end int, ok bool) {
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
	wanted, isIndex := ArrayIndex(token)
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

// Items returns the bytes of the items of the array at the pointer, but no more
// than limit; over says that there are more. Without an array there, found is
// false.
func (p Pointer) Items(data []byte, limit int) (all [][]byte, found, over bool) {
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

// wanted is a pointer that is looked for, and where its value goes.
type wanted struct {
	pointer Pointer
	at      int
}

// FindAll is Find for several pointers in one pass; what is not there is nil.
func FindAll(data []byte, pointers []Pointer) [][]byte {
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
		collect(data, checked(data), all, out)
	}
	return out
}

// collect reads the next value for what is wanted of its members or items; no
// pointer is empty. It reports whether there was a whole value.
func collect(data []byte, dec *jsontext.Decoder, all []wanted, out [][]byte) bool {
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
		if !collectChild(data, dec, token, all, out) {
			return false
		}
	}
	_, err := dec.ReadToken()
	return err == nil
}

// collectChild reads the value of one member or item.
func collectChild(data []byte, dec *jsontext.Decoder, token string, all []wanted, out [][]byte) bool {
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
		return collect(data, dec, inside, out)
	}
	start, end, ok := next(dec)
	if !ok {
		return false
	}
	value := data[start:end:end]
	for _, w := range here {
		out[w.at] = value
	}
	return inside == nil || collect(value, checked(value), inside, out)
}
