package schema

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"eventgateway/internal/event"
	"eventgateway/internal/strictjson"
)

// maxViolations is how many violations of one event are reported. The search for them stops
// at the first one more.
const maxViolations = event.MaxViolations

// literals finds the value of a keyword in the schema files by the library's absolute
// keyword location.
type literals func(location string) (any, bool)

// rank orders violations: first what is wrong under the variant that was meant, or under
// no variant, then what follows from it (no variant fits, members are unevaluated), then
// what is wrong under the other variants.
type rank int

const (
	wrong rank = iota
	noVariant
	otherVariant
)

// flatten lists the violations that the library found, ordered by rank, pointer, keyword
// and message. meant, if not nil, says which variants of a "oneOf" or "anyOf" were meant.
// spend, if not nil, is told what it costs: an error under many variants is listed again
// with each of them.
func flatten(root *jsonschema.ValidationError, find literals, meant meaning, spend func(units int) bool) []event.Violation {
	ranked := rankedViolations(root, find, meant, spend)
	found := make([]event.Violation, 0, len(ranked))
	for _, each := range ranked {
		found = append(found, each.Violation)
	}
	return found
}

// meaning says which variants of a "oneOf" or "anyOf" were meant.
type meaning func(*jsonschema.ValidationError) *intent

// rankedViolations is flatten with the ranks.
func rankedViolations(root *jsonschema.ValidationError, find literals, meant meaning, spend func(units int) bool) []rankedViolation {
	f := flattener{
		find: find, meant: meant, spend: spend, failed: make(map[string]bool),
		known: make(map[*jsonschema.ValidationError][]rankedViolation), lists: make(map[string]string),
	}
	found := slices.Clone(f.collect(root))
	f.demoteUnevaluated(found)
	slices.SortFunc(found, func(a, b rankedViolation) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), compareViolations(a.Violation, b.Violation))
	})
	return found
}

type rankedViolation struct {
	event.Violation
	rank rank
}

type flattener struct {
	find  literals
	meant meaning
	spend func(units int) bool
	// values that a schema in their place refuses, such as one under "oneOf": the members
	// that this schema would have evaluated count as unevaluated
	failed map[string]bool
	known  map[*jsonschema.ValidationError][]rankedViolation // an error may have several ways to it
	lists  map[string]string                                 // messages of enum, const and pattern, by their place in the schema
}

// collect lists an error, unless it only wraps its causes, and the errors below it, each
// violation once. The caller must not change the list.
func (f *flattener) collect(e *jsonschema.ValidationError) []rankedViolation {
	if list, ok := f.known[e]; ok {
		return list
	}
	keyword := keywordOf(e.KeywordLocation)
	if len(e.Causes) > 0 && inPlace[keyword] {
		f.failed[instancePointer(e.InstanceLocation)] = true
	}
	f.cost(1)
	var list []rankedViolation
	switch {
	case f.meant != nil && len(e.Causes) > 0 && (keyword == "oneOf" || keyword == "anyOf") && !wraps(e, keyword):
		list = f.collectVariants(e, keyword)
	case len(e.Causes) == 1 && wraps(e, keyword):
		list = f.collect(e.Causes[0])
	default:
		var u union
		if !wraps(e, keyword) {
			u.add(wrong, f.own(e, keyword)...)
		}
		for _, cause := range e.Causes {
			u.add(wrong, f.collect(cause)...)
		}
		f.cost(len(u.list))
		list = u.list
	}
	f.known[e] = list
	return list
}

// cost tells what it costs to list n violations. They are listed whatever it costs: the
// search for them was bounded.
func (f *flattener) cost(n int) {
	if f.spend != nil {
		f.spend(n * listUnits)
	}
}

// union is a list of violations, each once, with the lowest of its ranks.
type union struct {
	list []rankedViolation
	at   map[event.Violation]int
}

// add adds violations, with a rank of at least least.
func (u *union) add(least rank, list ...rankedViolation) {
	if u.at == nil {
		u.at = make(map[event.Violation]int, len(list))
	}
	for _, v := range list {
		v.rank = max(v.rank, least)
		if i, ok := u.at[v.Violation]; ok {
			u.list[i].rank = min(u.list[i].rank, v.rank)
		} else {
			u.at[v.Violation] = len(u.list)
			u.list = append(u.list, v)
		}
	}
}

// inPlace are the keywords that apply schemas to the same value.
var inPlace = map[string]bool{
	"$ref": true, "$dynamicRef": true, "$recursiveRef": true, "allOf": true, "anyOf": true, "oneOf": true,
	"then": true, "else": true, "dependentSchemas": true, "dependencies": true,
}

// demoteUnevaluated puts unevaluated members behind what made them so.
func (f *flattener) demoteUnevaluated(found []rankedViolation) {
	for i := range found {
		v := &found[i]
		if v.Keyword != "unevaluatedProperties" && v.Keyword != "unevaluatedItems" {
			continue
		}
		around := v.Pointer[:max(0, strings.LastIndexByte(v.Pointer, '/'))]
		if f.failed[around] {
			v.rank = max(v.rank, noVariant)
		}
	}
}

// collectVariants lists the errors of variants: those that were meant by their own rank.
// If none was meant more than the others, what is wrong under all of them comes first: it
// has to be corrected in any case.
func (f *flattener) collectVariants(e *jsonschema.ValidationError, keyword string) []rankedViolation {
	var u union
	switch meant := f.meant(e); meant {
	case nil:
		alike := f.alike(e)
		least, others := wrong, wrong
		if len(alike) > 0 {
			least, others = noVariant, otherVariant
		}
		u.add(wrong, alike...)
		u.add(least, f.own(e, keyword)...)
		for _, cause := range e.Causes {
			u.add(others, f.collect(cause)...)
		}
	default:
		if meant.variants == nil {
			u.add(wrong, rankedViolation{event.Violation{
				Pointer: instancePointer(e.InstanceLocation) + meant.member, Keyword: "enum", Message: shorten(oneOfText(meant.allowed)),
			}, wrong})
		}
		u.add(noVariant, f.own(e, keyword)...)
		for _, cause := range e.Causes {
			least := otherVariant
			if i := variantOf(e, cause); i >= 0 && i < len(meant.variants) && meant.variants[i] {
				least = wrong
			}
			u.add(least, f.collect(cause)...)
		}
		f.cost(len(u.list))
	}
	return u.list
}

// variantOf is the index of the variant that a cause belongs to, or -1.
func variantOf(e, cause *jsonschema.ValidationError) int {
	index, _, _ := strings.Cut(strings.TrimPrefix(cause.KeywordLocation, e.KeywordLocation+"/"), "/")
	if i, ok := strictjson.ArrayIndex(index); ok {
		return i
	}
	return -1
}

// alike lists what is wrong under all variants.
func (f *flattener) alike(e *jsonschema.ValidationError) []rankedViolation {
	in := make(map[event.Violation]map[int]bool)
	variants := make(map[int]bool)
	var all union
	for _, cause := range e.Causes {
		i := variantOf(e, cause)
		variants[i] = true
		found := f.collect(cause)
		f.cost(3 * len(found)) // here, and where the caller adds it
		for _, v := range found {
			if in[v.Violation] == nil {
				in[v.Violation] = make(map[int]bool)
			}
			in[v.Violation][i] = true
			all.add(wrong, v)
		}
	}
	return slices.DeleteFunc(all.list, func(v rankedViolation) bool { return len(in[v.Violation]) < len(variants) })
}

// wraps reports whether an error says nothing beyond its causes.
func wraps(e *jsonschema.ValidationError, keyword string) bool {
	if len(e.Causes) == 0 {
		return false
	}
	switch keyword {
	case "", "$ref", "$recursiveRef", "$dynamicRef", "allOf", "then", "else":
		return true
	}
	return e.Message == ""
}

// own is what an error itself says.
func (f *flattener) own(e *jsonschema.ValidationError, keyword string) []rankedViolation {
	at := instancePointer(e.InstanceLocation)
	names, ok := additionalNames(keyword, e.Message)
	if !ok {
		return []rankedViolation{{event.Violation{Pointer: at, Keyword: keyword, Message: f.message(e, keyword)}, wrong}}
	}
	var list []rankedViolation
	for _, name := range names {
		list = append(list, rankedViolation{event.Violation{
			Pointer: at + "/" + strictjson.EscapeToken(name), Keyword: keyword, Message: "is not a property that the schema knows",
		}, wrong})
	}
	return list
}

// message words an error. What enum, const and pattern allow may be long, and is written
// out once.
func (f *flattener) message(e *jsonschema.ValidationError, keyword string) string {
	if keyword != "enum" && keyword != "const" && keyword != "pattern" {
		return shorten(message(e, keyword, f.find))
	}
	text, known := f.lists[e.AbsoluteKeywordLocation]
	if !known {
		text = shorten(message(e, keyword, f.find))
		f.lists[e.AbsoluteKeywordLocation] = text
	}
	return text
}

// instancePointer turns the library's location, whose tokens are also
// percent-encoded, into a JSON Pointer.
func instancePointer(location string) string {
	if strings.IndexByte(location, '%') < 0 {
		return location
	}
	plain, err := url.PathUnescape(location)
	if err != nil {
		return location // cannot be: the library has encoded it
	}
	return plain
}

// In a keyword location, namedKeywords are followed by a name, listedKeywords by an
// index.
var (
	namedKeywords = map[string]bool{
		"properties": true, "patternProperties": true, "$defs": true, "definitions": true,
		"dependentSchemas": true, "dependentRequired": true, "dependencies": true,
	}
	listedKeywords = map[string]bool{
		"allOf": true, "anyOf": true, "oneOf": true, "prefixItems": true, "items": true,
		"dependentRequired": true, "dependencies": true,
	}
)

// keywordOf returns the last keyword of a keyword location. Names and indexes are not
// keywords, not even a property called "required".
func keywordOf(location string) string {
	if location == "" {
		return ""
	}
	tokens := strings.Split(location[1:], "/")
	keyword := ""
	for i := 0; i < len(tokens); i++ {
		keyword = tokens[i]
		if namedKeywords[keyword] && i+1 < len(tokens) {
			i++
		}
		if listedKeywords[keyword] && i+1 < len(tokens) {
			if _, isIndex := strictjson.ArrayIndex(tokens[i+1]); isIndex {
				i++
			}
		}
	}
	return keyword
}

func compareViolations(a, b event.Violation) int {
	return cmp.Or(comparePointers(a.Pointer, b.Pointer), cmp.Compare(a.Keyword, b.Keyword), cmp.Compare(a.Message, b.Message))
}

// comparePointers orders by token, indexes as numbers: /items/9 before /items/10.
func comparePointers(a, b string) int {
	for a != b && a != "" && b != "" {
		var x, y string
		x, a = nextToken(a)
		y, b = nextToken(b)
		if x == y {
			continue
		}
		i, iNumber := strictjson.ArrayIndex(x)
		j, jNumber := strictjson.ArrayIndex(y)
		if iNumber && jNumber {
			return i - j
		}
		return cmp.Compare(x, y)
	}
	return cmp.Compare(a, b)
}

// nextToken splits the first token off a pointer.
func nextToken(p string) (token, rest string) {
	p = p[1:]
	if end := strings.IndexByte(p, '/'); end >= 0 {
		return p[:end], p[end:]
	}
	return p, ""
}
