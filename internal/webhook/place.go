package webhook

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"eventgateway/internal/strictjson"
)

// maxText bounds an id and a type, in bytes: claims and record headers contain the id.
const maxText = 255

const (
	headerPlace = "header:"
	bodyHash    = "body-hash"
	noID        = "none"
)

// place is where a text comes from: a header, a pointer into the body, or the hash of
// the body.
type place struct {
	header  string // canonical name
	pointer strictjson.Pointer
	at      int // index of the pointer's value among those found
	hash    bool
}

// compound is one text made from several places, all of which must have one. "%" and
// ":" are escaped in the parts if there are several.
type compound []place

// alternatives reads the places in the table of schemes: each string is one choice,
// its places separated by a space.
func alternatives(choices ...string) []compound {
	var all []compound
	for _, choice := range choices {
		var c compound
		for _, text := range strings.Fields(choice) {
			p, err := parsePlace(text)
			if err != nil {
				panic(err) // a row of the table of schemes; the tests read them all
			}
			c = append(c, p)
		}
		all = append(all, c)
	}
	return all
}

// configured reads the places of a configuration. What is wrong is reported for field.
func configured(field string, choices [][]string, f *faults) []compound {
	var all []compound
	for _, choice := range choices {
		var c compound
		for _, text := range choice {
			p, err := parsePlace(text)
			switch {
			case err != nil && field == "id":
				f.add(field, "%v, nor \"body-hash\" or \"none\"", err)
			case err != nil:
				f.add(field, "%v", err)
			case p.hash && field == "type":
				f.add(field, "a hash names no type")
			}
			c = append(c, p)
		}
		if len(c) == 0 {
			f.add(field, "has a choice without a place")
		}
		all = append(all, c)
	}
	return all
}

func parsePlace(text string) (place, error) {
	switch {
	case text == bodyHash:
		return place{hash: true}, nil
	case strings.HasPrefix(text, headerPlace):
		name := strings.TrimPrefix(text, headerPlace)
		if !validHeaderName(name) {
			return place{}, fmt.Errorf("%q names no header", text)
		}
		return place{header: http.CanonicalHeaderKey(name)}, nil
	case strings.HasPrefix(text, "/"):
		p, err := parsePointer(text)
		return place{pointer: p}, err
	}
	return place{}, fmt.Errorf("%q is neither \"header:Name\" nor a JSON Pointer such as \"/id\"", text)
}

func (p place) String() string {
	switch {
	case p.hash:
		return bodyHash
	case p.header != "":
		return "the header " + p.header
	}
	return p.pointer.String()
}

// in finds the text in a delivery; found has the pointers' values. True and false are
// accepted only as one part of several: alone they do not distinguish deliveries.
func (p place) in(c content, found [][]byte, part bool) string {
	switch {
	case p.hash:
		return c.hash
	case p.header != "":
		return c.header.Get(p.header)
	}
	if part {
		return written(found[p.at])
	}
	s, _ := scalar(found[p.at])
	return s
}

// ofBody reports whether the text is the same for all items of a body.
func (c compound) ofBody() bool {
	for _, p := range c {
		if !p.hash && p.header == "" {
			return false
		}
	}
	return true
}

func (c compound) String() string {
	var names []string
	for _, p := range c {
		names = append(names, p.String())
	}
	return strings.Join(names, " with ")
}

var partEscapes = strings.NewReplacer("%", "%25", ":", "%3A")

// in finds the text, or "".
func (c compound) in(body content, found [][]byte) string {
	if len(c) == 1 {
		return c[0].in(body, found, false)
	}
	var parts []string
	for _, p := range c {
		part := p.in(body, found, true)
		if part == "" {
			return ""
		}
		parts = append(parts, partEscapes.Replace(part))
	}
	return strings.Join(parts, ":")
}

// first finds the text of the first choice that has one.
func first(choices []compound, body content, found [][]byte) (text string, of compound) {
	for _, choice := range choices {
		if text = choice.in(body, found); text != "" {
			return text, choice
		}
	}
	return "", nil
}

// joinedType is the type that the parts of the first choice make, with "." between them,
// of which the first part is there. Other parts may be missing: GitHub's push has no
// action.
func joinedType(choices []compound, body content, found [][]byte) string {
	for _, choice := range choices {
		var parts []string
		for i, p := range choice {
			part := p.in(body, found, false)
			if part == "" && i == 0 {
				break
			}
			if part != "" {
				parts = append(parts, part)
			}
		}
		if len(parts) > 0 {
			return strings.Join(parts, ".")
		}
	}
	return ""
}

// pointersOf collects the pointers of choices, and notes in each place the index that
// its value will have.
func pointersOf(choices ...[]compound) []strictjson.Pointer {
	var all []strictjson.Pointer
	for _, of := range choices {
		for _, c := range of {
			for i := range c {
				if c[i].header == "" && !c[i].hash {
					c[i].at = len(all)
					all = append(all, c[i].pointer)
				}
			}
		}
	}
	return all
}

// fit reports whether a text may be an id: it becomes a header's value.
func fit(s string) bool {
	if len(s) > maxText || !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

func where(choices []compound) string {
	var names []string
	for _, c := range choices {
		names = append(names, c.String())
	}
	return strings.Join(names, " or ")
}

// parsePointer reads a JSON Pointer. The error names it.
func parsePointer(s string) (strictjson.Pointer, error) {
	p, err := strictjson.ParsePointer(s)
	if err != nil {
		return nil, fmt.Errorf("%q is not a JSON Pointer: it is UTF-8, starts with \"/\", and inside a name \"~\" is \"~0\" and \"/\" is \"~1\"", s)
	}
	return p, nil
}

// validHeaderName checks the token of RFC 9110 §5.6.2.
func validHeaderName(name string) bool {
	if name == "" {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !plainByte(c) && strings.IndexByte("!#$%&'*+^`|~", c) < 0 {
			return false
		}
	}
	return true
}
