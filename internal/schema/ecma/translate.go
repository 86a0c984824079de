package ecma

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"sort"
	"strings"
)

// Limit is the error of an expression that is right and that RE2 cannot express.
type Limit struct {
	What   string // what is in it: "the look-ahead (?!"
	Advice string // what to write instead
}

// Error implements error.
func (e *Limit) Error() string {
	return fmt.Sprintf("%s is beyond the gateway's regular expressions, which are RE2's; %s", e.What, e.Advice)
}

// Invalid is the error of an expression that neither ECMA 262 nor RE2 has.
type Invalid struct{ What string }

// Error implements error.
func (e *Invalid) Error() string { return "is not a regular expression: " + e.What }

// Valid reports whether an expression is one of ECMA 262, whether RE2 can express it or
// not.
// The work is linear: such expressions come from strangers.
func Valid(expression string) bool {
	p := newParser(expression)
	p.checkOnly = true
	return p.parse() == nil
}

// Translate writes an expression for Go's package regexp. The notes say what other
// validators read differently. The error is a *Limit or an *Invalid.
func Translate(expression string) (re2 string, notes []string, err error) {
	p := newParser(expression)
	if err := p.parse(); err != nil {
		if _, compiled := regexp.Compile(expression); compiled == nil {
			return expression, []string{fmt.Sprintf("is RE2's and not ECMA 262's (%v): other validators refuse it or read it differently", err)}, nil
		}
		return "", nil, &Invalid{err.Error()}
	}
	if p.limit != nil {
		return "", nil, p.limit
	}
	re2 = p.out.String()
	if _, err := regexp.Compile(re2); err != nil {
		return "", nil, limitOf(err)
	}
	if class := posixClass.FindStringSubmatch(expression); class != nil {
		p.notes = append(p.notes, "has "+class[1]+", in which ECMA 262 sees single characters and not a class of that name: write a range such as a-z, or \\p{…}")
	}
	return re2, p.notes, nil
}

// posixClass finds a POSIX class inside a class, which is one to RE2 but not to ECMA 262.
var posixClass = regexp.MustCompile(`\[[^\]]*(\[:\^?(?:alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit):\])`)

// limitOf words what RE2 says about a translation.
func limitOf(err error) error {
	var failed *syntax.Error
	if !errors.As(err, &failed) {
		return &Invalid{err.Error()}
	}
	switch failed.Code {
	case syntax.ErrInvalidRepeatSize:
		return &Limit{
			fmt.Sprintf("the repetition %s", failed.Expr),
			"a part may be repeated 1000 times, repetitions inside it included: " +
				"bound the length with minLength and maxLength, or write the part twice, as in .{1000}.{0,24}",
		}
	case syntax.ErrLarge, syntax.ErrNestingDepth:
		return &Limit{"its size", "write it shorter, or as several patterns under \"allOf\""}
	}
	return &Invalid{failed.Error()}
}

// Compile is Translate and regexp.Compile.
func Compile(expression string) (*regexp.Regexp, error) {
	re2, _, err := Translate(expression)
	if err != nil {
		return nil, err
	}
	return regexp.Compile(re2)
}

// parser is a recursive descent over the grammar of ECMA 262 §22.2.1, with the
// tolerance of its annex B.1.2 for what real schemas have: escaped punctuation, and
// braces and brackets that stand for themselves.
type parser struct {
	in        []rune
	at        int
	depth     int
	checkOnly bool // nothing is translated
	out       strings.Builder
	dotAll    bool
	groups    int
	open      []openGroup     // around the present character, the whole expression first
	names     map[string]int  // where the last group of a name starts
	known     map[string]bool // properties that were looked up, checkOnly
	number    int             // the highest back reference
	named     map[string]bool // back references
	limit     *Limit          // the first
	notes     []string
}

// openGroup is where a group starts, and its last "|" so far.
type openGroup struct{ start, bar int }

// maxDepth bounds nested groups; RE2's own bound is 1000.
const maxDepth = 1000

func newParser(expression string) *parser {
	return &parser{in: []rune(expression), names: make(map[string]int), named: make(map[string]bool), known: make(map[string]bool)}
}

func (p *parser) parse() error {
	if err := p.alternatives(); err != nil {
		return err
	}
	if p.at < len(p.in) {
		return fmt.Errorf("\")\" at character %d closes nothing", p.at+1)
	}
	if p.number > p.groups {
		return fmt.Errorf("\\%d refers to a group that is not there", p.number)
	}
	for name := range p.named {
		if _, ok := p.names[name]; !ok {
			return fmt.Errorf("\\k<%s> refers to a group that is not there", name)
		}
	}
	return nil
}

func (p *parser) beyond(what, advice string) {
	if p.limit == nil {
		p.limit = &Limit{what, advice}
	}
}

func (p *parser) note(text string) {
	if !p.checkOnly && !slices.Contains(p.notes, text) {
		p.notes = append(p.notes, text)
	}
}

// peek is the next character, 0 at the end.
func (p *parser) peek() rune {
	if p.at < len(p.in) {
		return p.in[p.at]
	}
	return 0
}

// take consumes text if it is next.
func (p *parser) take(text string) bool {
	runes := []rune(text)
	if p.at+len(runes) > len(p.in) || string(p.in[p.at:p.at+len(runes)]) != text {
		return false
	}
	p.at += len(runes)
	return true
}

func (p *parser) alternatives() error {
	p.open = append(p.open, openGroup{p.at, -1})
	defer func() { p.open = p.open[:len(p.open)-1] }()
	for {
		if err := p.alternative(); err != nil {
			return err
		}
		p.open[len(p.open)-1].bar = p.at
		if !p.take("|") {
			return nil
		}
		p.write("|")
	}
}

// isTaken reports whether a group of the same name stands before this one, and not in
// another alternative: no "|" is between them in the innermost group around both.
func (p *parser) isTaken(name string) bool {
	before, ok := p.names[name]
	if !ok {
		return false
	}
	around := sort.Search(len(p.open), func(i int) bool { return p.open[i].start > before }) - 1
	return p.open[around].bar < before
}

func (p *parser) alternative() error {
	for p.at < len(p.in) && p.peek() != '|' && p.peek() != ')' {
		repeatable, err := p.term()
		if err != nil {
			return err
		}
		if err := p.quantifier(repeatable); err != nil {
			return err
		}
	}
	return nil
}

// write adds to the translation.
func (p *parser) write(re2 string) {
	if !p.checkOnly {
		p.out.WriteString(re2)
	}
}

// writeSet adds a class, or its opposite.
func (p *parser) writeSet(chars set, negated bool) {
	switch {
	case p.checkOnly:
	case negated:
		p.out.WriteString(chars.complement().text())
	default:
		p.out.WriteString(chars.text())
	}
}

// term translates one assertion or atom, and says whether it may be repeated.
func (p *parser) term() (repeatable bool, err error) {
	switch c := p.peek(); c {
	case '^', '$':
		p.at++
		p.write(string(c))
		return false, nil
	case '(':
		return p.group()
	case '.':
		p.at++
		if p.dotAll {
			p.writeSet(everything, false)
		} else {
			p.writeSet(lineTerminators, true)
		}
		return true, nil
	case '[':
		return true, p.class()
	case '\\':
		return p.escape()
	case '*', '+', '?':
		return false, fmt.Errorf("%q at character %d repeats nothing", c, p.at+1)
	case '{':
		if _, _, ok := p.braces(); ok {
			return false, fmt.Errorf("\"{\" at character %d repeats nothing", p.at+1)
		}
	}
	p.literal(p.in[p.at])
	p.at++
	return true, nil
}

func (p *parser) literal(r rune) {
	if !p.checkOnly {
		p.out.WriteString(regexp.QuoteMeta(string(r)))
	}
}
