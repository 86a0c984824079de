package schema

import (
	"slices"
	"strings"
)

// maxNearLength bounds the names that are compared, since the work grows with
// the square of it and the name comes from a caller.
const maxNearLength = 64

// nearest returns up to three known names that look like name: other case,
// a few letters off, or one the start of the other; the nearest first.
func nearest(name string, known []string) []string {
	if name == "" || len(name) > maxNearLength {
		return nil
	}
	type candidate struct {
		name     string
		distance int
	}
	limit := max(1, min(3, len(name)/3))
	lower := strings.ToLower(name)
	var found []candidate
	for _, k := range known {
		l := strings.ToLower(k)
		if len(l) > maxNearLength {
			continue
		}
		distance := limit + 1
		if abs(len(l)-len(lower)) <= limit {
			distance = editDistance(lower, l)
		}
		if distance > limit && min(len(l), len(lower)) >= 3 && (strings.HasPrefix(l, lower) || strings.HasPrefix(lower, l)) {
			distance = limit
		}
		if distance <= limit {
			found = append(found, candidate{k, distance})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.distance - b.distance })
	var names []string
	for _, c := range found[:min(3, len(found))] {
		names = append(names, c.name)
	}
	return names
}

func abs(n int) int { return max(n, -n) }

// editDistance is Levenshtein's, over bytes: the names compared are ASCII.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// didYouMean is " Did you mean …?" or nothing.
func didYouMean(name string, known []string) string {
	near := nearest(name, known)
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}
