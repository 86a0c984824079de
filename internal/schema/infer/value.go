package infer

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// lineWidth is how long a line may get before an object or array is spread over
// several.
const lineWidth = 120

// value is a JSON value whose members keep their order.
type value struct {
	kind    jsontext.Kind
	text    string // a string's content; a number as written; true, false, null
	members []member
	items   []value
	spread  bool // never on one line
}

type member struct {
	name  string
	value value
}

func text(s string) value { return value{kind: jsontext.KindString, text: s} }

func list(items ...value) value { return value{kind: jsontext.KindBeginArray, items: items} }

func object(members ...member) value {
	return value{kind: jsontext.KindBeginObject, members: members}
}

func texts(names []string) value {
	l := list()
	for _, name := range names {
		l.items = append(l.items, text(name))
	}
	return l
}

// find follows member names.
func (v value) find(names ...string) (value, bool) {
	for _, name := range names {
		found := false
		for _, m := range v.members {
			if m.name == name {
				v, found = m.value, true
				break
			}
		}
		if !found {
			return value{}, false
		}
	}
	return v, true
}

// depth is how deep arrays and objects are nested; 0 for anything else.
func (v value) depth() int {
	deepest := 0
	for _, m := range v.members {
		deepest = max(deepest, m.value.depth())
	}
	for _, item := range v.items {
		deepest = max(deepest, item.depth())
	}
	if v.kind == jsontext.KindBeginObject || v.kind == jsontext.KindBeginArray {
		deepest++
	}
	return deepest
}

// quote writes a string as JSON. jsontext cannot fail on what it has decoded.
func quote(s string) string {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		return `""`
	}
	return string(b)
}

// compact writes a value without white space.
func compact(v value) []byte {
	var b strings.Builder
	v.line(&b, "", 1<<62)
	return []byte(b.String())
}

// pretty writes a value over lines of lineWidth where that is possible.
func pretty(v value) []byte {
	var b strings.Builder
	v.spread = true
	v.write(&b, "", 0)
	b.WriteByte('\n')
	return []byte(b.String())
}

// write writes a value at an indentation, after so many characters of its line.
func (v value) write(b *strings.Builder, indent string, used int) {
	if !v.spread {
		var line strings.Builder
		if v.line(&line, " ", lineWidth-used) {
			b.WriteString(line.String())
			return
		}
	}
	inner := indent + "  "
	separator := "\n"
	if v.kind == jsontext.KindBeginArray {
		b.WriteByte('[')
		for _, item := range v.items {
			b.WriteString(separator + inner)
			item.write(b, inner, len(inner)+1)
			separator = ",\n"
		}
		b.WriteString("\n" + indent + "]")
		return
	}
	b.WriteByte('{')
	for _, m := range v.members {
		name := quote(m.name) + ": "
		b.WriteString(separator + inner + name)
		m.value.write(b, inner, len(inner)+len(name)+1)
		separator = ",\n"
	}
	b.WriteString("\n" + indent + "}")
}

// line writes a value on one line, with space after separators and inside
// braces, and says whether it fits. What cannot be spread always does.
func (v value) line(b *strings.Builder, space string, width int) bool {
	switch v.kind {
	case jsontext.KindString:
		b.WriteString(quote(v.text))
		return true
	case jsontext.KindBeginArray:
		if len(v.items) == 0 {
			b.WriteString("[]")
			return true
		}
		b.WriteByte('[')
		for i, item := range v.items {
			if i > 0 {
				b.WriteString("," + space)
			}
			if item.spread || !item.line(b, space, width) || b.Len() > width {
				return false
			}
		}
		b.WriteByte(']')
	case jsontext.KindBeginObject:
		if len(v.members) == 0 {
			b.WriteString("{}")
			return true
		}
		b.WriteString("{" + space)
		for i, m := range v.members {
			if i > 0 {
				b.WriteString("," + space)
			}
			b.WriteString(quote(m.name) + ":" + space)
			if m.value.spread || !m.value.line(b, space, width) || b.Len() > width {
				return false
			}
		}
		b.WriteString(space + "}")
	default:
		b.WriteString(v.text)
		return true
	}
	return b.Len() <= width
}
