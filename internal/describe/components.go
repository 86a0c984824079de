package describe

import (
	"fmt"
	"strings"

	"eventgateway/internal/schema"
)

// components collects the schemas of all event types under names that are allowed in
// OpenAPI and AsyncAPI (letters, digits, ".", "-" and "_").
type components struct {
	dialect string            // 7 or 2020-12
	names   map[string]string // by path in the schemas folder
	taken   map[string]bool
	order   []string // names
	schemas map[string][]byte
}

func newComponents(dialect string) *components {
	return &components{dialect: dialect, names: map[string]string{}, taken: map[string]bool{}, schemas: map[string][]byte{}}
}

// add adds a version's schema with everything that it refers to, and returns the
// reference to it; false if it cannot be part of such a document.
func (c *components) add(set *schema.Set, eventType, version string) (ref string, ok bool) {
	gathered, err := set.Gather(eventType, version, func(path string) string { return prefix + c.name(path) })
	if err != nil {
		return "", false
	}
	if gathered, err = gathered.As(c.dialect); err != nil {
		return "", false
	}
	for _, part := range gathered.Parts {
		name := c.name(part.Path)
		if _, known := c.schemas[name]; !known {
			c.order = append(c.order, name)
			c.schemas[name] = part.Schema
		}
	}
	return "#" + prefix + c.name(gathered.Parts[0].Path), true
}

const prefix = "/components/schemas/"

// name is the component name of a file: orders.placed.v1 for orders.placed/v1.json.
func (c *components) name(path string) string {
	if name, ok := c.names[path]; ok {
		return name
	}
	plain := strings.Map(func(r rune) rune {
		switch {
		case r == '/':
			return '.'
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '_'
	}, strings.TrimSuffix(path, ".json"))
	name := plain
	for n := 2; c.taken[name]; n++ {
		name = fmt.Sprintf("%s_%d", plain, n)
	}
	c.names[path], c.taken[name] = name, true
	return name
}
