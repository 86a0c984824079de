package describe

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// spliceJSON puts additions at their places in a description.
func spliceJSON(out []byte, additions map[string][]entry) []byte {
	for _, place := range allPlaces {
		text := joined(additions[place])
		if len(text) > 0 {
			text = append([]byte{','}, text...)
		}
		out = bytes.Replace(out, spliceAt(place), text, 1)
	}
	return out
}

// spliceYAML puts additions at their places, one line of JSON each.
func (b *Base) spliceYAML(additions map[string][]entry) []byte {
	return places.ReplaceAllFunc(b.yaml, func(line []byte) []byte {
		m := places.FindSubmatch(line)
		var out bytes.Buffer
		for _, e := range additions[string(m[2])] {
			start := "- "
			if e.name != "" {
				start = fmt.Sprintf("%q: ", e.name)
			}
			fmt.Fprintf(&out, "%s%s%s\n", m[1], start, printable(e.value))
		}
		return out.Bytes()
	})
}

// printable is JSON in characters that YAML allows (YAML 1.2 §5.1), without surrogate
// pairs, which YAML does not have.
func printable(text []byte) []byte {
	plain, err := jsontext.AppendFormat(nil, text, jsontext.EscapeForJS(true))
	if err != nil {
		return text // cannot be: it is JSON that this package wrote
	}
	var out []byte
	for len(plain) > 0 {
		r, size := utf8.DecodeRune(plain)
		if r >= 0x7f && r <= 0x9f || r == 0xfeff || r >= 0xfffe && r <= 0xffff {
			out = fmt.Appendf(out, `\u%04x`, r)
		} else {
			out = append(out, plain[:size]...)
		}
		plain = plain[size:]
	}
	return out
}
