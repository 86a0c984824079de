package schema

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// member is one member of a JSON object. The order of the file is kept, because people
// read schemas.
type member struct {
	name  string
	value jsontext.Value
}

// members splits an object; false if v is not one.
func members(v jsontext.Value) ([]member, bool) {
	if v.Kind() != '{' {
		return nil, false
	}
	dec := jsontext.NewDecoder(bytes.NewReader(v), jsontext.AllowDuplicateNames(true)) // the strict parse has checked
	if _, err := dec.ReadToken(); err != nil {
		return nil, false
	}
	var list []member
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, false
		}
		text := name.String() // the token ends with the next read
		value, err := dec.ReadValue()
		if err != nil {
			return nil, false
		}
		list = append(list, member{text, value.Clone()})
	}
	return list, true
}

// elements splits an array; false if v is not one.
func elements(v jsontext.Value) ([]jsontext.Value, bool) {
	if v.Kind() != '[' {
		return nil, false
	}
	dec := jsontext.NewDecoder(bytes.NewReader(v), jsontext.AllowDuplicateNames(true)) // the strict parse has checked
	if _, err := dec.ReadToken(); err != nil {
		return nil, false
	}
	var list []jsontext.Value
	for dec.PeekKind() != ']' {
		value, err := dec.ReadValue()
		if err != nil {
			return nil, false
		}
		list = append(list, value.Clone())
	}
	return list, true
}

// objectOf joins members to an object.
func objectOf(list []member) jsontext.Value {
	b := []byte{'{'}
	for i, m := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, stringOf(m.name)...), ':'), m.value...)
	}
	return append(b, '}')
}

// arrayOf joins elements to an array.
func arrayOf(list []jsontext.Value) jsontext.Value {
	b := []byte{'['}
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, v...)
	}
	return append(b, ']')
}

// stringOf is text as a JSON string. Text that comes from a parsed file is valid UTF-8.
func stringOf(text string) jsontext.Value {
	b, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		return jsontext.Value(fmt.Sprintf("%q", err.Error())) // cannot be
	}
	return b
}

// textOf is the text of a JSON string.
func textOf(v jsontext.Value) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	text, err := jsontext.AppendUnquote(nil, v)
	return string(text), err == nil
}

// find returns a member's value, nil if there is none of that name.
func find(list []member, name string) jsontext.Value {
	for _, m := range list {
		if m.name == name {
			return m.value
		}
	}
	return nil
}
