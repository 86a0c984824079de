package auth

import (
	"slices"
	"strings"
)

// anonymousName is the client of gateways without authentication.
const anonymousName = "anonymous"

// Anonymous returns the caller for gateways without authentication. It may publish
// everything.
func Anonymous() *Caller {
	return &Caller{Name: anonymousName, events: []pattern{parsePattern("*")}}
}

// Caller is the client that sent a request.
type Caller struct {
	// Name is the scope of idempotency keys.
	Name    string
	ByToken bool // a JSON Web Token named it
	events  []pattern
}

// May reports whether the caller may publish events of a type. The type need not exist.
func (c *Caller) May(eventType string) bool {
	return slices.ContainsFunc(c.events, func(p pattern) bool { return p.matches(eventType) })
}

// Grants returns the caller's patterns, sorted: callers with equal grants may see the
// same event types.
func (c *Caller) Grants() string {
	texts := make([]string, len(c.events))
	for i, p := range c.events {
		texts[i] = p.text
	}
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), " ")
}

// pattern matches event types: each * stands for any text, dots included.
type pattern struct {
	text  string
	parts []string // between the stars
}

// ValidPattern reports whether text is a pattern of event types.
func ValidPattern(text string) bool {
	if text == "" || len(text) > 200 {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool {
		return r != '*' && r != '.' && r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

func parsePattern(text string) pattern {
	return pattern{text: text, parts: strings.Split(text, "*")}
}

// parsePatterns skips texts that are not patterns: they grant nothing.
func parsePatterns(texts []string) []pattern {
	var list []pattern
	for _, text := range texts {
		if ValidPattern(text) {
			list = append(list, parsePattern(text))
		}
	}
	return list
}

// matches looks for the parts from left to right, each at the first place where it is
// found: that leaves the most text for the parts after it.
func (p pattern) matches(name string) bool {
	last := len(p.parts) - 1
	if last == 0 {
		return name == p.text
	}
	rest, ok := strings.CutPrefix(name, p.parts[0])
	if !ok {
		return false
	}
	for _, part := range p.parts[1:last] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, p.parts[last])
}
