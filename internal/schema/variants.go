package schema

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"eventgateway/internal/strictjson"
)

// choices are the "oneOf" and "anyOf" of compiled schemas, by the library's absolute
// keyword location. They say which of its schemas a refused value was meant for, so that
// what is wrong under that one comes before what is wrong under the others.
type choices map[string]*choice

// choice is one "oneOf" or "anyOf".
type choice struct {
	types []map[string]bool // by variant; nil: any
	tells []tell            // the most telling first
}

// tell is a member whose values differ between the variants, such as "action" or "type".
type tell struct {
	path    []string
	allowed [][]any // by variant; nil: any
	limits  int     // variants that allow only some values
}

// Limits of the search for tells: those of real schemas are near the top, and a schema
// may be large.
const (
	maxTellDepth   = 3
	maxTellSchemas = 2_000 // looked at in one variant
	maxVariants    = 200
)

// add finds the choices in a schema and below it. seen spares what other event types
// have in common with this one.
func (v choices) add(s *jsonschema.Schema, seen map[*jsonschema.Schema]bool) {
	if seen[s] {
		return
	}
	seen[s] = true
	for keyword, list := range map[string][]*jsonschema.Schema{"oneOf": s.OneOf, "anyOf": s.AnyOf} {
		if len(list) > 0 && len(list) <= maxVariants {
			v[s.Location+"/"+keyword] = newChoice(list)
		}
	}
	for _, each := range below(s) {
		v.add(each, seen)
	}
}

func newChoice(list []*jsonschema.Schema) *choice {
	c := &choice{types: make([]map[string]bool, len(list))}
	byPath := make(map[string]*tell)
	for i, s := range list {
		f := tellFinder{left: maxTellSchemas}
		c.types[i] = f.typesOf(s, maxTellDepth)
		f.find(s, nil, maxTellDepth, func(path []string, allowed []any) {
			name := strings.Join(path, "\x00")
			t := byPath[name]
			if t == nil {
				t = &tell{path: path, allowed: make([][]any, len(list))}
				byPath[name] = t
			}
			if t.allowed[i] == nil {
				t.allowed[i] = allowed
				t.limits++
			}
		})
	}
	for _, name := range sortedKeys(byPath) {
		if t := byPath[name]; t.limits > 1 {
			c.tells = append(c.tells, *t)
		}
	}
	slices.SortStableFunc(c.tells, func(a, b tell) int {
		return cmp.Or(b.limits-a.limits, len(a.path)-len(b.path), usualRank(a.path)-usualRank(b.path))
	})
	return c
}

// usualNames are names that members have whose purpose is to tell variants apart.
var usualNames = []string{"type", "kind", "action", "event", "eventType", "event_type", "@type", "object", "op", "method", "name"}

func usualRank(path []string) int {
	if at := slices.Index(usualNames, path[len(path)-1]); at >= 0 {
		return at
	}
	return len(usualNames)
}

// tellFinder looks through one variant.
type tellFinder struct{ left int }

// find reports the members that allow only some values, through references and "allOf".
func (f *tellFinder) find(s *jsonschema.Schema, path []string, depth int, found func(path []string, allowed []any)) {
	if f.left--; f.left < 0 || s == nil {
		return
	}
	if len(path) > 0 {
		if allowed := scalars(s); allowed != nil {
			found(slices.Clone(path), allowed)
		}
	}
	if s.Ref != nil && depth > 0 {
		f.find(s.Ref, path, depth, found)
	}
	for _, each := range s.AllOf {
		f.find(each, path, depth, found)
	}
	for _, list := range [][]*jsonschema.Schema{s.OneOf, s.AnyOf} {
		f.findInEach(list, path, depth, found)
	}
	if len(path) == depth {
		return
	}
	for _, name := range sortedKeys(s.Properties) {
		f.find(s.Properties[name], append(path, name), depth, found)
	}
}

// findInEach reports the members that are limited under each of some variants.
func (f *tellFinder) findInEach(list []*jsonschema.Schema, path []string, depth int, found func(path []string, allowed []any)) {
	limits, all := make(map[string]int), make(map[string][]any)
	for i, each := range list {
		f.find(each, path, depth, func(path []string, allowed []any) {
			if name := strings.Join(path, "\x00"); limits[name] == i { // once per variant
				limits[name]++
				all[name] = append(all[name], allowed...)
			}
		})
	}
	for _, name := range sortedKeys(all) {
		if limits[name] == len(list) {
			found(strings.Split(name, "\x00"), all[name])
		}
	}
}

// scalars are the only values that a schema allows by "const" or "enum", nil if it
// allows others or values that are not scalars.
func scalars(s *jsonschema.Schema) []any {
	list := s.Enum
	if len(s.Constant) == 1 {
		list = s.Constant
	}
	for _, v := range list {
		switch v.(type) {
		case map[string]any, []any:
			return nil
		}
	}
	return list
}

// typesOf are the types that a schema allows, through references and "allOf".
func (f *tellFinder) typesOf(s *jsonschema.Schema, depth int) map[string]bool {
	if f.left--; f.left < 0 || depth < 0 {
		return nil
	}
	if len(s.Types) > 0 {
		types := make(map[string]bool)
		for _, name := range s.Types {
			types[name] = true
		}
		return types
	}
	parts := s.AllOf
	if s.Ref != nil {
		parts = append([]*jsonschema.Schema{s.Ref}, parts...)
	}
	for _, each := range parts {
		if types := f.typesOf(each, depth-1); types != nil {
			return types
		}
	}
	return nil
}

// intent is what a refused value was meant for.
type intent struct {
	variants []bool // by index
	// If variants is nil: the member that tells them apart has none of their values.
	member  string // JSON Pointer, from the value
	allowed []any
}

// of returns what a value was meant for, nil if it cannot be told or if it may be all
// variants.
func (v choices) of(location string, value any) *intent {
	c := v[location]
	if c == nil {
		return nil
	}
	candidates := make([]bool, len(c.types))
	for i, types := range c.types {
		candidates[i] = types == nil || hasType(types, value)
	}
	count := numberOf(candidates)
	for _, t := range c.tells {
		if count < 2 {
			break
		}
		member, ok := memberAt(value, t.path)
		if !ok {
			continue
		}
		narrowed, fits, limits := make([]bool, len(candidates)), 0, 0
		for i, allowed := range t.allowed {
			switch {
			case !candidates[i]:
				continue
			case allowed == nil: // a variant for all others, if the member tells most of them apart
				narrowed[i] = 2*t.limits < len(t.allowed)
			default:
				limits++
				if narrowed[i] = slices.ContainsFunc(allowed, func(each any) bool { return sameScalar(each, member) }); narrowed[i] {
					fits++
				}
			}
		}
		switch {
		case fits > 0:
			candidates, count = narrowed, numberOf(narrowed)
		case limits == count:
			return &intent{member: strictjson.Pointer(t.path).String(), allowed: t.union(candidates)}
		}
	}
	if count == 0 || count == len(candidates) && count > 1 {
		return nil
	}
	return &intent{variants: candidates}
}

func numberOf(set []bool) int {
	n := 0
	for _, in := range set {
		if in {
			n++
		}
	}
	return n
}

// in says what the values in a tree were meant for.
func (v choices) in(tree any) meaning {
	return func(e *jsonschema.ValidationError) *intent {
		at, err := parsePointer(instancePointer(e.InstanceLocation))
		if err != nil {
			return nil // cannot be: the library has written it
		}
		value, _ := at.InTree(tree)
		return v.of(e.AbsoluteKeywordLocation, value)
	}
}

// union is all values that some variants allow.
func (t tell) union(of []bool) []any {
	var all []any
	for i, allowed := range t.allowed {
		for _, v := range allowed {
			if of[i] && !slices.ContainsFunc(all, func(each any) bool { return sameScalar(each, v) }) {
				all = append(all, v)
			}
		}
	}
	return all
}

func memberAt(value any, path []string) (any, bool) {
	for _, name := range path {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = object[name]; !ok {
			return nil, false
		}
	}
	return value, true
}

func sameScalar(a, b any) bool {
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}

func hasType(types map[string]bool, value any) bool {
	switch value.(type) {
	case nil:
		return types["null"]
	case bool:
		return types["boolean"]
	case string:
		return types["string"]
	case json.Number:
		return types["number"] || types["integer"]
	case []any:
		return types["array"]
	case map[string]any:
		return types["object"]
	}
	return true
}
