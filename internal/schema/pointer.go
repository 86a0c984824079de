package schema

import (
	"fmt"
	"strings"
)

// pointer is a JSON Pointer (RFC 6901), split and unescaped.
type pointer struct {
	text   string
	tokens []string
}

// parsePointer checks the syntax of RFC 6901 §3.
func parsePointer(s string) (pointer, error) {
	if s == "" {
		return pointer{}, nil
	}
	if s[0] != '/' {
		return pointer{}, fmt.Errorf("%s is not a JSON Pointer: it must start with \"/\", as in %s", quoted(s), quoted("/"+s))
	}
	tokens := strings.Split(s[1:], "/")
	for i, token := range tokens {
		plain, ok := unescapeToken(token)
		if !ok {
			return pointer{}, fmt.Errorf("%s is not a JSON Pointer: write \"~\" as \"~0\" and \"/\" inside a name as \"~1\"", quoted(s))
		}
		tokens[i] = plain
	}
	return pointer{text: s, tokens: tokens}, nil
}

func unescapeToken(token string) (string, bool) {
	for i := range len(token) {
		if token[i] == '~' && (i+1 == len(token) || token[i+1] != '0' && token[i+1] != '1') {
			return "", false
		}
	}
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~"), true
}

func escapeToken(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// find follows the pointer through a tree (RFC 6901 §4).
func (p pointer) find(tree any) (any, bool) {
	for _, token := range p.tokens {
		switch node := tree.(type) {
		case map[string]any:
			child, ok := node[token]
			if !ok {
				return nil, false
			}
			tree = child
		case []any:
			i, ok := arrayIndex(token)
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

// arrayIndex reads "0" or digits without a leading zero.
func arrayIndex(token string) (int, bool) {
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
