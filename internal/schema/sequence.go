package schema

import (
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

// sequence is a pattern of the usual form, such as ^[A-Z]{3}-[0-9]+$: from beginning to
// end one class of characters after the other, each repeated so often. If a class that
// may repeat has no character in common with what may follow it, there is only one way to
// read a text, and no regular expression is needed.
type sequence []repeated

// repeated is a class of characters and how often it repeats.
type repeated struct {
	ascii    [4]uint32 // a bit for each character below 128
	ranges   []rune    // pairs, all characters
	min, max int       // -1: no limit
}

// newSequence returns nil if an expression is not of that form.
func newSequence(tree *syntax.Regexp) sequence {
	if tree.Op != syntax.OpConcat || len(tree.Sub) < 3 {
		return nil
	}
	last := len(tree.Sub) - 1
	if tree.Sub[0].Op != syntax.OpBeginText || tree.Sub[last].Op != syntax.OpEndText {
		return nil
	}
	var s sequence
	for _, each := range tree.Sub[1:last] {
		if s = s.add(each); s == nil {
			return nil
		}
	}
	for i := range s {
		if !s.certain(i) {
			return nil
		}
	}
	return s
}

// add appends the classes of one part of an expression; nil if it has other parts.
func (s sequence) add(part *syntax.Regexp) sequence {
	var least, most int
	switch part.Op {
	case syntax.OpLiteral:
		if part.Flags&syntax.FoldCase != 0 {
			return nil
		}
		for _, r := range part.Rune {
			s = append(s, newRepeated([]rune{r, r}, 1, 1))
		}
		return s
	case syntax.OpStar:
		least, most = 0, -1
	case syntax.OpPlus:
		least, most = 1, -1
	case syntax.OpQuest:
		least, most = 0, 1
	case syntax.OpRepeat:
		least, most = part.Min, part.Max
	default:
		if ranges := classOf(part); ranges != nil {
			return append(s, newRepeated(ranges, 1, 1))
		}
		return nil
	}
	if ranges := classOf(part.Sub[0]); ranges != nil {
		return append(s, newRepeated(ranges, least, most))
	}
	return nil
}

// classOf are the ranges of an expression that is one character.
func classOf(part *syntax.Regexp) []rune {
	switch {
	case part.Op == syntax.OpCharClass:
		return part.Rune
	case part.Op == syntax.OpAnyChar:
		return []rune{0, unicode.MaxRune}
	case part.Op == syntax.OpAnyCharNotNL:
		return []rune{0, '\n' - 1, '\n' + 1, unicode.MaxRune}
	case part.Op == syntax.OpLiteral && len(part.Rune) == 1 && part.Flags&syntax.FoldCase == 0:
		return []rune{part.Rune[0], part.Rune[0]}
	}
	return nil
}

func newRepeated(ranges []rune, least, most int) repeated {
	c := repeated{ranges: ranges, min: least, max: most}
	for r := range rune(utf8.RuneSelf) {
		if inRanges(ranges, r) {
			c.ascii[r>>5] |= 1 << (r & 31)
		}
	}
	return c
}

func inRanges(ranges []rune, r rune) bool {
	at, _ := slices.BinarySearch(ranges, r) // the first bound that is not below r
	return at < len(ranges) && (at%2 == 1 || ranges[at] == r)
}

func (c *repeated) has(r rune) bool {
	if r < utf8.RuneSelf {
		return c.ascii[r>>5]>>(r&31)&1 == 1
	}
	return inRanges(c.ranges, r)
}

// certain reports whether it is clear where the class at i ends.
func (s sequence) certain(i int) bool {
	if s[i].min == s[i].max {
		return true
	}
	for _, next := range s[i+1:] {
		if overlap(s[i].ranges, next.ranges) {
			return false
		}
		if next.min > 0 {
			return true
		}
	}
	return true
}

func overlap(a, b []rune) bool {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[1] < b[0]:
			a = a[2:]
		case b[1] < a[0]:
			b = b[2:]
		default:
			return true
		}
	}
	return false
}

func (s sequence) matches(text string) bool {
	for i := range s {
		c := &s[i]
		n := 0
		for n != c.max && text != "" {
			r, size := rune(text[0]), 1
			if r >= utf8.RuneSelf {
				r, size = utf8.DecodeRuneInString(text)
			}
			if !c.has(r) {
				break
			}
			n, text = n+1, text[size:]
		}
		if n < c.min {
			return false
		}
	}
	return text == ""
}
