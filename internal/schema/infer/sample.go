package infer

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"eventgateway/internal/strictjson"
)

// maxSamples bounds the samples of one schema: more than a few hundred say nothing
// new.
const maxSamples = 10_000

// Sample is one event, an object, as it was written.
type Sample struct {
	Source string // file:line
	value  value
}

// Read reads the samples in a file: an object, several (JSON lines, or just one
// after the other), or arrays of objects. The error says file and line.
func Read(file string, data []byte) ([]Sample, error) {
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		return nil, fmt.Errorf("%s: starts with a byte order mark; save it as UTF-8 without one", file)
	}
	r := reader{file: file, data: data, dec: jsontext.NewDecoder(bytes.NewBuffer(data))}
	for {
		kind := r.dec.PeekKind()
		at := r.here()
		v, err := r.value(0)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, r.failure(err)
		}
		if kind == jsontext.KindBeginArray {
			continue // its items are samples, and have been added
		}
		if err := r.add(at, v); err != nil {
			return nil, err
		}
	}
	if len(r.samples) == 0 {
		return nil, fmt.Errorf("%s: holds no event; put one JSON object into it, several one after the other, or a list of them", file)
	}
	return r.samples, nil
}

// reader reads the values of one file in order.
type reader struct {
	file    string
	data    []byte
	dec     *jsontext.Decoder
	samples []Sample
}

// here is the line of the next value.
func (r *reader) here() int {
	at := int(r.dec.InputOffset())
	for at < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,"), r.data[at]) >= 0 {
		at++
	}
	return r.line(at)
}

func (r *reader) line(offset int) int {
	return bytes.Count(r.data[:min(offset, len(r.data))], []byte{'\n'}) + 1
}

func (r *reader) add(line int, v value) error {
	at := fmt.Sprintf("%s:%d", r.file, line)
	if v.kind != jsontext.KindBeginObject {
		return fmt.Errorf("%s: a sample must be an object, the event as it is posted; this is a %s", at, kindName(v.kind))
	}
	if len(r.samples) == maxSamples {
		return fmt.Errorf("%s: more than %d samples; a few that differ say as much", at, maxSamples)
	}
	r.samples = append(r.samples, Sample{Source: at, value: v})
	return nil
}

// value reads one value. The items of an array at depth 0 become samples.
func (r *reader) value(depth int) (value, error) {
	if depth > strictjson.MaxDepth+1 { // one for a list of samples
		return value{}, fmt.Errorf("%s:%d: arrays and objects are nested more than %d deep; the gateway refuses such events", r.file, r.here(), strictjson.MaxDepth)
	}
	token, err := r.dec.ReadToken()
	if err != nil {
		return value{}, err
	}
	v := value{kind: token.Kind()}
	switch v.kind {
	case jsontext.KindBeginObject:
		for r.dec.PeekKind() != jsontext.KindEndObject {
			name, err := r.dec.ReadToken()
			if err != nil {
				return value{}, err
			}
			text := name.String()
			child, err := r.value(depth + 1)
			if err != nil {
				return value{}, err
			}
			v.members = append(v.members, member{text, child})
		}
		_, err = r.dec.ReadToken()
	case jsontext.KindBeginArray:
		for r.dec.PeekKind() != jsontext.KindEndArray {
			line := r.here()
			child, err := r.value(depth + 1)
			if err != nil {
				return value{}, err
			}
			if depth > 0 {
				v.items = append(v.items, child)
			} else if err := r.add(line, child); err != nil {
				return value{}, err
			}
		}
		_, err = r.dec.ReadToken()
	default:
		v.text = token.String()
	}
	return v, err
}

// failure says where the decoder failed; other errors do so themselves.
func (r *reader) failure(err error) error {
	var syntactic *jsontext.SyntacticError
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &syntactic) {
		return err
	}
	wrong := strictjson.Explain(err, len(r.data))
	at := fmt.Sprintf("%s:%d", r.file, r.line(wrong.Offset))
	switch wrong.Kind {
	case strictjson.EndsInside:
		return fmt.Errorf("%s: ends inside a JSON value", at)
	case strictjson.DuplicateName:
		return fmt.Errorf("%s: the member %s appears twice in one object; the gateway refuses such events", at, wrong.Pointer)
	}
	return fmt.Errorf("%s: is not JSON: %s", at, wrong.Reason)
}

func kindName(k jsontext.Kind) string {
	switch k {
	case jsontext.KindBeginArray:
		return "list"
	case jsontext.KindString:
		return "string"
	case jsontext.KindNumber:
		return "number"
	case jsontext.KindNull:
		return "null"
	}
	return "boolean"
}
