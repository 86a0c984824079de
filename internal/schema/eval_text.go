package schema

import (
	"reflect"
	"regexp"
	"regexp/syntax"
	"strings"
)

// pattern is a regular expression and what it costs.
type pattern struct {
	*regexp.Regexp
	sequence     sequence // the same, if it is that simple; or nil
	unitsPerByte int
}

// RE2 looks at each byte once, but may follow all alternatives at the same time: up to 6.5
// ns for each instruction and byte. Where it never has to follow two, it takes
// 10 ns for a byte.
func newPattern(re *regexp.Regexp) *pattern {
	p := &pattern{Regexp: re, unitsPerByte: 1}
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return p // cannot be: it has been compiled
	}
	if p.sequence = newSequence(tree); p.sequence != nil || isOnePass(re) {
		return p
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return p // cannot be
	}
	p.unitsPerByte += len(prog.Inst) * 2 / 3
	return p
}

// isOnePass reports whether Go's regexp has found that it need never follow more than one
// alternative. The package does not export that; if it were gone, patterns would be taken
// for more expensive than they are, and a test would show it.
func isOnePass(re *regexp.Regexp) bool {
	field := reflect.ValueOf(re).Elem().FieldByName("onepass")
	return field.IsValid() && field.Kind() == reflect.Pointer && !field.IsNil()
}

// matchUnits is the price of matching so many bytes.
func (p *pattern) matchUnits(bytes int) int { return 10 + bytes*p.unitsPerByte }

func (p *pattern) matches(text string) bool {
	if p.sequence != nil {
		return p.sequence.matches(text)
	}
	return p.MatchString(text)
}

func (p *pattern) decide(r *run, text string) verdict {
	return r.once(textKey{p, text}, p.matchUnits(len(text)), func() bool { return p.matches(text) })
}

// boundedFormat is a format and what it costs.
type boundedFormat struct {
	check func(any) bool
	regex bool
}

func newBoundedFormat(name string, check func(any) bool) *boundedFormat {
	return &boundedFormat{check: check, regex: name == "regex"}
}

// nameFormat is that of the names under "patternProperties" in the metaschema of draft 4.
var nameFormat = newBoundedFormat("regex", isRegex)

// formatUnits is the price of checking a text.
func (f *boundedFormat) formatUnits(text string) int {
	if f.regex {
		return regexUnits(text)
	}
	return 10 + len(text)
}

func (f *boundedFormat) decide(r *run, text string) verdict {
	return r.once(textKey{f, text}, f.formatUnits(text), func() bool { return f.check(text) })
}

// textKey is a pattern or format and a text that it was applied to.
type textKey struct {
	by   any
	text string
}

// longText is from which length on verdicts about texts are remembered: an explanation
// needs them more than once.
const longText = 1 << 10

// once decides about a text, and about a long one only once.
func (r *run) once(key textKey, units int, decide func() bool) verdict {
	if len(key.text) < longText {
		if !r.spend(units) {
			return ask
		}
		return verdictOf(decide())
	}
	if known, ok := r.texts[key]; ok {
		r.spend(len(key.text) >> 5)
		return known
	}
	if !r.spend(units) {
		return ask
	}
	if r.texts == nil {
		r.texts = map[textKey]verdict{}
	}
	r.texts[key] = verdictOf(decide())
	return r.texts[key]
}

// regexUnits is the price of parsing a regular expression. Classes of Unicode are tables
// of hundreds of ranges; a class that ignores case looks at all its characters, which may
// be a million.
func regexUnits(text string) int {
	units := 100 + 40*len(text)
	if strings.Contains(text, `\p`) || strings.Contains(text, `\P`) {
		units += 300 * len(text)
	}
	if strings.Contains(text, "(?") && strings.Contains(text, "i") {
		units += 150_000 * strings.Count(text, "[")
	}
	return units
}

// isRegex reports whether Go's regexp reads the text. Unlike the library's check it only
// parses: compiling writes out repetitions, and 21 kB could take a second and 370 MB.
func isRegex(v any) bool {
	text, ok := v.(string)
	if !ok {
		return true
	}
	_, err := syntax.Parse(text, syntax.Perl)
	return err == nil
}
