package ecma

import (
	"fmt"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// escape translates an escape outside a class.
func (p *parser) escape() (repeatable bool, err error) {
	if p.at+1 == len(p.in) {
		return false, fmt.Errorf("it ends inside an escape")
	}
	switch c := p.in[p.at+1]; {
	case c == 'b' || c == 'B':
		p.at += 2
		p.write(`\` + string(c))
		return false, nil
	case c >= '1' && c <= '9':
		return true, p.backReference()
	case c == 'k':
		p.at += 2
		name, ok := "", p.take("<")
		if ok {
			name, ok = p.until('>')
		}
		if !ok {
			return false, fmt.Errorf("\\k at character %d needs the name of a group, as in \\k<name>", p.at-1)
		}
		p.named[name] = true
		p.beyond("the back reference \\k<"+name+">", backAdvice)
		return true, nil
	}
	if chars, ok, err := p.classEscape(); ok || err != nil {
		p.writeSet(chars, false)
		return true, err
	}
	r, err := p.characterEscape()
	if err != nil {
		return false, err
	}
	if isSurrogate(r) {
		p.writeSet(nil, false)
		return true, nil
	}
	p.literal(r)
	return true, nil
}

const backAdvice = "write out the alternatives, or check the two parts as members of their own"

func (p *parser) backReference() error {
	from := p.at + 1
	for p.at++; p.at < len(p.in) && p.in[p.at] >= '0' && p.in[p.at] <= '9'; {
		p.at++
	}
	text := string(p.in[from:p.at])
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("\\%s refers to a group that is not there", text)
	}
	if p.number = max(p.number, n); p.limit == nil {
		p.beyond("the back reference \\"+text, backAdvice)
	}
	return nil
}

// controls are the escapes of one letter.
var controls = map[rune]rune{'t': '\t', 'n': '\n', 'v': '\v', 'f': '\f', 'r': '\r'}

// characterEscape reads an escape that stands for one character.
func (p *parser) characterEscape() (rune, error) {
	start := p.at
	p.at++
	if p.at == len(p.in) {
		return 0, fmt.Errorf("it ends inside an escape")
	}
	c := p.in[p.at]
	p.at++
	if r, ok := controls[c]; ok {
		return r, nil
	}
	switch {
	case c == '0' && (p.peek() < '0' || p.peek() > '9'):
		return 0, nil
	case c == 'c' && isASCIILetter(p.peek()):
		p.at++
		return p.in[p.at-1] % 32, nil
	case c == 'x':
		if r, ok := p.hex(2); ok {
			return r, nil
		}
	case c == 'u':
		if r, ok := p.unicodeEscape(); ok {
			return r, nil
		}
	case c < utf8.RuneSelf && !isASCIILetter(c) && (c < '0' || c > '9'), c >= utf8.RuneSelf:
		return c, nil // itself
	}
	return 0, fmt.Errorf("ECMA 262 has no escape %s", string(p.in[start:p.at]))
}

func isASCIILetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

func isSurrogate(r rune) bool { return utf16.IsSurrogate(r) }

// hex reads n hexadecimal digits.
func (p *parser) hex(n int) (rune, bool) {
	if p.at+n > len(p.in) {
		return 0, false
	}
	value, err := strconv.ParseUint(string(p.in[p.at:p.at+n]), 16, 32)
	if err != nil {
		return 0, false
	}
	p.at += n
	return rune(value), true //nolint:gosec // at most eight digits of a rune
}

// unicodeEscape reads what follows \u: four digits, two such escapes for the halves of
// one character, or digits in braces.
func (p *parser) unicodeEscape() (rune, bool) {
	if p.take("{") {
		digits, ok := p.until('}')
		value, err := strconv.ParseUint(digits, 16, 32)
		if !ok || err != nil || value > utf8.MaxRune {
			return 0, false
		}
		return p.half(rune(value)), true
	}
	first, ok := p.hex(4)
	if !ok || !isSurrogate(first) {
		return first, ok
	}
	back := p.at
	if p.take(`\u`) {
		if second, ok := p.hex(4); ok {
			if r := utf16.DecodeRune(first, second); r != unicode.ReplacementChar {
				return r, true
			}
		}
	}
	p.at = back
	return p.half(first), true
}

// half notes a half of a character.
func (p *parser) half(r rune) rune {
	if isSurrogate(r) {
		p.note(fmt.Sprintf("has the surrogate \\u%X alone, which no text matches: write whole characters, as in \\u{1F600}", r))
	}
	return r
}

// scripts are the short names of common scripts, which Go's tables lack.
var scripts = map[string]string{
	"Arab": "Arabic", "Armn": "Armenian", "Beng": "Bengali", "Cyrl": "Cyrillic", "Deva": "Devanagari", "Ethi": "Ethiopic",
	"Geor": "Georgian", "Grek": "Greek", "Gujr": "Gujarati", "Guru": "Gurmukhi", "Hang": "Hangul", "Hani": "Han",
	"Hebr": "Hebrew", "Hira": "Hiragana", "Kana": "Katakana", "Khmr": "Khmer", "Knda": "Kannada", "Laoo": "Lao",
	"Latn": "Latin", "Mlym": "Malayalam", "Mong": "Mongolian", "Mymr": "Myanmar", "Sinh": "Sinhala", "Taml": "Tamil",
	"Telu": "Telugu", "Tibt": "Tibetan", "Zyyy": "Common", "Zinh": "Inherited",
}

// derived are properties that ECMA 262 has and Go's tables have in parts.
var derived = map[string][]string{
	"Alphabetic": {"L", "Nl", "Other_Alphabetic"}, "Alpha": {"L", "Nl", "Other_Alphabetic"},
	"Lowercase": {"Ll", "Other_Lowercase"}, "Lower": {"Ll", "Other_Lowercase"},
	"Uppercase": {"Lu", "Other_Uppercase"}, "Upper": {"Lu", "Other_Uppercase"},
	"Math": {"Sm", "Other_Math"}, "space": {"White_Space"},
}

// property reads what follows \p: a name in braces.
func (p *parser) property() (set, error) {
	start := p.at
	text, ok := "", p.take("{")
	if ok {
		text, ok = p.until('}')
	}
	if !ok {
		return nil, fmt.Errorf("\\p at character %d needs a property in braces, as in \\p{Letter}", start-1)
	}
	if p.known[text] {
		return nil, nil
	}
	p.known[text] = p.checkOnly
	name, value, hasValue := strings.Cut(text, "=")
	switch {
	case !hasValue:
		value = name
	case name == "Script" || name == "sc":
		if long, ok := scripts[value]; ok {
			value = long
		}
		if unicode.Scripts[value] == nil {
			return nil, fmt.Errorf("there is no script %s", value)
		}
	case name == "Script_Extensions" || name == "scx":
		p.beyond("the property \\p{"+text+"}", "write \\p{Script="+value+"}")
		return nil, nil
	case name != "General_Category" && name != "gc":
		return nil, fmt.Errorf("there is no property %s", name)
	}
	var chars set
	parts, ok := derived[value]
	if !ok {
		parts = []string{value}
	}
	for _, part := range parts {
		if table, ok := unicode.Properties[part]; ok && !hasValue {
			chars = append(chars, ofTable(table)...)
		} else if class, ok := ofClass(part); ok && (hasValue || unicode.Scripts[part] == nil) {
			chars = append(chars, class...)
		} else if isBinaryProperty(value) && !hasValue {
			p.beyond("the property \\p{"+text+"}", "write the characters meant as a class")
			return nil, nil
		} else {
			return nil, fmt.Errorf("there is no property %s; a script is written \\p{Script=…}", text)
		}
	}
	return chars, nil
}

// isBinaryProperty reports whether ECMA 262 (§22.2.1.9, table 67) has a property that
// Go's tables lack.
func isBinaryProperty(name string) bool {
	for _, prefix := range []string{
		"Emoji", "Extended_Pictographic", "ID_", "IDS", "IDC", "XID", "Cased", "Case_Ignorable", "CI", "Changes_When_", "CW",
		"Default_Ignorable_Code_Point", "DI", "Bidi_", "Grapheme_", "Gr_", "Ext", "EPres", "EMod", "EBase", "EComp",
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// ofClass is a class that Go's regexp knows by name.
func ofClass(name string) (set, bool) {
	tree, err := syntax.Parse(`\p{`+name+`}`, syntax.Perl)
	if err != nil {
		return nil, false
	}
	if tree.Op == syntax.OpAnyChar {
		return everything, true
	}
	if tree.Op == syntax.OpLiteral { // a class of one
		return set{tree.Rune[0], tree.Rune[0]}, true
	}
	return set(tree.Rune), tree.Op == syntax.OpCharClass
}

func ofTable(table *unicode.RangeTable) set {
	var chars set
	for _, each := range table.R16 {
		for r := rune(each.Lo); r <= rune(each.Hi); r += rune(each.Stride) {
			chars = chars.with(r, r)
		}
	}
	for _, each := range table.R32 {
		for r := rune(each.Lo); r <= rune(each.Hi); r += rune(each.Stride) { //nolint:gosec // tables of runes
			chars = chars.with(r, r)
		}
	}
	return chars
}
