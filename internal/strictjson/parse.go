package strictjson

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits of numbers. They protect the validator, which reckons with big rationals.
const (
	MaxNumberLength = 1000 // characters; the validator's work is quadratic in it
	MaxExponent     = 400  // beyond a float64's range; the validator panics on far larger ones
)

// The validator writes out the path of every value it visits: 10,000 items under
// a member name of 900 kB would make it copy 9 GB. So the paths of all values
// together may be this many times the data, and never less than pathFloor. Real
// data stay below 10 times.
const (
	maxPathFactor = 64
	pathFloor     = 1 << 20
)

// What a tree takes, in bytes, as Go 1.26 allocates it: maps are Swiss tables, whose groups
// have eight slots of 32 bytes. TestTreesTakeWhatIsEstimated compares it with the heap.
const (
	objectBytes = 72  // an empty map, and what remembers it
	groupBytes  = 288 // the first member of an object
	tableBytes  = 700 // the ninth: the group becomes a table
	memberBytes = 160 // each further one: a slot, at less than half load
	nameBytes   = 64  // of those, what the decoder keeps to find duplicates
	arrayBytes  = 24
	itemBytes   = 56 // where it stays, and the stack on which it waits for that
	scalarBytes = 16 // a text or number in an interface

	// freeBytes of a tree are not asked for, and the rest in steps of stepBytes.
	freeBytes = 64 << 10
	stepBytes = 256 << 10
)

// Limits bound one parse. The zero Limits are none.
type Limits struct {
	// Tokens is how many tokens the text may have: names, values, and the brackets of
	// arrays and objects; 0 is any number.
	Tokens int
	// Memory, if not nil, is asked for the bytes of the tree before they are spent. The
	// caller gives them back when the document is released.
	Memory Memory
}

// Memory is what a parse takes bytes from.
type Memory interface {
	Take(bytes int) bool
}

// Limits of what a document keeps between two uses, so that one large text does
// not leave its memory behind in the pool forever.
const (
	keptMaps   = 32
	keptMapLen = 64
	keptItems  = 256
)

// Document is a parsed text. It owns the tree: Release takes it back.
type Document struct {
	// Root is the tree: map[string]any, []any, string, json.Number, bool and nil,
	// as jsonschema takes them. (An int64 for small integers was measured and is no
	// faster there.)
	Root any

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

	limits Limits
	tokens int // that the text may still have
	room   int // bytes that may still be spent before more are asked for
}

var documents = sync.Pool{New: func() any {
	d := &Document{items: make([]any, 0, keptItems)}
	d.dec = jsontext.NewDecoder(&d.in)
	return d
}}

// Parse reads data, which must be one strict JSON value. The tree is valid until
// the document is released; a document that is never released keeps its tree.
// The error is an *Error.
func Parse(data []byte) (*Document, error) { return ParseWithin(data, Limits{}) }

// ParseWithin is Parse within limits.
func ParseWithin(data []byte, limits Limits) (*Document, error) {
	d := documents.Get().(*Document)
	d.in = *bytes.NewBuffer(data) // the decoder reads in place and never writes
	d.dec.Reset(&d.in)
	d.data, d.pos = data, 0
	d.paths = maxPathFactor*len(data) + pathFloor
	d.limits, d.tokens, d.room = limits, limits.Tokens, freeBytes-len(data)
	if limits.Tokens == 0 {
		d.tokens = math.MaxInt
	}
	var err error
	if d.Root, err = d.parse(); err != nil {
		d.Release()
		return nil, err
	}
	return d, nil
}

// Release gives the document and its tree back for the next Parse.
func (d *Document) Release() {
	for i := range d.used {
		if len(d.maps[i]) > keptMapLen {
			d.maps[i] = make(map[string]any)
			continue
		}
		clear(d.maps[i])
	}
	if len(d.maps) > keptMaps {
		clear(d.maps[keptMaps:])
		d.maps = d.maps[:keptMaps]
	}
	d.used = 0
	clear(d.stack) // not empty only after an error
	d.stack = d.stack[:0]
	if cap(d.stack) > keptItems {
		d.stack = nil
	}
	clear(d.items)
	d.items = d.items[:0]
	if cap(d.quote) > keptItems {
		d.quote = nil
	}
	d.Root, d.data, d.text, d.limits = nil, nil, "", Limits{}
	d.in = bytes.Buffer{}
	d.dec.Reset(&d.in)
	documents.Put(d)
}

func (d *Document) parse() (any, error) {
	if err := checkStart(d.data); err != nil {
		return nil, err
	}
	if d.room < 0 && !d.more() {
		return nil, &Error{Kind: NoMemory}
	}
	d.text = string(d.data)
	kind, start, err := d.next()
	if err != nil {
		return nil, err
	}
	tree, err := d.value(kind, start, 0, 0)
	if err != nil {
		return nil, err
	}
	if at := Trailing(d.data, d.pos); at >= 0 {
		return nil, &Error{Kind: TrailingData, Offset: at}
	}
	return tree, nil
}

// next reads one token and returns its kind and where it starts; it ends at d.pos.
func (d *Document) next() (jsontext.Kind, int, error) {
	token, err := d.dec.ReadToken()
	if err != nil {
		return 0, 0, Explain(err, len(d.data))
	}
	start := d.pos
	for {
		switch d.data[start] {
		case ' ', '\t', '\r', '\n', ',', ':':
			start++
			continue
		}
		break
	}
	d.pos = int(d.dec.InputOffset())
	if d.tokens--; d.tokens < 0 {
		return 0, 0, &Error{Kind: TooManyTokens, Offset: start}
	}
	if d.room < 0 && !d.more() {
		return 0, 0, &Error{Kind: NoMemory, Offset: start}
	}
	return token.Kind(), start, nil
}

// more asks for the bytes that have been spent, or are about to be, and some beyond.
func (d *Document) more() bool {
	if d.limits.Memory == nil {
		d.room = math.MaxInt
		return true
	}
	step := stepBytes - d.room
	if !d.limits.Memory.Take(step) {
		return false
	}
	d.room += step
	return true
}

// value reads the value that starts with a token. depth is its nesting, path the
// length in bytes of its JSON Pointer.
func (d *Document) value(kind jsontext.Kind, start, depth, path int) (any, error) {
	if d.paths -= path; d.paths < 0 {
		return nil, &Error{Kind: LongPaths, Offset: start}
	}
	switch kind {
	case jsontext.KindString:
		d.room -= scalarBytes
		return d.string(start)
	case jsontext.KindNumber:
		d.room -= scalarBytes
		return d.number(start)
	case jsontext.KindTrue:
		return true, nil
	case jsontext.KindFalse:
		return false, nil
	case jsontext.KindNull:
		return nil, nil
	}
	if depth == MaxDepth {
		return nil, &Error{Kind: TooDeep, Offset: start, Pointer: string(d.dec.StackPointer())}
	}
	if kind == jsontext.KindBeginArray {
		return d.array(depth+1, path)
	}
	return d.object(depth+1, path)
}

func (d *Document) object(depth, path int) (any, error) {
	d.room -= objectBytes
	m := d.newMap()
	for n := 0; ; n++ {
		kind, start, err := d.next()
		if err != nil {
			return nil, err
		}
		if kind == jsontext.KindEndObject {
			return m, nil
		}
		switch {
		case n == 0:
			d.room -= groupBytes
		case n == 8:
			d.room -= tableBytes
		case n > 8:
			d.room -= memberBytes + nameBytes
		}
		name, err := d.string(start)
		if err != nil {
			return nil, err
		}
		if kind, start, err = d.next(); err != nil {
			return nil, err
		}
		value, err := d.value(kind, start, depth, path+1+len(name))
		if err != nil {
			return nil, err
		}
		m[name] = value
	}
}

func (d *Document) array(depth, path int) (any, error) {
	d.room -= arrayBytes
	base := len(d.stack)
	for {
		kind, start, err := d.next()
		if err != nil {
			return nil, err
		}
		if kind == jsontext.KindEndArray {
			break
		}
		value, err := d.value(kind, start, depth, path+2)
		if err != nil {
			return nil, err
		}
		d.room -= itemBytes
		d.stack = append(d.stack, value)
	}
	finished := d.keep(d.stack[base:])
	clear(d.stack[base:])
	d.stack = d.stack[:base]
	return finished, nil
}

// keep copies the items of a finished array to where they stay until Release.
func (d *Document) keep(open []any) []any {
	at, n := len(d.items), len(open)
	if at+n > cap(d.items) {
		return append(make([]any, 0, n), open...)
	}
	d.items = append(d.items, open...)
	return d.items[at : at+n : at+n]
}

func (d *Document) newMap() map[string]any {
	if d.used == len(d.maps) {
		d.maps = append(d.maps, make(map[string]any))
	}
	d.used++
	return d.maps[d.used-1]
}

func (d *Document) string(start int) (string, error) {
	raw := d.text[start:d.pos]
	if strings.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	if d.room -= 2 * len(raw); d.room < 0 && !d.more() { // the text, and the buffer
		return "", &Error{Kind: NoMemory, Offset: start}
	}
	var err error
	if d.quote, err = jsontext.AppendUnquote(d.quote[:0], raw); err != nil {
		return "", Explain(err, len(d.data)) // cannot be: the decoder has accepted it
	}
	return string(d.quote), nil
}

func (d *Document) number(start int) (any, error) {
	raw := d.text[start:d.pos]
	if len(raw) > MaxNumberLength {
		return nil, &Error{Kind: LongNumber, Offset: start, Pointer: string(d.dec.StackPointer()), Length: len(raw)}
	}
	if !exponentInRange(raw) {
		return nil, &Error{Kind: HugeExponent, Offset: start, Pointer: string(d.dec.StackPointer())}
	}
	return json.Number(raw), nil
}

// exponentInRange reports whether a JSON number has no exponent or one within
// ±MaxExponent.
func exponentInRange(raw string) bool {
	at := strings.IndexAny(raw, "eE")
	if at < 0 {
		return true
	}
	digits := strings.TrimLeft(raw[at+1:], "+-")
	n := 0
	for i := range len(digits) {
		n = n*10 + int(digits[i]-'0')
		if n > MaxExponent {
			return false
		}
	}
	return true
}
