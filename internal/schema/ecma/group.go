package ecma

import (
	"fmt"
	"strings"
)

const lookAdvice = "write a positive one as a further pattern under \"allOf\", a negative one as \"not\": {\"pattern\": …}"

// group translates what starts with "(".
func (p *parser) group() (repeatable bool, err error) {
	start := p.at
	if p.depth++; p.depth > maxDepth {
		return false, fmt.Errorf("groups are nested more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	repeatable = true
	dotAll := p.dotAll
	switch {
	case p.take("(?:"):
		p.write("(?:")
	case p.take("(?="):
		p.beyond("the look-ahead (?=", lookAdvice)
	case p.take("(?!"):
		p.beyond("the look-ahead (?!", lookAdvice)
	case p.take("(?<="):
		repeatable = false
		p.beyond("the look-behind (?<=", lookAdvice)
	case p.take("(?<!"):
		repeatable = false
		p.beyond("the look-behind (?<!", lookAdvice)
	case p.take("(?<"):
		name, ok := p.until('>')
		if !ok || !isGroupName(name) || p.isTaken(name) {
			return false, fmt.Errorf("the group at character %d needs a name of its own, as in (?<name>…)", start+1)
		}
		p.names[name] = start
		p.groups++
		p.write("(?:")
	case p.take("(?"):
		if err := p.modifiers(start); err != nil {
			return false, err
		}
	default:
		p.at++
		p.groups++
		p.write("(?:")
	}
	if err := p.alternatives(); err != nil {
		return false, err
	}
	if !p.take(")") {
		return false, fmt.Errorf("\"(\" at character %d is not closed", start+1)
	}
	p.dotAll = dotAll
	p.write(")")
	return repeatable, nil
}

// until reads up to a character, and consumes that, too.
func (p *parser) until(end rune) (string, bool) {
	for i := p.at; i < len(p.in); i++ {
		if p.in[i] == end {
			text := string(p.in[p.at:i])
			p.at = i + 1
			return text, true
		}
	}
	return "", false
}

// modifiers translates a group such as (?i:…) (ECMA 262 of 2025).
func (p *parser) modifiers(start int) error {
	flags, ok := p.until(':')
	on, off, _ := strings.Cut(flags, "-")
	if !ok || flags == "" || flags == "-" || strings.Trim(on+off, "ims") != "" || hasTwice(on+off) {
		return fmt.Errorf("ECMA 262 has no group like the one at character %d", start+1)
	}
	if strings.Contains(on+off, "m") {
		p.beyond("the modifier m", "match the lines with (?:^|\\n) and (?:\\n|$)")
	}
	if strings.Contains(on, "s") {
		p.dotAll = true
	} else if strings.Contains(off, "s") {
		p.dotAll = false
	}
	switch {
	case strings.Contains(on, "i"):
		p.write("(?i:")
	case strings.Contains(off, "i"):
		p.write("(?-i:")
	default:
		p.write("(?:")
	}
	return nil
}

func hasTwice(s string) bool {
	for i := range s {
		if strings.IndexByte(s[i+1:], s[i]) >= 0 {
			return true
		}
	}
	return false
}

func isGroupName(name string) bool {
	for i, r := range name {
		if r != '$' && r != '_' && !isLetter(r) && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// braces reads {n}, {n,} or {n,m}, if that is next, without consuming it.
func (p *parser) braces() (text string, ordered, ok bool) {
	if p.peek() != '{' {
		return "", false, false
	}
	i := p.at + 1
	number := func() string {
		from := i
		for i < len(p.in) && p.in[i] >= '0' && p.in[i] <= '9' {
			i++
		}
		return strings.TrimLeft(string(p.in[from:i-1]), "0") + string(p.in[i-1])
	}
	if i >= len(p.in) || p.in[i] < '0' || p.in[i] > '9' {
		return "", false, false
	}
	low := number()
	text, ordered = "{"+low, true
	if i < len(p.in) && p.in[i] == ',' {
		i++
		text += ","
		if i < len(p.in) && p.in[i] >= '0' && p.in[i] <= '9' {
			high := number()
			text += high
			ordered = len(low) < len(high) || len(low) == len(high) && low <= high
		}
	}
	if i >= len(p.in) || p.in[i] != '}' {
		return "", false, false
	}
	return text + "}", ordered, true
}

// quantifier translates what repeats the term before it, if anything does.
func (p *parser) quantifier(repeatable bool) error {
	start := p.at
	switch c := p.peek(); {
	case p.at == len(p.in):
		return nil
	case c == '*' || c == '+' || c == '?':
		p.at++
		p.write(string(c))
	case c == '{':
		text, ordered, ok := p.braces()
		if !ok {
			return nil
		}
		if !ordered {
			return fmt.Errorf("the repetition %s is out of order", text)
		}
		_, _ = p.until('}')
		p.write(text)
	default:
		return nil
	}
	if !repeatable {
		return fmt.Errorf("%q at character %d repeats nothing", p.in[start], start+1)
	}
	if p.take("?") {
		p.write("?")
	}
	if _, _, isBraces := p.braces(); isBraces || p.at < len(p.in) && strings.ContainsRune("*+?", p.peek()) {
		return fmt.Errorf("%q at character %d repeats a repetition", p.peek(), p.at+1)
	}
	return nil
}
