package schema

import (
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

func newNumberRules(s *jsonschema.Schema) *numberRules {
	if s.Minimum == nil && s.Maximum == nil && s.ExclusiveMinimum == nil && s.ExclusiveMaximum == nil && s.MultipleOf == nil {
		return nil
	}
	exact := func(r *big.Rat) *decimal {
		if r == nil {
			return nil
		}
		d, ok := decimalOf(r)
		if !ok {
			return nil // cannot be: it was written as a decimal
		}
		return &d
	}
	return &numberRules{
		min: exact(s.Minimum), max: exact(s.Maximum), exclusiveMin: exact(s.ExclusiveMinimum),
		exclusiveMax: exact(s.ExclusiveMaximum), multipleOf: exact(s.MultipleOf),
	}
}

func (n *numberRules) decide(r *run, d decimal, text string) verdict {
	if n.min != nil && d.compare(*n.min) < 0 || n.max != nil && d.compare(*n.max) > 0 ||
		n.exclusiveMin != nil && d.compare(*n.exclusiveMin) <= 0 || n.exclusiveMax != nil && d.compare(*n.exclusiveMax) >= 0 {
		return no
	}
	if n.multipleOf == nil {
		return yes
	}
	if multiple, known := d.isMultipleOf(*n.multipleOf); known {
		return verdictOf(multiple)
	}
	return n.longMultiple(r, text)
}

// longMultiple reckons with numbers of many digits, as the library does.
func (n *numberRules) longMultiple(r *run, text string) verdict {
	if !r.spend(bigUnits(text)) {
		return ask
	}
	m, ok := new(big.Rat).SetString(string(n.multipleOf.appendTo(nil)))
	v, valid := new(big.Rat).SetString(text)
	if !ok || !valid || m.Sign() == 0 {
		return ask
	}
	return verdictOf(v.Quo(v, m).IsInt())
}

// bigUnits is the price of a division of big rationals. Exponents may add digits.
func bigUnits(text string) int {
	if len(text) <= maxShort && !strings.ContainsAny(text, "eE") {
		return 100
	}
	return 2000 + 3*len(text)
}

// valueSet are the values of const or enum.
type valueSet struct {
	strings            map[string]bool
	longestText        int // of strings
	null, yes, no      bool
	others             map[string]bool // numbers, arrays and objects in their canonical form
	numbers, composite bool
	longest            int // the longest of others
}

func newValueSet(values []any) *valueSet {
	s := &valueSet{strings: map[string]bool{}, others: map[string]bool{}}
	for _, v := range values {
		switch v := v.(type) {
		case string:
			s.strings[v] = true
			s.longestText = max(s.longestText, len(v))
			continue
		case nil:
			s.null = true
			continue
		case bool:
			s.yes, s.no = s.yes || v, s.no || !v
			continue
		case json.Number:
			s.numbers = true
		default:
			s.composite = true
		}
		c := canonical{limit: -1}
		c.append(v)
		s.others[string(c.text)] = true
		s.longest = max(s.longest, len(c.text))
	}
	return s
}

func (s *valueSet) has(r *run, v any) bool {
	switch v := v.(type) {
	case string:
		r.spend(min(len(v), s.longestText) >> hashShift)
		return len(v) <= s.longestText && s.strings[v]
	case nil:
		return s.null
	case bool:
		return v && s.yes || !v && s.no
	case json.Number:
		if !s.numbers {
			return false
		}
		r.spend(canonicalUnits)
	default:
		if !s.composite {
			return false
		}
	}
	// A value that is longer than the longest of the set is not in it.
	c := canonical{run: r, text: r.scratch[:0], limit: s.longest}
	ok := c.append(v)
	r.scratch = c.text
	return ok && s.others[string(c.text)]
}

// canonical writes values so that two are equal if and only if their texts are: members
// in order, numbers in one spelling.
type canonical struct {
	run   *run // nil: it costs nothing
	text  []byte
	limit int // stop beyond so many bytes; -1: never
}

// append reports whether there was room, and units, for the whole value.
func (c *canonical) append(v any) bool {
	if c.run != nil && !c.run.spend(canonicalUnits) {
		return false
	}
	switch v := v.(type) {
	case nil:
		c.text = append(c.text, 'n')
	case bool:
		c.text = append(c.text, map[bool]byte{true: 't', false: 'f'}[v])
	case json.Number:
		c.text = append(parseDecimal(string(v)).appendTo(append(c.text, '#')), ';')
	case string:
		if !c.room(len(v)) {
			return false
		}
		c.string(v)
	case []any:
		return c.array(v)
	case map[string]any:
		return c.object(v)
	}
	return c.room(0)
}

// room reports whether so many more bytes fit.
func (c *canonical) room(bytes int) bool {
	if c.run != nil && !c.run.spend(bytes>>4) {
		return false
	}
	return c.limit < 0 || len(c.text)+bytes <= c.limit
}

func (c *canonical) string(s string) {
	c.text = strconv.AppendInt(append(c.text, '"'), int64(len(s)), 10)
	c.text = append(append(c.text, ':'), s...)
}

func (c *canonical) array(v []any) bool {
	c.text = append(c.text, '[')
	for _, each := range v {
		if !c.append(each) {
			return false
		}
	}
	c.text = append(c.text, ']')
	return c.room(0)
}

func (c *canonical) object(v map[string]any) bool {
	if !c.room(4*len(v)) || c.run != nil && !c.run.spend(2*canonicalUnits*len(v)) {
		return false
	}
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	c.text = append(c.text, '{')
	for _, name := range names {
		if !c.room(len(name)) {
			return false
		}
		c.string(name)
		if !c.append(v[name]) {
			return false
		}
	}
	c.text = append(c.text, '}')
	return c.room(0)
}

// fewItems are compared each with each: a map is not worth it.
const fewItems = 12

// equalItems finds the first item that equals an earlier one; the verdict is no if there
// is one. The library's own search compares all items with equal hashes, and its hash
// does not know signs: lists of 1 and -1 all collide.
func (r *run) equalItems(v []any) (earlier, later int, result verdict) {
	if len(v) <= fewItems && allStrings(v) {
		for i := 1; i < len(v); i++ {
			for j := range i {
				if v[i] == v[j] {
					return j, i, no
				}
			}
		}
		return 0, 0, yes
	}
	seen := make(map[string]int, len(v))
	others := map[string]int{}
	for i, each := range v {
		text, isString := each.(string)
		into := seen
		if !isString {
			c := canonical{run: r, text: r.scratch[:0], limit: -1}
			if !c.append(each) {
				return 0, 0, ask
			}
			r.scratch = c.text
			into = others
			if _, known := others[string(c.text)]; !known {
				text = string(c.text)
			} else {
				return others[string(c.text)], i, no
			}
		}
		if !r.spend(memberUnits + canonicalUnits + len(text)>>4) {
			return 0, 0, ask
		}
		if first, known := into[text]; known {
			return first, i, no
		}
		into[text] = i
	}
	return 0, 0, yes
}

func allStrings(v []any) bool {
	for _, each := range v {
		if _, ok := each.(string); !ok {
			return false
		}
	}
	return true
}
