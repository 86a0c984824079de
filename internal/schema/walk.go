package schema

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"eventgateway/internal/strictjson"
)

// place says which schemas the value of a keyword holds. All other values are data, in
// which a member called "$ref" is not a reference.
type place int

const (
	aSchema      place = iota + 1 // or, for items before 2020-12, an array of them
	manySchemas                   // an array
	namedSchemas                  // an object; dependencies may also hold arrays of names
)

var places = map[string]place{
	"additionalItems": aSchema, "additionalProperties": aSchema, "contains": aSchema, "contentSchema": aSchema,
	"else": aSchema, "if": aSchema, "items": aSchema, "not": aSchema, "propertyNames": aSchema, "then": aSchema,
	"unevaluatedItems": aSchema, "unevaluatedProperties": aSchema,
	"allOf": manySchemas, "anyOf": manySchemas, "oneOf": manySchemas, "prefixItems": manySchemas,
	"$defs": namedSchemas, "definitions": namedSchemas, "dependencies": namedSchemas, "dependentSchemas": namedSchemas,
	"patternProperties": namedSchemas, "properties": namedSchemas,
}

// rewrite passes every schema object in v, outermost first, through change, which
// gets its JSON Pointer and returns the new members.
func rewrite(v jsontext.Value, at string, change func(at string, list []member) []member) jsontext.Value {
	list, ok := members(v)
	if !ok {
		return v // true, false
	}
	list = change(at, list)
	for i, m := range list {
		here := at + "/" + strictjson.EscapeToken(m.name)
		switch places[m.name] {
		case aSchema, manySchemas:
			list[i].value = rewriteEach(m.value, here, change)
		case namedSchemas:
			named, ok := members(m.value)
			if !ok {
				continue
			}
			for j, each := range named {
				named[j].value = rewrite(each.value, here+"/"+strictjson.EscapeToken(each.name), change)
			}
			list[i].value = objectOf(named)
		}
	}
	return objectOf(list)
}

func rewriteEach(v jsontext.Value, at string, change func(string, []member) []member) jsontext.Value {
	list, ok := elements(v)
	if !ok {
		return rewrite(v, at, change)
	}
	for i, each := range list {
		list[i] = rewrite(each, at+"/"+strconv.Itoa(i), change)
	}
	return arrayOf(list)
}
