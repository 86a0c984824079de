package compat

import (
	"regexp/syntax"
	"slices"
)

// patternLengths bounds the length, in characters, of the strings that a
// pattern matches; longest is -1 unless the pattern must match the whole string.
func patternLengths(pattern string) (shortest, longest int) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, -1
	}
	shortest, longest = lengths(tree)
	if !whole(tree) {
		longest = -1
	}
	return shortest, longest
}

// whole reports whether a pattern is anchored at both ends.
func whole(tree *syntax.Regexp) bool {
	for tree.Op == syntax.OpCapture {
		tree = tree.Sub[0]
	}
	return tree.Op == syntax.OpConcat &&
		tree.Sub[0].Op == syntax.OpBeginText && tree.Sub[len(tree.Sub)-1].Op == syntax.OpEndText
}

func lengths(t *syntax.Regexp) (shortest, longest int) {
	switch t.Op {
	case syntax.OpLiteral:
		return len(t.Rune), len(t.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1, 1
	case syntax.OpCapture:
		return lengths(t.Sub[0])
	case syntax.OpStar:
		return 0, -1
	case syntax.OpPlus:
		shortest, _ = lengths(t.Sub[0])
		return shortest, -1
	case syntax.OpQuest:
		_, longest = lengths(t.Sub[0])
		return 0, longest
	case syntax.OpRepeat:
		shortest, longest = lengths(t.Sub[0])
		if t.Max < 0 || longest < 0 {
			return shortest * t.Min, -1
		}
		return shortest * t.Min, longest * t.Max
	case syntax.OpConcat:
		for _, part := range t.Sub {
			low, high := lengths(part)
			shortest += low
			if high < 0 || longest < 0 {
				longest = -1
			} else {
				longest += high
			}
		}
		return shortest, longest
	case syntax.OpAlternate:
		shortest, longest = lengths(t.Sub[0])
		for _, part := range t.Sub[1:] {
			low, high := lengths(part)
			shortest = min(shortest, low)
			if high < 0 || longest < 0 {
				longest = -1
			} else {
				longest = max(longest, high)
			}
		}
		return shortest, longest
	}
	return 0, 0 // matches between characters, or nothing
}

// matching writes strings that a pattern probably matches, with each of its
// alternatives, and with up to most repetitions more than needed. The caller must
// check them.
func matching(pattern string, most int) []string {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	var texts []string
	for extra := range most + 1 {
		for pick := range 3 {
			text := string(write(nil, tree, extra, pick))
			if !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// maxWritten bounds the length of such a string, in characters.
const maxWritten = 5000

func write(out []rune, t *syntax.Regexp, extra, pick int) []rune {
	if len(out) > maxWritten {
		return out
	}
	repeat := func(times int) []rune {
		for range min(times, maxWritten) {
			out = write(out, t.Sub[0], extra, pick)
			if len(out) > maxWritten {
				break
			}
		}
		return out
	}
	switch t.Op {
	case syntax.OpLiteral:
		return append(out, t.Rune...)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return append(out, 'a'+rune(pick)) //nolint:gosec // a letter
	case syntax.OpCharClass:
		if len(t.Rune) == 0 {
			return out
		}
		return append(out, member(t.Rune, pick))
	case syntax.OpCapture:
		return write(out, t.Sub[0], extra, pick)
	case syntax.OpStar:
		return repeat(extra)
	case syntax.OpPlus:
		return repeat(1 + extra)
	case syntax.OpQuest:
		return repeat(min(extra, 1))
	case syntax.OpRepeat:
		times := t.Min + extra
		if t.Max >= 0 {
			times = min(times, t.Max)
		}
		return repeat(times)
	case syntax.OpConcat:
		for _, part := range t.Sub {
			out = write(out, part, extra, pick)
		}
		return out
	case syntax.OpAlternate:
		return write(out, t.Sub[pick%len(t.Sub)], extra, pick)
	}
	return out
}

// member picks a character of a class: a readable one if there is any.
func member(ranges []rune, pick int) rune {
	var choices []rune
	for i := 0; i+1 < len(ranges); i += 2 {
		low, high := max(ranges[i], ' '), min(ranges[i+1], '~')
		for r := low; r <= high && len(choices) < 200; r++ {
			choices = append(choices, r)
		}
	}
	if len(choices) == 0 {
		return ranges[0]
	}
	at := 0
	for i, r := range choices {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			at = i
			break
		}
	}
	return choices[(at+pick)%len(choices)]
}
