package schema

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"eventgateway/internal/budget"
	"eventgateway/internal/event"
	"eventgateway/internal/strictjson"
)

// syntaxError says why and where text is not strict JSON, in words for a person.
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

// parse reads data, which must be one strict JSON value. The error is a
// *syntaxError.
func parse(data []byte) (*strictjson.Document, error) {
	doc, err := strictjson.Parse(data)
	if err != nil {
		return nil, explain(data, err)
	}
	return doc, nil
}

// parse reads the data of an event within the bounds. The error is an *event.Error.
func (b bounds) parse(data []byte, work *budget.Work) (*strictjson.Document, error) {
	limits := strictjson.Limits{Tokens: b.tokens}
	if work != nil {
		limits.Memory = work
	}
	doc, err := strictjson.ParseWithin(data, limits)
	if err == nil {
		return doc, nil
	}
	var wrong *strictjson.Error
	if errors.As(err, &wrong) {
		switch wrong.Kind {
		case strictjson.NoMemory:
			return nil, b.budget.Full()
		case strictjson.TooManyTokens:
			return nil, event.Refuse(event.EventTooLarge, "The data has more than %d tokens (names, values, and brackets), which is what an event may have (http.token_limit). Send it in parts.", b.tokens)
		}
	}
	return nil, malformed(explain(data, err))
}

// explain words an error of the strict parse.
func explain(data []byte, err error) error {
	var wrong *strictjson.Error
	if !errors.As(err, &wrong) {
		return err // cannot be: the parse has no other errors
	}
	line, column := strictjson.Position(data, wrong.Offset)
	return &syntaxError{
		Offset: wrong.Offset, Line: line, Column: column,
		Pointer: shorten(wrong.Pointer), What: shorten(whatIsWrong(wrong)),
	}
}

func whatIsWrong(e *strictjson.Error) string {
	switch e.Kind {
	case strictjson.Empty:
		return "the data is empty; send one JSON value"
	case strictjson.ByteOrderMark:
		return "the data starts with a byte order mark (EF BB BF); send UTF-8 without one"
	case strictjson.EndsInside:
		return "the data ends inside a JSON value"
	case strictjson.TrailingData:
		return "more data follows the JSON value; send exactly one"
	case strictjson.DuplicateName:
		return fmt.Sprintf("the member name %s appears twice in one object", quoted(e.Name()))
	case strictjson.BadName:
		return "an object's member name must be a string in double quotes"
	case strictjson.TooDeep:
		return fmt.Sprintf("arrays and objects are nested more than %d deep", strictjson.MaxDepth)
	case strictjson.LongNumber:
		return fmt.Sprintf("a number has %d characters; %d are allowed", e.Length, strictjson.MaxNumberLength)
	case strictjson.HugeExponent:
		return fmt.Sprintf("a number's exponent is beyond ±%d", strictjson.MaxExponent)
	case strictjson.LongPaths:
		return "the member names on the way to the values are too long"
	}
	return e.Reason
}

// malformed makes the error of data that parse refuses.
func malformed(err error) error {
	refused := event.Refuse(event.MalformedJSON, "%v", err)
	var syntax *syntaxError
	if errors.As(err, &syntax) && syntax.Pointer != "" {
		refused.Detail += ", at " + syntax.Pointer
	}
	return refused
}

// parsePointer reads a JSON Pointer. The error names it.
func parsePointer(s string) (strictjson.Pointer, error) {
	p, err := strictjson.ParsePointer(s)
	if errors.Is(err, strictjson.ErrPointerStart) {
		return nil, fmt.Errorf("%s is not a JSON Pointer: %w, as in %s", quoted(s), err, quoted("/"+s))
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not a JSON Pointer: %w", quoted(s), err)
	}
	return p, nil
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
