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
type formField struct{ name, value string }

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
			return nil, nil, event.Refuse(event.MalformedRequest,
				"The form has more than %d fields; have the provider send fewer, or JSON.", maxFields)
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err == nil {
			var value string
			if value, err = url.QueryUnescape(rawValue); err == nil && utf8.ValidString(name) && utf8.ValidString(value) {
				fields = append(fields, formField{name, value})
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
		if f.name == name {
			return f.value, true
		}
	}
	return "", false
}

// formJSON turns a form into a JSON object: members in the order of their first
// field, as strings; a repeated field is an array of strings.
func formJSON(fields []formField) []byte {
	values := make(map[string][]string, len(fields))
	var names []string
	for _, f := range fields {
		if _, ok := values[f.name]; !ok {
			names = append(names, f.name)
		}
		values[f.name] = append(values[f.name], f.value)
	}
	out := []byte{'{'}
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(quote(out, name), ':')
		if all := values[name]; len(all) == 1 {
			out = quote(out, all[0])
		} else {
			out = append(out, '[')
			for j, value := range all {
				if j > 0 {
					out = append(out, ',')
				}
				out = quote(out, value)
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
