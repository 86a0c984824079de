package strictjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Kind says what is wrong with a text.
type Kind int

// What can be wrong with a text.
const (
	NotJSON       Kind = iota // Reason says why
	Empty                     // nothing but white space
	ByteOrderMark             // it starts with EF BB BF
	EndsInside                // it ends inside a value
	TrailingData              // more follows the value
	DuplicateName             // a member name is twice in an object; Name says which
	BadName                   // a member name is not a string
	TooDeep                   // nested deeper than MaxDepth
	LongNumber                // longer than MaxNumberLength
	HugeExponent              // beyond ±MaxExponent
	LongPaths                 // all member names on the way to all values are too long together
	TooManyTokens             // more than Limits.Tokens
	NoMemory                  // Limits.Memory has no more
)

var kinds = [...]string{
	"not JSON", "empty", "byte order mark", "ends inside a value", "trailing data", "duplicate name",
	"a name is not a string", "too deep", "number too long", "exponent too large", "paths too long",
	"too many tokens", "no memory",
}

// Error says why and where a text is not strict JSON.
type Error struct {
	Kind    Kind
	Offset  int    // in bytes, from 0
	Pointer string // JSON Pointer to the place, as far as it is known; may be as long as the text
	Reason  string // of NotJSON: what the decoder says
	Length  int    // of LongNumber: how many characters the number has
}

// Error implements error. Callers word their own messages.
func (e *Error) Error() string {
	text := kinds[e.Kind]
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return fmt.Sprintf("%s, at byte offset %d", text, e.Offset)
}

// Name is the member name that Pointer ends with.
func (e *Error) Name() string { return jsontext.Pointer(e.Pointer).LastToken() }

// maxReason bounds what is passed on of a decoder's message, in bytes. Its
// messages quote a few characters of the text.
const maxReason = 100

// Explain translates the error of a jsontext decoder that was reading text of
// so many bytes.
func Explain(err error, size int) *Error {
	var syntactic *jsontext.SyntacticError
	if !errors.As(err, &syntactic) {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return &Error{Kind: EndsInside, Offset: size}
		}
		return &Error{Kind: NotJSON, Reason: bounded(err)}
	}
	e := &Error{Kind: NotJSON, Offset: int(syntactic.ByteOffset), Pointer: string(syntactic.JSONPointer)}
	switch {
	case errors.Is(syntactic.Err, io.ErrUnexpectedEOF):
		e.Kind, e.Offset = EndsInside, size
	case errors.Is(syntactic.Err, jsontext.ErrDuplicateName):
		e.Kind = DuplicateName
	case errors.Is(syntactic.Err, jsontext.ErrNonStringName):
		e.Kind, e.Reason = BadName, bounded(syntactic.Err)
	default:
		e.Reason = bounded(syntactic.Err)
	}
	return e
}

func bounded(err error) string {
	text := fmt.Sprint(err)
	if len(text) <= maxReason {
		return text
	}
	cut := maxReason
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// Trailing returns the offset of the first byte, from an offset on, that is not white
// space, or -1.
func Trailing(data []byte, from int) int {
	rest := bytes.TrimLeft(data[from:], whiteSpace)
	if len(rest) == 0 {
		return -1
	}
	return len(data) - len(rest)
}

// Position counts the line and the column (in characters) of an offset, both
// from 1.
func Position(data []byte, offset int) (line, column int) {
	before := data[:min(offset, len(data))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte{'\n'}) + 1, utf8.RuneCount(before[start:]) + 1
}

// LineOf finds the line of the member or item at a JSON Pointer, from 1; 0 if
// there is none. The data must be valid JSON.
func LineOf(data []byte, pointer string) int {
	dec := jsontext.NewDecoder(bytes.NewBuffer(data))
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return 0
		}
		if string(dec.StackPointer()) == pointer && token.Kind() != jsontext.KindEndObject && token.Kind() != jsontext.KindEndArray {
			line, _ := Position(data, int(dec.InputOffset()))
			return line
		}
	}
}
