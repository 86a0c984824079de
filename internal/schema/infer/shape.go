package infer

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"eventgateway/internal/strictjson"
)

// maxDepth bounds how deep the schema describes samples. A level of data takes two
// levels of schema, and a schema file may have 64; deeper values are left open.
const maxDepth = 24

// shape is what the values at one place of all samples have in common.
type shape struct {
	null, boolean bool
	integer       bool // written without fraction and exponent
	fraction      bool
	stringly      bool
	formats       []format // that all strings so far have
	objects       int
	names         []string // of members, in the order of the samples
	members       map[string]*presence
	arrays        bool
	items         *shape // nil: all arrays were empty
}

// presence is a member and how many of the objects have it.
type presence struct {
	shape
	count int
}

// add takes another value into account.
func (s *shape) add(v value) {
	switch v.kind {
	case jsontext.KindNull:
		s.null = true
	case jsontext.KindTrue, jsontext.KindFalse:
		s.boolean = true
	case jsontext.KindNumber:
		if strings.ContainsAny(v.text, ".eE") {
			s.fraction = true
		} else {
			s.integer = true
		}
	case jsontext.KindString:
		if !s.stringly {
			s.stringly, s.formats = true, slices.Clone(recognised)
		}
		s.formats = slices.DeleteFunc(s.formats, func(f format) bool { return !f.matches(v.text) })
	case jsontext.KindBeginArray:
		s.arrays = true
		for _, item := range v.items {
			if s.items == nil {
				s.items = &shape{}
			}
			s.items.add(item)
		}
	case jsontext.KindBeginObject:
		s.objects++
		for _, m := range v.members {
			s.member(m.name).add(m.value)
		}
	}
}

func (s *shape) member(name string) *presence {
	p := s.members[name]
	if p == nil {
		if s.members == nil {
			s.members = make(map[string]*presence)
		}
		p = &presence{}
		s.members[name] = p
		s.names = append(s.names, name)
	}
	p.count++
	return p
}

// types are the shape's names in JSON Schema. There are none if all values were
// null, which says nothing about other values.
func (s *shape) types() []string {
	var types []string
	add := func(seen bool, name string) {
		if seen {
			types = append(types, name)
		}
	}
	add(s.objects > 0, "object")
	add(s.arrays, "array")
	add(s.stringly, "string")
	add(s.integer && !s.fraction, "integer")
	add(s.fraction, "number")
	add(s.boolean, "boolean")
	if len(types) > 0 {
		add(s.null, "null")
	}
	return types
}

// describe returns the keywords for the shape.
func (s *shape) describe(depth int) []member {
	var keywords []member
	switch types := s.types(); len(types) {
	case 0:
	case 1:
		keywords = append(keywords, member{"type", text(types[0])})
	default:
		keywords = append(keywords, member{"type", texts(types)})
	}
	if len(s.formats) > 0 {
		keywords = append(keywords, member{"format", text(s.formats[0].name)})
	}
	if depth == maxDepth {
		return keywords
	}
	if s.items != nil {
		keywords = append(keywords, member{"items", object(s.items.describe(depth + 1)...)})
	}
	var required []string
	properties := object()
	properties.spread = true
	for _, name := range s.names {
		p := s.members[name]
		if p.count == s.objects {
			required = append(required, name)
		}
		properties.members = append(properties.members, member{name, object(p.describe(depth + 1)...)})
	}
	if len(required) > 0 {
		keywords = append(keywords, member{"required", texts(required)})
	}
	if len(properties.members) > 0 {
		keywords = append(keywords, member{"properties", properties})
	}
	return keywords
}

// open lists what the samples did not show, with the place in the data.
func (s *shape) open(pointer string, depth int, say func(pointer, what string)) {
	switch {
	case len(s.types()) == 0 && s.null:
		say(pointer, "is null in all samples: say its type")
		return
	case depth == maxDepth && (s.items != nil || len(s.names) > 0):
		say(pointer, "is "+strconv.Itoa(maxDepth)+" levels deep: what is inside is not described")
		return
	case s.arrays && s.items == nil:
		say(pointer, "is an empty list in all samples: say its items")
	}
	if s.items != nil {
		s.items.open(pointer+"/*", depth+1, say)
	}
	for _, name := range s.names {
		s.members[name].open(pointer+"/"+strictjson.EscapeToken(name), depth+1, say)
	}
}
