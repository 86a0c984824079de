package webhook

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"eventgateway/internal/event"
)

// maxFields bounds the fields of a form body.
const maxFields = 1000

// formField is one field of a form, decoded.
type formField struct {
	name, value string
	object      []byte // JSON of a file, instead of the value
}

// appendJSON appends the field's value.
func (f formField) appendJSON(out []byte) []byte {
	if f.object != nil {
		return append(out, f.object...)
	}
	return quote(out, f.value)
}

// parseForm reads application/x-www-form-urlencoded in the order it was sent. tooMany
// is set for a form beyond the limit, fault for an ill-formed one.
func parseForm(body string) (fields []formField, fault, tooMany *event.Error) {
	n := 0
	for rest := body; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		if pair == "" {
			continue
		}
		if n++; n > maxFields {
			return nil, nil, tooManyFields()
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err == nil {
			var value string
			if value, err = url.QueryUnescape(rawValue); err == nil && utf8.ValidString(name) && utf8.ValidString(value) {
				fields = append(fields, formField{name: name, value: value})
				continue
			}
		}
		if fault == nil {
			fault = event.Refuse(event.MalformedRequest, "Field %d of the form is ill-formed: a bad percent-encoding, or not UTF-8.", n)
		}
	}
	if fault == nil && len(fields) == 0 {
		fault = event.Refuse(event.MalformedRequest, "The form has no fields.")
	}
	return fields, fault, nil
}

// formValue is the value of the first field with a name.
func formValue(fields []formField, name string) (string, bool) {
	for _, f := range fields {
		if f.name == name && f.object == nil {
			return f.value, true
		}
	}
	return "", false
}

// formJSON turns a form into a JSON object: members in the order of their first
// field, as strings; a repeated field is an array.
func formJSON(fields []formField) []byte {
	values := make(map[string][]formField, len(fields))
	var names []string
	for _, f := range fields {
		if _, ok := values[f.name]; !ok {
			names = append(names, f.name)
		}
		values[f.name] = append(values[f.name], f)
	}
	out := []byte{'{'}
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(quote(out, name), ':')
		if all := values[name]; len(all) == 1 {
			out = all[0].appendJSON(out)
		} else {
			out = append(out, '[')
			for j, value := range all {
				if j > 0 {
					out = append(out, ',')
				}
				out = value.appendJSON(out)
			}
			out = append(out, ']')
		}
	}
	return append(out, '}')
}

// quote appends a JSON string; the text is valid UTF-8.
func quote(out []byte, s string) []byte {
	out, _ = jsontext.AppendQuote(out, s) // fails on invalid UTF-8 only
	return out
}
