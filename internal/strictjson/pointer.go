package strictjson

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Pointer is a JSON Pointer (RFC 6901): its reference tokens, unescaped. None is
// the whole value.
type Pointer []string

// What is wrong with a text that is not a JSON Pointer, as the end of a sentence.
var (
	ErrPointerStart  = errors.New(`it must start with "/"`)
	ErrPointerEscape = errors.New(`write "~" as "~0" and "/" inside a name as "~1"`)
	ErrPointerUTF8   = errors.New("it must be UTF-8")
)

// ParsePointer reads a JSON Pointer (RFC 6901 §3). It must be UTF-8: strict JSON
// has no other names. The error is one of those above.
func ParsePointer(s string) (Pointer, error) {
	if s == "" {
		return nil, nil
	}
	if s[0] != '/' {
		return nil, ErrPointerStart
	}
	if !utf8.ValidString(s) {
		return nil, ErrPointerUTF8
	}
	tokens := strings.Split(s[1:], "/")
	for i, token := range tokens {
		plain, ok := UnescapeToken(token)
		if !ok {
			return nil, ErrPointerEscape
		}
		tokens[i] = plain
	}
	return tokens, nil
}

// String is the pointer as it is written, empty or starting with "/".
func (p Pointer) String() string {
	var b strings.Builder
	for _, token := range p {
		b.WriteByte('/')
		b.WriteString(EscapeToken(token))
	}
	return b.String()
}

// UnescapeToken undoes EscapeToken; false if a "~" stands alone.
func UnescapeToken(token string) (string, bool) {
	for i := range len(token) {
		if token[i] == '~' && (i+1 == len(token) || token[i+1] != '0' && token[i+1] != '1') {
			return "", false
		}
	}
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~"), true
}

// EscapeToken writes a member name as a reference token (RFC 6901 §3).
func EscapeToken(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// ArrayIndex reads a reference token that is an index: "0", or digits without a
// leading zero (RFC 6901 §4).
func ArrayIndex(token string) (int, bool) {
	if token == "" || len(token) > 9 || len(token) > 1 && token[0] == '0' {
		return 0, false
	}
	n := 0
	for i := range len(token) {
		if token[i] < '0' || token[i] > '9' {
			return 0, false
		}
		n = n*10 + int(token[i]-'0')
	}
	return n, true
}

// InTree follows the pointer through a tree (RFC 6901 §4).
func (p Pointer) InTree(tree any) (any, bool) {
	for _, token := range p {
		switch node := tree.(type) {
		case map[string]any:
			child, ok := node[token]
			if !ok {
				return nil, false
			}
			tree = child
		case []any:
			i, ok := ArrayIndex(token)
			if !ok || i >= len(node) {
				return nil, false
			}
			tree = node[i]
		default:
			return nil, false
		}
	}
	return tree, true
}
