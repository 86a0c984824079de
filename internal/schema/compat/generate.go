package compat

import (
	"math/big"
	"strings"
)

// How many values are looked for.
const (
	maxWitnesses  = 3
	manyWitnesses = 24 // where only some of them may be refused
)

// Limits of generated values.
const (
	generateDepth = 40
	maxText       = 100_000 // characters
	maxLength     = 2000    // items
	maxOptional   = 60      // optional members that are added
	maxNodes      = 20_000  // members and items of all depths
)

// among generates values of a set and keeps those that are refused.
func (s *generator) among(a set, n int, refused func(any) bool) []any {
	var kept []any
	for _, v := range s.generate(a, n) {
		if len(kept) < maxWitnesses && refused(v) {
			kept = append(kept, v)
		}
	}
	return kept
}

// generate makes up to n different values that are certainly in the set, simple ones
// first. If it finds none, that proves nothing.
func (s *generator) generate(a set, n int) []any {
	share := min(oneSearch, s.search)
	kept := s.fuel
	s.fuel = share
	values := s.generateAt(a, n, 0)
	s.search -= share - max(s.fuel, 0)
	s.fuel = kept
	return values
}

func (s *generator) generateAt(a set, n, depth int) []any {
	if depth > generateDepth || !s.burn() {
		return nil
	}
	key := a.key()
	if known, ok := s.made[key]; ok && (known.wanted >= n || len(known.values) < known.wanted) {
		return known.values[:min(n, len(known.values))]
	}
	// The smallest value of a set has no value of the same set inside. One level is
	// allowed for variety.
	if s.making[key] > 1 {
		return nil
	}
	s.making[key]++
	values := s.generateNew(a, n, depth, s.making[key] > 1)
	if s.making[key]--; s.making[key] == 0 && s.fuel > 0 {
		s.made[key] = made{wanted: n, values: values}
	}
	return values
}

// made is an answer that generateAt remembers.
type made struct {
	wanted int
	values []any
}

// generateNew makes values of a set. Inside the same set they have only what is
// required: otherwise recursive schemas would make large trees.
func (s *generator) generateNew(a set, n, depth int, lean bool) []any {
	branches, ok := s.branches(a)
	if !ok {
		return nil
	}
	found := collection{s: s, in: a, most: n, lean: lean, seen: make(map[string]bool)}
	for _, b := range branches {
		for _, k := range kinds {
			if found.full() {
				return found.values
			}
			if b.kinds().has(k) {
				s.generateKind(b.of(k), k, depth, &found)
			}
		}
	}
	return found.values
}

// collection keeps different values that are certainly in a set.
type collection struct {
	s      *generator
	in     set
	most   int
	lean   bool
	values []any
	seen   map[string]bool
}

func (c *collection) full() bool { return len(c.values) >= c.most }

func (c *collection) add(v any) {
	if c.full() || nodes(v, maxNodes) > maxNodes {
		return
	}
	key := canonical(v)
	if c.seen[key] {
		return
	}
	c.seen[key] = true
	if in, _ := c.s.judge(c.in, v); in == yes {
		c.values = append(c.values, v)
	}
}

// nodes counts the values inside a value, up to a limit: parts are shared, so a
// value can be far larger than its memory.
func nodes(v any, limit int) int {
	n := 1
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if n > limit {
				break
			}
			n += nodes(item, limit-n)
		}
	case map[string]any:
		for _, member := range v {
			if n > limit {
				break
			}
			n += nodes(member, limit-n)
		}
	}
	return n
}

func (s *generator) generateKind(a set, k kind, depth int, found *collection) {
	if list, ok := s.finite(a, k); ok {
		for _, v := range list {
			found.add(v)
		}
		return
	}
	switch k {
	case kindInteger, kindFraction:
		s.generateNumbers(a, k, found)
	case kindString:
		s.generateStrings(a, found)
	case kindArray:
		s.generateArrays(a, depth, found)
	case kindObject:
		s.generateObjects(a, depth, found)
	}
}

func (s *generator) generateNumbers(a set, k kind, found *collection) {
	f := s.facts(a, k)
	step := f.step
	if step == nil {
		step = big.NewRat(1, 2)
	}
	var starts []*big.Rat
	for _, b := range []*bound{f.lower, f.upper} {
		if b != nil {
			starts = append(starts, b.at)
		}
	}
	if f.lower != nil && f.upper != nil {
		middle := new(big.Rat).Add(f.lower.at, f.upper.at)
		starts = append(starts, middle.Quo(middle, big.NewRat(2, 1)))
	}
	starts = append(starts, new(big.Rat))
	for _, start := range starts {
		// Next to the start, on the grid of the step and off it.
		for i := range int64(max(8, found.most)) {
			if found.full() {
				return
			}
			for _, sign := range []int64{1, -1} {
				delta := new(big.Rat).Mul(step, big.NewRat(sign*i, 1))
				found.addNumber(new(big.Rat).Add(start, delta), k)
				if f.step != nil && i < 4 {
					found.addNumber(multipleFrom(new(big.Rat).Add(start, delta), f.step, false, sign), k)
				}
			}
		}
		if f.step == nil {
			for _, small := range []*big.Rat{big.NewRat(1, 10), big.NewRat(1, 1000), big.NewRat(1, 1_000_000)} {
				found.addNumber(new(big.Rat).Add(start, small), k)
				found.addNumber(new(big.Rat).Sub(start, small), k)
			}
		}
	}
}

func (c *collection) addNumber(r *big.Rat, k kind) {
	if r.IsInt() != (k == kindInteger) {
		return
	}
	if n, ok := number(r); ok {
		c.add(n)
	}
}

func (s *generator) generateStrings(a set, found *collection) {
	f := s.facts(a, kindString)
	for _, c := range a.clauses {
		for _, text := range formatSamples(c.format) {
			found.add(text)
		}
	}
	for _, c := range a.clauses {
		if c.pattern == nil {
			continue
		}
		for _, extra := range []int{4, f.minLength} {
			if extra <= maxWritten {
				for _, text := range matching(c.pattern.String(), min(extra, 64)) {
					found.add(text)
				}
			}
		}
	}
	plainTexts(f, found)
}

// plainTexts adds strings of the shortest, the longest and some lengths between.
func plainTexts(f facts, found *collection) {
	lengths := []int{f.minLength, f.minLength + 1, f.minLength + 3}
	if f.maxLength >= 0 {
		lengths = append(lengths, f.maxLength)
	}
	for _, length := range lengths {
		if length > maxText || f.maxLength >= 0 && length > f.maxLength {
			continue
		}
		for _, fill := range []string{"a", "A", "0", " ", "é", "/", "\\", "(", "\n"} {
			if found.full() {
				return
			}
			found.add(strings.Repeat(fill, length))
		}
	}
	// Numbered ones, because there may be many values to avoid.
	for i := range found.most {
		if found.full() || f.minLength > maxText {
			return
		}
		text := index(i)
		found.add(text + strings.Repeat("a", max(0, f.minLength-len(text))))
	}
}
