package compat

import "strconv"

// otherName stands for all member names that no clause lists and that match
// exactly the same patterns.
type otherName struct {
	matched map[string]bool
	sample  string // one such name
	known   bool   // there is a sample; if not, there may be no such name at all
}

// maxPatterns bounds the patterns of "patternProperties": all their subsets are tried.
const maxPatterns = 4

// otherNames divides the names that none of the sets lists; it is false if
// there are too many patterns.
func otherNames(sets ...set) ([]otherName, bool) {
	var patterns []patternNode
	listed, seen := make(map[string]bool), make(map[string]bool)
	for _, a := range sets {
		for _, name := range a.names() {
			listed[name] = true
		}
		for _, c := range a.clauses {
			for _, p := range c.patterns {
				if !seen[p.pattern.String()] {
					seen[p.pattern.String()] = true
					patterns = append(patterns, p)
				}
			}
		}
	}
	if len(patterns) > maxPatterns {
		return nil, false
	}
	samples := nameSamples(patterns, listed)
	var others []otherName
	for subset := range 1 << len(patterns) {
		o := otherName{matched: make(map[string]bool)}
		for i, p := range patterns {
			if subset&(1<<i) != 0 {
				o.matched[p.pattern.String()] = true
			}
		}
		o.sample, o.known = samples[subset]
		others = append(others, o)
	}
	return others, true
}

// nameSamples finds names by the subset of patterns that they match.
func nameSamples(patterns []patternNode, listed map[string]bool) map[int]string {
	candidates := []string{"other", "x", "A", "0", "_", "é"}
	for i := range 8 {
		candidates = append(candidates, "other"+strconv.Itoa(i))
	}
	for _, p := range patterns {
		candidates = append(candidates, matching(p.pattern.String(), 2)...)
	}
	samples := make(map[int]string)
	for _, name := range candidates {
		if listed[name] {
			continue
		}
		subset := 0
		for i, p := range patterns {
			if p.pattern.MatchString(name) {
				subset |= 1 << i
			}
		}
		if _, ok := samples[subset]; !ok {
			samples[subset] = name
		}
	}
	return samples
}
