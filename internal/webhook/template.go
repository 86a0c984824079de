package webhook

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// template describes the signed text: literals and fields, one after another.
type template []segment

// segment is one text or field of a template.
type segment struct {
	field field
	text  string // the literal, or the header's name
	isID  bool   // the header was written as {id}
}

type field int

const (
	literal field = iota
	fieldTimestamp
	fieldURL
	fieldMethod
	fieldBody
	fieldHeader
)

var fields = map[string]field{
	"timestamp": fieldTimestamp, "url": fieldURL, "method": fieldMethod, "body": fieldBody,
}

// variables are a request's values for a template.
type variables struct {
	timestamp, url, method string
	body                   []byte
	headers                []string // one for each header of the template, in order
}

// parseTemplate reads a text such as "{timestamp}.{body}". {id} stands for the header
// idHeader, which is "" if there is none.
func parseTemplate(text, idHeader string) (template, error) {
	var t template
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		if strings.Contains(before, "}") {
			return nil, fmt.Errorf("%q has a \"}\" without its \"{\"", text)
		}
		if before != "" {
			t = append(t, segment{text: before})
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		if !closed {
			return nil, fmt.Errorf("%q has a \"{\" without its \"}\"", text)
		}
		rest = after
		part, err := parseField(name, idHeader)
		if err != nil {
			return nil, err
		}
		t = append(t, part)
	}
	return t, nil
}

func parseField(name, idHeader string) (segment, error) {
	if f, ok := fields[name]; ok {
		return segment{field: f}, nil
	}
	if name == "id" {
		if idHeader == "" {
			return segment{}, fmt.Errorf("{id} needs a header: say id: \"header:X-Delivery-Id\"")
		}
		return segment{field: fieldHeader, text: idHeader, isID: true}, nil
	}
	if header, ok := strings.CutPrefix(name, headerPlace); ok && validHeaderName(header) {
		return segment{field: fieldHeader, text: http.CanonicalHeaderKey(header)}, nil
	}
	return segment{}, fmt.Errorf("{%s} is unknown; there are {timestamp}, {id}, {url}, {method}, {body} and {header:Name}", name)
}

// mustTemplate reads a template of the table of schemes; the tests read them all.
func mustTemplate(text string) template {
	t, err := parseTemplate(text, "")
	if err != nil {
		panic(err)
	}
	return t
}

// has reports whether a field is in the template.
func (t template) has(f field) bool {
	for _, part := range t {
		if part.field == f {
			return true
		}
	}
	return false
}

// idHeader is the header of {id}, or "".
func (t template) idHeader() string {
	for _, part := range t {
		if part.isID {
			return part.text
		}
	}
	return ""
}

// write writes the signed text. Writing to a hash cannot fail.
func (t template) write(w io.Writer, vars variables) {
	headers := vars.headers
	for _, part := range t {
		switch part.field {
		case literal:
			_, _ = io.WriteString(w, part.text)
		case fieldTimestamp:
			_, _ = io.WriteString(w, vars.timestamp)
		case fieldURL:
			_, _ = io.WriteString(w, vars.url)
		case fieldMethod:
			_, _ = io.WriteString(w, vars.method)
		case fieldBody:
			_, _ = w.Write(vars.body)
		case fieldHeader:
			_, _ = io.WriteString(w, headers[0])
			headers = headers[1:]
		}
	}
}
