// Package spelling finds the known name that a misspelt one was meant to be. Case
// does not count. It imports no other package of the gateway.
package spelling

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// maxLength bounds, in bytes, the names that are compared: a longer one is not a
// misspelling, the name may come from a stranger, and the work grows with the square
// of the length.
const maxLength = 64

// maxSimilar bounds the names that Similar returns.
const maxSimilar = 3

// Nearest returns the candidate that takes the fewest edits to become name, and how
// many; "-" and "_" do not count. Among equals the first wins. It returns "" if name
// is longer than maxLength or there is no candidate.
func Nearest(name string, candidates []string) (best string, edits int) {
	edits = maxLength
	if len(name) > maxLength {
		return "", edits
	}
	for _, candidate := range candidates {
		if n := levenshtein.ComputeDistance(plain(name), plain(candidate)); n < edits {
			best, edits = candidate, n
		}
	}
	return best, edits
}

func plain(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(name), "_", ""), "-", "")
}

// Similar returns up to three candidates that name may stand for, the most similar
// first: those that are a few edits away, and those that begin with name or that name
// begins with. Most often there are none.
func Similar(name string, candidates []string) []string {
	if name == "" || len(name) > maxLength {
		return nil
	}
	type match struct {
		name  string
		edits int
	}
	limit := max(1, min(3, len(name)/3))
	lower := strings.ToLower(name)
	var found []match
	for _, candidate := range candidates {
		l := strings.ToLower(candidate)
		if len(l) > maxLength {
			continue
		}
		edits := limit + 1
		if max(len(l)-len(lower), len(lower)-len(l)) <= limit { // else it takes more edits
			edits = levenshtein.ComputeDistance(lower, l)
		}
		if edits > limit && min(len(l), len(lower)) >= 3 && (strings.HasPrefix(l, lower) || strings.HasPrefix(lower, l)) {
			edits = limit
		}
		if edits <= limit {
			found = append(found, match{candidate, edits})
		}
	}
	slices.SortStableFunc(found, func(a, b match) int { return a.edits - b.edits })
	var names []string
	for _, m := range found[:min(maxSimilar, len(found))] {
		names = append(names, m.name)
	}
	return names
}
