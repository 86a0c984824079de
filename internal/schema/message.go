package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// notAllowed is the end of the library's message about additional properties.
const notAllowed = " not allowed"

// message words a violation for a person. Where the library's text has Go values or
// rounded numbers, it uses the literal in the schema instead.
func message(e *jsonschema.ValidationError, keyword string, find literals) string {
	var literal any
	known := false
	if find != nil {
		literal, known = find(e.AbsoluteKeywordLocation)
	}
	_, found, _ := strings.Cut(e.Message, "found ")
	switch keyword {
	case "required":
		return "lacks the required " + strings.TrimPrefix(e.Message, "missing ")
	case "anyOf":
		return "matches none of the schemas under anyOf"
	case "oneOf":
		if e.Message == "oneOf failed" {
			return "matches none of the schemas under oneOf; exactly one must match"
		}
		return "is " + e.Message + " under oneOf; exactly one must match"
	case "not":
		return "matches the schema under not, and must not"
	case "enum":
		if list, ok := literal.([]any); known && ok && len(list) > 0 {
			return oneOfText(list)
		}
	case "pattern": // the library's is the translated one
		if pattern, ok := literal.(string); ok {
			return "does not match pattern " + singleQuoted(pattern)
		}
	case "const":
		if known {
			return "must be " + literalText(literal)
		}
	}
	if bound, ok := literal.(json.Number); ok {
		switch keyword {
		case "minimum":
			return fmt.Sprintf("must be at least %s, but is %s", bound, found)
		case "maximum":
			return fmt.Sprintf("must be at most %s, but is %s", bound, found)
		case "exclusiveMinimum":
			return fmt.Sprintf("must be more than %s, but is %s", bound, found)
		case "exclusiveMaximum":
			return fmt.Sprintf("must be less than %s, but is %s", bound, found)
		case "multipleOf":
			value, _, _ := strings.Cut(e.Message, " ")
			return fmt.Sprintf("must be a multiple of %s, but is %s", bound, value)
		}
	}
	if e.Message == "not allowed" { // the schema false
		return "is not allowed here"
	}
	return e.Message
}

// singleQuoted quotes as the library does.
func singleQuoted(s string) string {
	s = strings.ReplaceAll(fmt.Sprintf("%q", s), `\"`, `"`)
	s = strings.ReplaceAll(s, `'`, `\'`)
	return "'" + s[1:len(s)-1] + "'"
}

// oneOfText words a list of allowed values.
func oneOfText(list []any) string {
	if len(list) == 1 {
		return "must be " + literalText(list[0])
	}
	return "must be one of " + joinLiterals(list)
}

// joinLiterals lists values, as many as a message has room for.
func joinLiterals(list []any) string {
	var b strings.Builder
	for i, v := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(literalText(v))
		if b.Len() > maxMessage {
			break
		}
	}
	return b.String()
}

// literalText writes a value as JSON.
func literalText(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v) // cannot be: the value came from JSON
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// additionalNames reads the names out of the library's message
// "additionalProperties 'a', 'b' not allowed".
func additionalNames(keyword, text string) ([]string, bool) {
	list, ok := strings.CutPrefix(text, "additionalProperties ")
	if !ok || keyword != "additionalProperties" {
		return nil, false
	}
	list, ok = strings.CutSuffix(list, notAllowed)
	if !ok {
		return nil, false
	}
	var names []string
	for list != "" {
		end := closingQuote(list)
		if end < 0 {
			return nil, false
		}
		name, err := unquote(list[1:end])
		if err != nil {
			return nil, false
		}
		names = append(names, name)
		list = strings.TrimPrefix(list[end+1:], ", ")
	}
	return names, len(names) > 0
}

// closingQuote finds the end of the quoted name that s starts with, or -1.
func closingQuote(s string) int {
	if s[0] != '\'' {
		return -1
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '\'':
			return i
		}
	}
	return -1
}

// unquote undoes the library's quoting: Go's, with single quotes outside.
func unquote(inner string) (string, error) {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(inner); i++ {
		switch {
		case inner[i] == '"':
			b.WriteString(`\"`)
		case inner[i] == '\\' && i+1 < len(inner) && inner[i+1] == '\'':
			b.WriteByte('\'')
			i++
		case inner[i] == '\\' && i+1 < len(inner):
			b.WriteString(inner[i : i+2])
			i++
		default:
			b.WriteByte(inner[i])
		}
	}
	b.WriteByte('"')
	return strconv.Unquote(b.String())
}
