package schema

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"eventgateway/internal/event"
	"eventgateway/internal/strictjson"
)

// maxViolations is how many violations of one event are reported. The search for them stops
// at the first one more.
const maxViolations = 1_000

// literals finds the value of a keyword in the schema files by the library's absolute
// keyword location.
type literals func(location string) (any, bool)

// flatten lists the violations that the library found, ordered by pointer, keyword
// and message.
func flatten(root *jsonschema.ValidationError, find literals) []event.Violation {
	f := flattener{find: find, seen: map[*jsonschema.ValidationError]bool{}, lists: map[string]string{}}
	f.walk(root)
	slices.SortFunc(f.found, compareViolations)
	return slices.Compact(f.found)
}

type flattener struct {
	find  literals
	found []event.Violation
	seen  map[*jsonschema.ValidationError]bool // errors may have several ways to them
	lists map[string]string                    // messages of enum and const, by their place in the schema
}

// walk adds an error, unless it only wraps its causes, and the errors below it.
func (f *flattener) walk(e *jsonschema.ValidationError) {
	if f.seen[e] {
		return
	}
	f.seen[e] = true
	keyword := keywordOf(e.KeywordLocation)
	if !wraps(e, keyword) {
		f.add(e, keyword)
	}
	for _, cause := range e.Causes {
		f.walk(cause)
	}
}

// wraps reports whether an error says nothing beyond its causes.
func wraps(e *jsonschema.ValidationError, keyword string) bool {
	if len(e.Causes) == 0 {
		return false
	}
	switch keyword {
	case "", "$ref", "$recursiveRef", "$dynamicRef", "allOf", "then", "else":
		return true
	}
	return e.Message == ""
}

func (f *flattener) add(e *jsonschema.ValidationError, keyword string) {
	at := instancePointer(e.InstanceLocation)
	if names, ok := additionalNames(keyword, e.Message); ok {
		for _, name := range names {
			f.append(at+"/"+strictjson.EscapeToken(name), keyword, "is not a property that the schema knows")
		}
		return
	}
	f.append(at, keyword, f.message(e, keyword))
}

// message words an error. What enum and const allow may be long, and is written out once.
func (f *flattener) message(e *jsonschema.ValidationError, keyword string) string {
	if keyword != "enum" && keyword != "const" {
		return message(e, keyword, f.find)
	}
	text, known := f.lists[e.AbsoluteKeywordLocation]
	if !known {
		text = shorten(message(e, keyword, f.find))
		f.lists[e.AbsoluteKeywordLocation] = text
	}
	return text
}

func (f *flattener) append(pointer, keyword, message string) {
	f.found = append(f.found, event.Violation{Pointer: pointer, Keyword: keyword, Message: shorten(message)})
}

// instancePointer turns the library's location, whose tokens are also
// percent-encoded, into a JSON Pointer.
func instancePointer(location string) string {
	if strings.IndexByte(location, '%') < 0 {
		return location
	}
	plain, err := url.PathUnescape(location)
	if err != nil {
		return location // cannot be: the library has encoded it
	}
	return plain
}

// In a keyword location, namedKeywords are followed by a name, listedKeywords by an
// index.
var (
	namedKeywords = map[string]bool{
		"properties": true, "patternProperties": true, "$defs": true, "definitions": true,
		"dependentSchemas": true, "dependentRequired": true, "dependencies": true,
	}
	listedKeywords = map[string]bool{
		"allOf": true, "anyOf": true, "oneOf": true, "prefixItems": true, "items": true,
		"dependentRequired": true, "dependencies": true,
	}
)

// keywordOf returns the last keyword of a keyword location. Names and indexes are not
// keywords, not even a property called "required".
func keywordOf(location string) string {
	if location == "" {
		return ""
	}
	tokens := strings.Split(location[1:], "/")
	keyword := ""
	for i := 0; i < len(tokens); i++ {
		keyword = tokens[i]
		if namedKeywords[keyword] && i+1 < len(tokens) {
			i++
		}
		if listedKeywords[keyword] && i+1 < len(tokens) {
			if _, isIndex := strictjson.ArrayIndex(tokens[i+1]); isIndex {
				i++
			}
		}
	}
	return keyword
}

func compareViolations(a, b event.Violation) int {
	return cmp.Or(comparePointers(a.Pointer, b.Pointer), cmp.Compare(a.Keyword, b.Keyword), cmp.Compare(a.Message, b.Message))
}

// comparePointers orders by token, indexes as numbers: /items/9 before /items/10.
func comparePointers(a, b string) int {
	for a != b && a != "" && b != "" {
		var x, y string
		x, a = nextToken(a)
		y, b = nextToken(b)
		if x == y {
			continue
		}
		i, iNumber := strictjson.ArrayIndex(x)
		j, jNumber := strictjson.ArrayIndex(y)
		if iNumber && jNumber {
			return i - j
		}
		return cmp.Compare(x, y)
	}
	return cmp.Compare(a, b)
}

// nextToken splits the first token off a pointer.
func nextToken(p string) (token, rest string) {
	p = p[1:]
	if end := strings.IndexByte(p, '/'); end >= 0 {
		return p[:end], p[end:]
	}
	return p, ""
}
