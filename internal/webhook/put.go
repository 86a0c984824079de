package webhook

import (
	"bytes"
	"errors"
	"slices"
)

// put sets the value at a pointer and leaves every other byte of data, which
// checkJSON has accepted, as it is. Objects that are missing on the way are made.
func put(data []byte, p pointer, value []byte) ([]byte, error) {
	if len(p) == 0 {
		return value, nil
	}
	name, inner := p[0], p[1:]
	if start, end, ok := span(data, pointer{name}); ok {
		child, err := put(data[start:end], inner, value)
		if err != nil {
			return nil, err
		}
		return slices.Concat(data[:start], child, data[end:]), nil
	}
	open := bytes.IndexByte(data, '{')
	if open < 0 || len(bytes.TrimLeft(data[:open], " \t\r\n")) > 0 {
		return nil, errors.New("the body must be a JSON object: the signature goes into it")
	}
	for _, token := range slices.Backward(inner) {
		value = slices.Concat(append(quote([]byte{'{'}, token), ':'), value, []byte{'}'})
	}
	member := append(append(quote(nil, name), ':'), value...)
	rest := data[open+1:]
	if !bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte{'}'}) {
		member = append(member, ',')
	}
	return slices.Concat(data[:open+1], member, rest), nil
}
