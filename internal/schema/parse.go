package schema

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits of the strict parse (design section 5, malformed-json).
const (
	maxDepth        = 64   // nested arrays and objects; recursion in validation follows it
	maxNumberLength = 1000 // characters; the validator's big rationals are quadratic in it
	maxExponent     = 400  // beyond a float64's range; the validator panics on far larger ones
)

// The validator writes out the path of every value it visits: 10,000 items under
// a member name of 900 kB would make it copy 9 GB. So the paths of all values
// together may be this many times the data, and never less than pathFloor. Real
// data stay below 10 times.
const (
	maxPathFactor = 64
	pathFloor     = 1 << 20
)

// Limits of what a parser keeps between two uses, so that one large event does
// not leave its memory behind in the pool for ever.
const (
	keptMaps   = 32
	keptMapLen = 64
	keptItems  = 256
)

// parser turns JSON text into the tree of Go values that jsonschema takes:
// map[string]any, []any, string, json.Number, bool and nil. (An int64 for small
// integers was measured and is no faster there.) It owns the tree: release takes
// it back.
type parser struct {
	in    bytes.Buffer
	dec   *jsontext.Decoder
	data  []byte
	text  string // data once more; the tree's strings are slices of it
	pos   int    // end of the last token
	maps  []map[string]any
	used  int   // maps in use
	paths int   // bytes that the paths of all values may still take
	stack []any // items of the arrays that are still open
	items []any // items of finished arrays
	quote []byte
}

var parsers = sync.Pool{New: func() any {
	p := &parser{items: make([]any, 0, keptItems)}
	p.dec = jsontext.NewDecoder(&p.in)
	return p
}}

// parse reads data, which must be one strict JSON value. The tree is valid
// until the parser is released. The error is a *syntaxError.
func parse(data []byte) (any, *parser, error) {
	p := parsers.Get().(*parser)
	p.in = *bytes.NewBuffer(data) // the decoder reads in place and never writes
	p.dec.Reset(&p.in)
	p.data, p.text, p.pos = data, string(data), 0
	p.paths = maxPathFactor*len(data) + pathFloor
	tree, err := p.document()
	if err != nil {
		p.release()
		return nil, nil, err
	}
	return tree, p, nil
}

// release gives the parser and its tree back to the pool.
func (p *parser) release() {
	for i := range p.used {
		if len(p.maps[i]) > keptMapLen {
			p.maps[i] = make(map[string]any)
			continue
		}
		clear(p.maps[i])
	}
	if len(p.maps) > keptMaps {
		clear(p.maps[keptMaps:])
		p.maps = p.maps[:keptMaps]
	}
	p.used = 0
	clear(p.stack) // not empty only after an error
	p.stack = p.stack[:0]
	if cap(p.stack) > keptItems {
		p.stack = nil
	}
	clear(p.items)
	p.items = p.items[:0]
	if cap(p.quote) > keptItems {
		p.quote = nil
	}
	p.data, p.text = nil, ""
	p.in = bytes.Buffer{}
	p.dec.Reset(&p.in)
	parsers.Put(p)
}

func (p *parser) document() (any, error) {
	if len(bytes.TrimLeft(p.data, " \t\r\n")) == 0 {
		return nil, p.errorAt(0, "", "the data is empty; send one JSON value")
	}
	if bytes.HasPrefix(p.data, []byte("\xef\xbb\xbf")) {
		return nil, p.errorAt(0, "", "the data starts with a byte order mark (EF BB BF); send UTF-8 without one")
	}
	kind, start, err := p.next()
	if err != nil {
		return nil, err
	}
	tree, err := p.value(kind, start, 0, 0)
	if err != nil {
		return nil, err
	}
	if rest := bytes.TrimLeft(p.data[p.pos:], " \t\r\n"); len(rest) > 0 {
		return nil, p.errorAt(len(p.data)-len(rest), "", "more data follows the JSON value; send exactly one")
	}
	return tree, nil
}

// next reads one token and returns its kind and where it starts; it ends at p.pos.
func (p *parser) next() (jsontext.Kind, int, error) {
	token, err := p.dec.ReadToken()
	if err != nil {
		return 0, 0, p.syntax(err)
	}
	start := p.pos
	for {
		switch p.data[start] {
		case ' ', '\t', '\r', '\n', ',', ':':
			start++
			continue
		}
		break
	}
	p.pos = int(p.dec.InputOffset())
	return token.Kind(), start, nil
}

// value reads the value that starts with a token, at a depth and under a path
// of so many bytes.
func (p *parser) value(kind jsontext.Kind, start, depth, path int) (any, error) {
	if p.paths -= path; p.paths < 0 {
		return nil, p.errorAt(start, "", "the member names on the way to the values are too long")
	}
	switch kind {
	case jsontext.KindString:
		return p.string(start)
	case jsontext.KindNumber:
		return p.number(start)
	case jsontext.KindTrue:
		return true, nil
	case jsontext.KindFalse:
		return false, nil
	case jsontext.KindNull:
		return nil, nil
	}
	if depth == maxDepth {
		return nil, p.errorAt(start, string(p.dec.StackPointer()), "arrays and objects are nested more than %d deep", maxDepth)
	}
	if kind == jsontext.KindBeginArray {
		return p.array(depth+1, path)
	}
	return p.object(depth+1, path)
}

func (p *parser) object(depth, path int) (any, error) {
	m := p.newMap()
	for {
		kind, start, err := p.next()
		if err != nil {
			return nil, err
		}
		if kind == jsontext.KindEndObject {
			return m, nil
		}
		name, err := p.string(start)
		if err != nil {
			return nil, err
		}
		if kind, start, err = p.next(); err != nil {
			return nil, err
		}
		value, err := p.value(kind, start, depth, path+1+len(name))
		if err != nil {
			return nil, err
		}
		m[name] = value
	}
}

func (p *parser) array(depth, path int) (any, error) {
	base := len(p.stack)
	for {
		kind, start, err := p.next()
		if err != nil {
			return nil, err
		}
		if kind == jsontext.KindEndArray {
			break
		}
		value, err := p.value(kind, start, depth, path+2)
		if err != nil {
			return nil, err
		}
		p.stack = append(p.stack, value)
	}
	finished := p.keep(p.stack[base:])
	clear(p.stack[base:])
	p.stack = p.stack[:base]
	return finished, nil
}

// keep copies the items of a finished array to where they stay until release.
func (p *parser) keep(open []any) []any {
	at, n := len(p.items), len(open)
	if at+n > cap(p.items) {
		return append(make([]any, 0, n), open...)
	}
	p.items = append(p.items, open...)
	return p.items[at : at+n : at+n]
}

func (p *parser) newMap() map[string]any {
	if p.used == len(p.maps) {
		p.maps = append(p.maps, make(map[string]any))
	}
	p.used++
	return p.maps[p.used-1]
}

func (p *parser) string(start int) (string, error) {
	raw := p.text[start:p.pos]
	if strings.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	var err error
	if p.quote, err = jsontext.AppendUnquote(p.quote[:0], raw); err != nil {
		return "", p.syntax(err) // cannot be: the decoder has accepted it
	}
	return string(p.quote), nil
}

func (p *parser) number(start int) (any, error) {
	raw := p.text[start:p.pos]
	if len(raw) > maxNumberLength {
		return nil, p.errorAt(start, string(p.dec.StackPointer()), "a number has %d characters; %d are allowed", len(raw), maxNumberLength)
	}
	if !exponentInRange(raw) {
		return nil, p.errorAt(start, string(p.dec.StackPointer()), "a number's exponent is beyond ±%d", maxExponent)
	}
	return json.Number(raw), nil
}

// exponentInRange reports whether a JSON number has no exponent or one within
// ±maxExponent.
func exponentInRange(raw string) bool {
	at := strings.IndexAny(raw, "eE")
	if at < 0 {
		return true
	}
	digits := strings.TrimLeft(raw[at+1:], "+-")
	n := 0
	for i := range len(digits) {
		n = n*10 + int(digits[i]-'0')
		if n > maxExponent {
			return false
		}
	}
	return true
}
