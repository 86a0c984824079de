package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// syntaxError says why and where text is not strict JSON.
type syntaxError struct {
	Offset  int // in bytes, from 0
	Line    int // from 1
	Column  int // in characters, from 1
	Pointer string
	What    string
}

// Error implements error.
func (e *syntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d (byte offset %d): %s", e.Line, e.Column, e.Offset, e.What)
}

func (p *parser) errorAt(offset int, pointer, format string, args ...any) error {
	line, column := position(p.data, offset)
	return &syntaxError{
		Offset: offset, Line: line, Column: column,
		Pointer: shorten(pointer), What: shorten(fmt.Sprintf(format, args...)),
	}
}

// syntax translates the decoder's error.
func (p *parser) syntax(err error) error {
	var syntactic *jsontext.SyntacticError
	if !errors.As(err, &syntactic) {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return p.errorAt(len(p.data), "", "the data ends inside a JSON value")
		}
		return p.errorAt(p.pos, "", "%v", err)
	}
	offset, pointer := int(syntactic.ByteOffset), syntactic.JSONPointer
	switch {
	case errors.Is(syntactic.Err, jsontext.ErrDuplicateName):
		return p.errorAt(offset, string(pointer), "the member name %s appears twice in one object", quoted(pointer.LastToken()))
	case errors.Is(syntactic.Err, io.ErrUnexpectedEOF):
		return p.errorAt(len(p.data), string(pointer), "the data ends inside a JSON value")
	case errors.Is(syntactic.Err, jsontext.ErrNonStringName):
		return p.errorAt(offset, string(pointer), "an object's member name must be a string in double quotes")
	}
	return p.errorAt(offset, string(pointer), "%v", syntactic.Err)
}

// position counts the line and the column (in characters) of an offset.
func position(data []byte, offset int) (line, column int) {
	before := data[:min(offset, len(data))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte{'\n'}) + 1, utf8.RuneCount(before[start:]) + 1
}

// lineOf finds the line where the value at a JSON Pointer ends to be read, or
// 0. The data must be valid JSON.
func lineOf(data []byte, pointer string) int {
	dec := jsontext.NewDecoder(bytes.NewBuffer(data))
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return 0
		}
		if string(dec.StackPointer()) == pointer && token.Kind() != jsontext.KindEndObject && token.Kind() != jsontext.KindEndArray {
			line, _ := position(data, int(dec.InputOffset()))
			return line
		}
	}
}

// maxMessage bounds a text that may echo what a caller sent, in bytes.
const maxMessage = 300

// shorten cuts a text at maxMessage, between two characters.
func shorten(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	cut := maxMessage
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// quoted quotes a name that a caller sent, shortened.
func quoted(s string) string {
	return fmt.Sprintf("%q", shorten(s))
}
