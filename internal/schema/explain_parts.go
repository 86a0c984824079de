package schema

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// Prices of what the library does for one error, in units.
const (
	quoteUnits   = 2  // for each byte of a text that the library may quote
	sortUnits    = 25 // for each name that is put in order
	entryUnits   = 25 // for each item or member of a value: the library copies their names
	compareUnits = 80 // for each value that the library compares with another one
)

// hasType reports whether the value is of a type that a allows. If not, the library looks
// at no other keyword.
func (a *acceptor) hasType(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return a.types&typeObject != 0
	case []any:
		return a.types&typeArray != 0
	case string:
		return a.types&typeString != 0
	case bool:
		return a.types&typeBoolean != 0
	case nil:
		return a.types&typeNull != 0
	case json.Number:
		return a.types&typeNumber != 0 || a.types&typeInteger != 0 && parseDecimal(string(v)).isInteger()
	}
	return false
}

// ownErrors are the library's errors about the value itself.
func (e *explainer) ownErrors(a *acceptor, v any, at *location) []*jsonschema.ValidationError {
	s := ownKeywords(a.schema)
	units := 0
	switch v := v.(type) {
	case string:
		units = len(v) * quoteUnits
		if s.Pattern != nil && a.string != nil {
			if a.string.pattern.decide(e.run, v) == yes {
				s.Pattern = nil
			} else {
				units += a.string.pattern.matchUnits(len(v)) + quoteUnits*len(s.Pattern.String())
			}
		}
		if a.format != nil {
			units += a.format.formatUnits(v)
		}
	case json.Number:
		units = bigUnits(string(v))
	case map[string]any:
		units = len(v)*entryUnits + a.object.ownUnits*entryUnits + a.object.nameBytes*quoteUnits
	case []any:
		units = len(v) * entryUnits
	}
	s.Enum, s.Constant = nil, nil
	return append(e.valueErrors(a, v, at), e.library(s, v, at, "", units)...)
}

// valueErrors are those of enum and const. The library's comparison of numbers may take
// longer than the whole validation, and its error does not depend on the value: it is asked
// about another one, of a type that no allowed value has.
func (e *explainer) valueErrors(a *acceptor, v any, at *location) []*jsonschema.ValidationError {
	s := ownKeywords(a.schema)
	s.Types = nil
	if a.constant == nil || a.constant.has(e.run, v) {
		s.Constant = nil
	}
	if a.enum == nil || a.enum.has(e.run, v) {
		s.Enum = nil
	}
	if len(s.Constant)+len(s.Enum) == 0 || !a.hasType(v) {
		return nil
	}
	units := compareUnits / 10 * (len(s.Enum) + len(s.Constant))
	if a.constant != nil {
		units += a.constant.longestText * quoteUnits
	}
	allowed := func(v any) bool {
		return a.constant != nil && a.constant.has(e.run, v) || a.enum != nil && a.enum.has(e.run, v)
	}
	for _, other := range []any{nil, true, false} {
		if !allowed(other) {
			return e.library(s, other, at, "", units)
		}
	}
	return e.library(s, v, at, "", units+e.comparison(a, v))
}

// comparison is the price of comparing a value with those of enum and const.
func (e *explainer) comparison(a *acceptor, v any) int {
	longest := 0
	for _, s := range []*valueSet{a.enum, a.constant} {
		if s != nil {
			longest = max(longest, s.longest)
		}
	}
	each := compareUnits + 10*longest
	switch v := v.(type) {
	case json.Number:
		each += len(v)
	case map[string]any, []any:
		each += 20 * longest
	}
	return each * (len(a.schema.Enum) + len(a.schema.Constant))
}

// ownKeywords is a schema with nothing but the keywords about the value itself.
func ownKeywords(s *jsonschema.Schema) *jsonschema.Schema {
	own := *s
	own.Ref, own.RecursiveRef, own.DynamicRef = nil, nil, nil
	own.Not, own.AllOf, own.AnyOf, own.OneOf = nil, nil, nil, nil
	own.If, own.Then, own.Else = nil, nil, nil
	own.Properties, own.PatternProperties, own.AdditionalProperties = nil, nil, nil
	own.PropertyNames, own.RegexProperties, own.DependentSchemas, own.UnevaluatedProperties = nil, false, nil, nil
	own.UniqueItems, own.Items, own.AdditionalItems, own.PrefixItems, own.Items2020 = false, nil, nil, nil, nil
	own.Contains, own.UnevaluatedItems, own.ContentSchema, own.Extensions = nil, nil, nil, nil
	own.Dependencies = nil
	for name, each := range s.Dependencies {
		if required, ok := each.([]string); ok {
			if own.Dependencies == nil {
				own.Dependencies = map[string]any{}
			}
			own.Dependencies[name] = required
		}
	}
	return &own
}

// only is an empty schema in the place of another one.
func only(of *jsonschema.Schema) jsonschema.Schema {
	return jsonschema.Schema{
		Location: of.Location, MinProperties: -1, MaxProperties: -1, MinItems: -1, MaxItems: -1,
		MinContains: 1, MaxContains: -1, MinLength: -1, MaxLength: -1,
	}
}

func (e *explainer) memberErrors(a *acceptor, v map[string]any, at *location, keyword string) []*jsonschema.ValidationError {
	o := a.object
	var errors []*jsonschema.ValidationError
	unknown := map[string]any{}
	for _, name := range e.names(v) {
		if e.full() {
			e.open = true
			break
		}
		if e.member(o, o.properties[name], name, v[name]) == yes {
			continue
		}
		here := at.member(name)
		matched := false
		if rule, ok := o.properties[name]; ok {
			matched = true
			errors = append(errors, e.of(rule, v[name], here, "properties")...)
		}
		for _, p := range o.patterns {
			if p.decide(e.run, name) == yes {
				matched = true
				errors = append(errors, e.of(p.to, v[name], here, "patternProperties")...)
			}
		}
		switch {
		case matched:
		case o.others == acceptNothing:
			unknown[name] = nil
			e.found++
			e.bytes += len(name)
		default:
			errors = append(errors, e.of(o.others, v[name], here, "additionalProperties")...)
		}
		if o.names != nil {
			errors = append(errors, e.of(o.names, name, here, "propertyNames")...)
		}
		if o.regexNames && nameFormat.decide(e.run, name) != yes {
			s := only(a.schema)
			s.RegexProperties = true
			errors = append(errors, e.library(&s, map[string]any{name: nil}, at, keyword, quoteUnits*len(name))...)
		}
	}
	if len(unknown) > 0 {
		s := only(a.schema)
		s.AdditionalProperties = false
		units := 0
		for name := range unknown {
			units += entryUnits + quoteUnits*len(name)
		}
		errors = append(errors, e.library(&s, unknown, at, "", units)...)
	}
	return errors
}

// names are an object's names in order, so that the same violations are found each time.
func (e *explainer) names(v map[string]any) []string {
	if !e.spend(sortUnits * len(v)) {
		e.open = true
		return nil
	}
	return sortedKeys(v)
}

func (e *explainer) itemErrors(a *acceptor, v []any, at *location) []*jsonschema.ValidationError {
	rules := a.array
	var errors []*jsonschema.ValidationError
	if rules.unique {
		errors = e.equalItemsErrors(a, v, at)
	}
	tuple := rules.tuple[:min(len(rules.tuple), len(v))]
	for i, each := range tuple {
		errors = append(errors, e.of(each, v[i], at.item(i), rules.tupleKeyword)...)
	}
	switch {
	case rules.closed && len(v) > len(rules.tuple):
		s := only(a.schema)
		s.AdditionalItems = false
		s.Items = slices.Repeat([]*jsonschema.Schema{{Always: newTrue()}}, len(rules.tuple))
		errors = append(errors, e.library(&s, v, at, "", entryUnits*len(v)+compareUnits*len(rules.tuple))...)
	case !rules.closed && !rules.rest.anything:
		for i := len(tuple); i < len(v) && !e.full(); i++ {
			errors = append(errors, e.of(rules.rest, v[i], at.item(i), rules.restKeyword)...)
		}
	}
	if rules.contains != nil {
		errors = append(errors, e.containsErrors(a, v, at)...)
	}
	return errors
}

func newTrue() *bool {
	always := true
	return &always
}

// equalItemsErrors asks the library about two items only. Its message names their
// indexes.
func (e *explainer) equalItemsErrors(a *acceptor, v []any, at *location) []*jsonschema.ValidationError {
	earlier, later, result := e.equalItems(v)
	if result == ask {
		e.open = true
	}
	if result != no {
		return nil
	}
	c := canonical{run: e.run, text: e.scratch[:0], limit: -1}
	c.append(v[earlier])
	e.scratch = c.text
	s := only(a.schema)
	s.UniqueItems = true
	errors := e.library(&s, []any{v[earlier], v[later]}, at, "", compareUnits*len(c.text))
	for _, each := range errors {
		each.Message = fmt.Sprintf("items at index %d and %d are equal", earlier, later)
	}
	return errors
}

func (e *explainer) containsErrors(a *acceptor, v []any, at *location) []*jsonschema.ValidationError {
	rules := a.array
	matched, open := 0, 0
	before, bytes := e.found, e.bytes
	var causes []*jsonschema.ValidationError
	for i, value := range v {
		result, errors := e.check(rules.contains, value, at.item(i), "contains")
		causes = append(causes, errors...)
		switch result {
		case yes:
			matched++
		case ask:
			open++
		}
	}
	var errors []*jsonschema.ValidationError
	if least := rules.minContains; least != -1 && matched+open < least {
		text := fmt.Sprintf("valid must be >= %d, but got %d", least, matched)
		errors = append(errors, e.composed(a, "minContains", text, at, causes))
	} else {
		e.found, e.bytes = before, bytes
	}
	if most := rules.maxContains; most != -1 && matched > most {
		text := fmt.Sprintf("valid must be <= %d, but got %d", most, matched)
		errors = append(errors, e.composed(a, "maxContains", text, at, nil))
	}
	return errors
}

// combinedErrors are those of not, anyOf, oneOf and if.
func (e *explainer) combinedErrors(a *acceptor, v any, at *location) []*jsonschema.ValidationError {
	var errors []*jsonschema.ValidationError
	if a.not != nil && e.settle(a.not, v) == yes {
		errors = append(errors, e.composed(a, "not", "not failed", at, nil))
	}
	if a.anyOf != nil {
		errors = append(errors, e.anyErrors(a, v, at)...)
	}
	if a.oneOf != nil {
		errors = append(errors, e.oneErrors(a, v, at)...)
	}
	if a.cond == nil {
		return errors
	}
	switch e.settle(a.cond, v) {
	case yes:
		if a.then != nil {
			errors = append(errors, errorsUnder("/then", at, e.of(a.then, v, at, "then"))...)
		}
	case no:
		if a.otherwise != nil {
			errors = append(errors, errorsUnder("/else", at, e.of(a.otherwise, v, at, "else"))...)
		}
	}
	return errors
}

// variantErrors puts the errors of one variant under one that says which variant it is:
// what is wrong under the variant that was meant comes first.
func variantErrors(keyword string, index int, at *location, errors []*jsonschema.ValidationError) []*jsonschema.ValidationError {
	return errorsUnder(fmt.Sprintf("/%s/%d", keyword, index), at, errors)
}

// errorsUnder puts errors under one that names the keyword that led to them.
func errorsUnder(keyword string, at *location, errors []*jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(errors) == 0 {
		return nil
	}
	return []*jsonschema.ValidationError{{KeywordLocation: keyword, InstanceLocation: at.String(), Causes: errors}}
}

func (e *explainer) anyErrors(a *acceptor, v any, at *location) []*jsonschema.ValidationError {
	if e.any(a.anyOf, v) == yes {
		return nil
	}
	before, bytes := e.found, e.bytes
	var causes []*jsonschema.ValidationError
	refused := true
	for i, each := range a.anyOf {
		result, errors := e.check(each, v, at, "anyOf")
		causes = append(causes, variantErrors("anyOf", i, at, errors)...)
		refused = refused && result == no
	}
	if !refused {
		e.found, e.bytes = before, bytes
		return nil
	}
	return []*jsonschema.ValidationError{e.composed(a, "anyOf", "anyOf failed", at, causes)}
}

func (e *explainer) oneErrors(a *acceptor, v any, at *location) []*jsonschema.ValidationError {
	before, bytes := e.found, e.bytes
	accepted := -1
	var causes []*jsonschema.ValidationError
	refused := true
	for i, each := range a.oneOf {
		if accepted != -1 {
			if e.settle(each, v) != yes {
				continue
			}
			e.found, e.bytes = before, bytes
			text := fmt.Sprintf("valid against schemas at indexes %d and %d", accepted, i)
			return []*jsonschema.ValidationError{e.composed(a, "oneOf", text, at, nil)}
		}
		result, errors := e.check(each, v, at, "oneOf")
		causes = append(causes, variantErrors("oneOf", i, at, errors)...)
		if result == yes {
			accepted = i
		}
		refused = refused && result == no
	}
	if !refused {
		e.found, e.bytes = before, bytes
		return nil
	}
	return []*jsonschema.ValidationError{e.composed(a, "oneOf", "oneOf failed", at, causes)}
}

func (e *explainer) unevaluatedErrors(a *acceptor, v any, at *location) []*jsonschema.ValidationError {
	var errors []*jsonschema.ValidationError
	switch v := v.(type) {
	case map[string]any:
		if a.object.unevaluated == nil || a.object.limited {
			return nil
		}
		for _, name := range e.names(v) {
			if e.full() {
				break
			}
			if e.eval(a.object.unevaluated, v[name]) != yes && e.evaluatesMember(a, v, name, true) == no {
				errors = append(errors, e.of(a.object.unevaluated, v[name], at.member(name), "unevaluatedProperties")...)
			}
		}
	case []any:
		if a.array.unevaluated == nil {
			return nil
		}
		for i := range v {
			if e.full() {
				break
			}
			if e.eval(a.array.unevaluated, v[i]) != yes && e.evaluatesItem(a, v, i, true) == no {
				errors = append(errors, e.of(a.array.unevaluated, v[i], at.item(i), "unevaluatedItems")...)
			}
		}
	}
	return errors
}
