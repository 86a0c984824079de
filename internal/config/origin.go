package config

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// origin says where a value came from. A hidden value is not shown in errors: it came
// from a variable named in the file, and the wrong variable may hold a secret.
type origin struct {
	source string
	hidden bool
}

// maxShown bounds, in bytes, how much of a value or a key is shown in an error.
const maxShown = 64

// show quotes a value for an error message.
func (o origin) show(value string) string {
	if o.hidden {
		return "its expanded value"
	}
	return quote(value)
}

// quote keeps a text from outside short and on one line.
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

// Source returns where the value at a path, "webhooks[0].name" for example, comes from:
// a file and line, a variable or a flag; "" for a default.
func (c *Config) Source(path string) string { return c.origin(path).source }

// Expanded reports whether the value at a path came from a variable or another file, so
// no message may show it.
func (c *Config) Expanded(path string) bool { return c.origin(path).hidden }

// PropertyPath is the path of a property of kafka.properties.
func PropertyPath(name string) string { return join("kafka.properties", shownKey(name)) }

// Given reports whether any key of a section was set.
func (c *Config) Given(section string) bool {
	for path := range c.origins {
		if path == section || strings.HasPrefix(path, section+".") {
			return true
		}
	}
	return false
}

// origin returns the origin of the path. In a list, the origin of what contains the path
// stands in: the item for a missing key, the list for an item.
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
