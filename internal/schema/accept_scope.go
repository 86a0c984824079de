package schema

import (
	"fmt"
	"reflect"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// scope is what a $dynamicRef or $recursiveRef depends on: the schemas that have been
// entered on the way to it. There are few such ways, so a schema is compiled once for
// each, and at run time every reference leads to one place.
type scope struct {
	recursive *jsonschema.Schema   // the outermost one with $recursiveAnchor
	anchors   []*jsonschema.Schema // with $dynamicAnchor, outermost first
	key       string
}

// acceptorKey is a schema and the scope in which it is compiled.
type acceptorKey struct {
	schema *jsonschema.Schema
	scope  string
}

// isDynamic reports whether a schema leads to a reference that depends on its scope.
func isDynamic(s *jsonschema.Schema) bool {
	seen := map[*jsonschema.Schema]bool{s: true}
	for queue := []*jsonschema.Schema{s}; len(queue) > 0; {
		next := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if next.DynamicRef != nil || next.RecursiveRef != nil {
			return true
		}
		for _, each := range below(next) {
			if !seen[each] {
				seen[each] = true
				queue = append(queue, each)
			}
		}
	}
	return false
}

func (in scope) enter(s *jsonschema.Schema) scope {
	changed := false
	if s.RecursiveAnchor && in.recursive == nil {
		in.recursive, changed = s, true
	}
	known := len(in.anchors)
	for _, each := range dynamicAnchors(s) {
		if !in.has(each) {
			in.anchors = append(in.anchors[:len(in.anchors):len(in.anchors)], each)
		}
	}
	if changed || len(in.anchors) > known {
		in.key = in.makeKey()
	}
	return in
}

func (in scope) has(s *jsonschema.Schema) bool {
	for _, each := range in.anchors {
		if each == s {
			return true
		}
	}
	return false
}

func (in scope) makeKey() string {
	key := fmt.Sprintf("%p", in.recursive)
	for _, each := range in.anchors {
		key += fmt.Sprintf(" %p", each)
	}
	return key
}

// withoutAnchors is the scope in "then" and "else", as the library has it.
func (in scope) withoutAnchors() scope {
	in.anchors = nil
	in.key = ""
	if in.recursive != nil {
		in.key = in.makeKey()
	}
	return in
}

func (in scope) recursiveTarget(s *jsonschema.Schema) *jsonschema.Schema {
	if s.RecursiveRef != nil && s.RecursiveRef.RecursiveAnchor && in.recursive != nil {
		return in.recursive
	}
	return s.RecursiveRef
}

func (in scope) dynamicTarget(s *jsonschema.Schema) *jsonschema.Schema {
	target := s.DynamicRef
	if target == nil || target.DynamicAnchor == "" || target.DynamicAnchor != dynamicRefAnchor(s) {
		return target
	}
	for _, each := range in.anchors {
		if each.DynamicAnchor == target.DynamicAnchor && each != target {
			return each
		}
	}
	return target
}

// The library does not export these three fields. A test shows that they are there.

func dynamicAnchors(s *jsonschema.Schema) []*jsonschema.Schema {
	field := reflect.ValueOf(s).Elem().FieldByName("dynamicAnchors")
	var list []*jsonschema.Schema
	for i := range field.Len() {
		list = append(list, (*jsonschema.Schema)(field.Index(i).UnsafePointer()))
	}
	return list
}

func dynamicRefAnchor(s *jsonschema.Schema) string {
	return reflect.ValueOf(s).Elem().FieldByName("dynamicRefAnchor").String()
}

// assertsFormat is false for the metaschemas since 2019-09, which the library has compiled
// for itself.
func assertsFormat(s *jsonschema.Schema) bool {
	return !reflect.ValueOf(s).Elem().FieldByName("format").IsNil()
}
