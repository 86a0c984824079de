package ecma

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// set is a set of characters: pairs of a first and a last one, in order.
type set []rune

var (
	everything      = set{0, utf8.MaxRune}
	digitSet        = set{'0', '9'}
	wordSet         = set{'0', '9', 'A', 'Z', '_', '_', 'a', 'z'}
	lineTerminators = set{'\n', '\n', '\r', '\r', 0x2028, 0x2029}
	// spaceSet is WhiteSpace and LineTerminator of ECMA 262 §12.2 and §12.3: more than
	// RE2's \s.
	spaceSet = set{
		'\t', '\r', ' ', ' ', 0xA0, 0xA0, 0x1680, 0x1680, 0x2000, 0x200A, 0x2028, 0x2029, 0x202F, 0x202F,
		0x205F, 0x205F, 0x3000, 0x3000, 0xFEFF, 0xFEFF,
	}
)

// with adds a range.
func (s set) with(low, high rune) set { return append(s, low, high) }

// ordered sorts the ranges and joins those that touch. Surrogates go: they are halves
// of characters, and text has whole ones.
func (s set) ordered() set {
	type span struct{ low, high rune }
	var spans []span
	for i := 0; i+1 < len(s); i += 2 {
		for _, part := range []span{{s[i], min(s[i+1], 0xD7FF)}, {max(s[i], 0xE000), s[i+1]}} {
			if part.low <= part.high {
				spans = append(spans, part)
			}
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return int(a.low - b.low) })
	var out set
	for _, each := range spans {
		if n := len(out); n > 0 && each.low <= out[n-1]+1 {
			out[n-1] = max(out[n-1], each.high)
			continue
		}
		out = append(out, each.low, each.high)
	}
	return out
}

// complement is every other character.
func (s set) complement() set {
	var out set
	next := rune(0)
	for i, all := 0, s.ordered(); i+1 < len(all); i += 2 {
		if all[i] > next {
			out = out.with(next, all[i]-1)
		}
		next = all[i+1] + 1
	}
	if next <= utf8.MaxRune {
		out = out.with(next, utf8.MaxRune)
	}
	return out
}

// text is the set as a class of RE2.
func (s set) text() string {
	all := s.ordered()
	if len(all) == 0 {
		return `[^\x00-\x{10FFFF}]`
	}
	var b strings.Builder
	b.WriteByte('[')
	for i := 0; i+1 < len(all); i += 2 {
		writeRune(&b, all[i])
		if all[i+1] > all[i] {
			b.WriteByte('-')
			writeRune(&b, all[i+1])
		}
	}
	b.WriteByte(']')
	return b.String()
}

func writeRune(b *strings.Builder, r rune) {
	if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
		b.WriteRune(r)
		return
	}
	fmt.Fprintf(b, `\x{%X}`, r)
}

func isLetter(r rune) bool { return unicode.IsLetter(r) }

// class translates what starts with "[".
func (p *parser) class() error {
	start := p.at
	p.at++
	negated := p.take("^")
	var chars set
	for {
		if p.at == len(p.in) {
			return fmt.Errorf("\"[\" at character %d is not closed", start+1)
		}
		if p.take("]") {
			break
		}
		low, one, err := p.classAtom()
		if err != nil {
			return err
		}
		if p.peek() != '-' || p.at+1 >= len(p.in) || p.in[p.at+1] == ']' {
			chars = append(chars, low...)
			continue
		}
		dash := p.at
		p.at++
		high, alsoOne, err := p.classAtom()
		if err != nil {
			return err
		}
		switch {
		case !one || !alsoOne: // [\w-.]: the hyphen stands for itself (annex B.1.2)
			chars = append(append(chars, low...), high...).with('-', '-')
		case low[0] > high[0]:
			return fmt.Errorf("the range at character %d is out of order", dash)
		default:
			chars = chars.with(low[0], high[0])
		}
	}
	p.writeSet(chars, negated)
	return nil
}

// classAtom reads one member of a class; one says that it is a single character.
func (p *parser) classAtom() (chars set, one bool, err error) {
	c := p.in[p.at]
	if c != '\\' {
		p.at++
		return set{c, c}, true, nil
	}
	if p.at+1 < len(p.in) {
		switch p.in[p.at+1] {
		case 'b':
			p.at += 2
			return set{'\b', '\b'}, true, nil
		case '-':
			p.at += 2
			return set{'-', '-'}, true, nil
		}
	}
	if chars, ok, err := p.classEscape(); ok || err != nil {
		return chars, false, err
	}
	r, err := p.characterEscape()
	return set{r, r}, true, err
}

// classEscape reads \d, \w, \s, \p{…} and their opposites.
func (p *parser) classEscape() (chars set, ok bool, err error) {
	if p.at+1 >= len(p.in) {
		return nil, false, nil
	}
	negated := false
	switch c := p.in[p.at+1]; c {
	case 'd', 'D':
		chars, negated = digitSet, c == 'D'
	case 'w', 'W':
		chars, negated = wordSet, c == 'W'
	case 's', 'S':
		chars, negated = spaceSet, c == 'S'
	case 'p', 'P':
		p.at += 2
		chars, err := p.property()
		if c == 'P' && !p.checkOnly {
			chars = chars.complement()
		}
		return chars, true, err
	default:
		return nil, false, nil
	}
	p.at += 2
	switch {
	case p.checkOnly:
		return nil, true, nil
	case negated:
		chars = chars.complement()
	}
	return chars, true, nil
}
