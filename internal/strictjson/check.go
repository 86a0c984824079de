package strictjson

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth bounds nested arrays and objects: code that walks a tree recurses that deep.
const MaxDepth = 64

const whiteSpace = " \t\r\n"

// Check reports why data is not one strict JSON value; nil if it is one. The
// error is an *Error. It leaves the limits of numbers and paths to Parse.
func Check(data []byte) error {
	if err := checkStart(data); err != nil {
		return err
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(data)) // reads in place
	if _, err := dec.ReadValue(); err != nil {
		return Explain(err, len(data))
	}
	if at := Trailing(data, int(dec.InputOffset())); at >= 0 {
		return &Error{Kind: TrailingData, Offset: at}
	}
	if at := tooDeep(data); at >= 0 {
		return &Error{Kind: TooDeep, Offset: at}
	}
	return nil
}

// checkStart reports what is wrong before the first value.
func checkStart(data []byte) error {
	switch {
	case Trailing(data, 0) < 0:
		return &Error{Kind: Empty}
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return &Error{Kind: ByteOrderMark}
	}
	return nil
}

// tooDeep returns the offset where valid JSON exceeds MaxDepth, or -1. The decoder's
// own limit is higher.
func tooDeep(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if depth++; depth > MaxDepth {
				return i
			}
		case '}', ']':
			depth--
		}
	}
	return -1
}
