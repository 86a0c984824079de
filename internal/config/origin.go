package config

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// origin says where a value came from. A hidden value is not shown in errors: it
// came from a variable named in the file, which may have been the wrong one.
type origin struct {
	source string
	hidden bool
}

// maxShown bounds what of a value or a key goes into an error.
const maxShown = 64

// show quotes a value for an error message.
func (o origin) show(value string) string {
	if o.hidden {
		return "its expanded value"
	}
	return quote(value)
}

// quote keeps a stranger's text on one line and short.
func quote(text string) string {
	if len(text) <= maxShown {
		return strconv.Quote(text)
	}
	cut := maxShown
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strconv.Quote(text[:cut]) + "…"
}

// Source says where the value at a path, "webhooks[0].name" for example, comes
// from: a file and line, a variable, a flag, or nothing.
func (c *Config) Source(path string) string { return c.origin(path).source }

// Expanded reports whether the value at a path was made of a variable or a file, so
// that no message may have it.
func (c *Config) Expanded(path string) bool { return c.origin(path).hidden }

// Given reports whether anything in a section comes from elsewhere than the
// defaults.
func (c *Config) Given(section string) bool {
	for path := range c.origins {
		if path == section || strings.HasPrefix(path, section+".") {
			return true
		}
	}
	return false
}

// origin is that of the path, else, in a list, of what the path is in: a missing
// key's item, an item's list.
func (c *Config) origin(path string) origin {
	for path != "" {
		if o, ok := c.origins[path]; ok {
			return o
		}
		if !strings.Contains(path, "[") {
			break
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return origin{}
}
