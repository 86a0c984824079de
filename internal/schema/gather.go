package schema

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"eventgateway/internal/strictjson"
)

// ErrNotPortable says that a schema cannot be part of another document: it has
// dynamic references, refers to a metaschema, or mixes drafts.
var ErrNotPortable = errors.New("schema cannot be part of another document")

// Part is one of the schema files that a version consists of.
type Part struct {
	Path   string // inside the folder, for example _shared/address.json
	Schema []byte // compact JSON in the order of the file, without its names ($id, anchors, title), x-event and examples
}

// Portable is a version's schema, ready to become part of another document.
type Portable struct {
	Dialect string // 4, 6, 7, 2019-09 or 2020-12
	Parts   []Part // the version's own file first, then the files that it refers to

	places map[string]string // by path
}

// Gather returns a version's schema ("" is the newest) with every reference
// rewritten to "#" and a JSON Pointer: place returns the pointer that a file will
// have in the other document. The error is an *event.Error, unknown-event-type, or
// ErrNotPortable.
func (s *Set) Gather(eventType, version string, place func(path string) string) (Portable, error) {
	v, err := s.version(eventType, version)
	if err != nil {
		return Portable{}, err
	}
	g := gatherer{schemaFiles: s.files, place: place, places: make(map[string]string)}
	g.want(v.path)
	for i := 0; i < len(g.parts) && g.err == nil; i++ { // grows as references are found
		g.gather(i)
	}
	return Portable{Dialect: g.dialect, Parts: g.parts, places: g.places}, g.err
}

// Bundle is a version's schema ("" is the newest) as one document that refers only
// to itself: other files are under "$defs". Errors are those of Gather.
func (s *Set) Bundle(eventType, version string) ([]byte, error) {
	first := true
	gathered, err := s.Gather(eventType, version, func(path string) string {
		if first { // the version's own file
			first = false
			return ""
		}
		return "/$defs/" + strictjson.EscapeToken(path)
	})
	if err != nil {
		return nil, err
	}
	root, ok := members(gathered.Parts[0].Schema)
	if !ok {
		return gathered.Parts[0].Schema, nil
	}
	at := slices.IndexFunc(root, func(m member) bool { return m.name == "$defs" })
	if at < 0 {
		at = len(root)
		root = append(root, member{"$defs", jsontext.Value("{}")})
	}
	defs, _ := members(root[at].value)
	for _, part := range gathered.Parts[1:] {
		defs = append(defs, member{part.Path, part.Schema})
	}
	if root[at].value = objectOf(defs); len(defs) == 0 {
		root = root[:at]
	}
	return objectOf(slices.Insert(root, 0, member{"$schema", stringOf(dialectURLs[gathered.Dialect])})), nil
}

// gatherer follows references from file to file.
type gatherer struct {
	*schemaFiles
	place   func(string) string
	places  map[string]string
	dialect string
	parts   []Part
	err     error
}

// want adds a file, if it is not there yet, and returns its pointer.
func (g *gatherer) want(path string) string {
	place, known := g.places[path]
	if !known {
		place = g.place(path)
		g.places[path] = place
		g.parts = append(g.parts, Part{Path: path})
	}
	return place
}

func (g *gatherer) gather(i int) {
	s := g.byPath[g.parts[i].Path]
	switch dialect := s.dialect; {
	case i == 0:
		g.dialect = dialect
	case dialect != g.dialect:
		g.fail("%s is of draft %s, and what refers to it of draft %s", s.path, dialect, g.dialect)
		return
	}
	// Strings without needless escapes: YAML has no surrogate pairs.
	compact, err := jsontext.AppendFormat(nil, s.data, jsontext.EscapeForJS(true))
	if err != nil {
		g.fail("%v", err) // cannot be: it has been parsed
		return
	}
	bases := map[string]string{"": s.base()}
	g.parts[i].Schema = rewrite(compact, "", func(at string, list []member) []member {
		base := baseAt(bases, at)
		if id, ok := textOf(find(list, idOf(g.dialect))); ok && at != "" && !strings.HasPrefix(id, "#") {
			base = resolve(base, id)
			bases[at] = base
		}
		if at == "" {
			// The title goes, too: generators name types after it, and the versions of an event type share it.
			list = slices.DeleteFunc(list, func(m member) bool {
				return m.name == "x-event" || m.name == "examples" || m.name == "title"
			})
		}
		return g.point(base, list)
	})
}

// baseAt is the base URI of the nearest schema around a pointer that has one.
func baseAt(bases map[string]string, at string) string {
	for {
		if base, ok := bases[at]; ok {
			return base
		}
		at = at[:strings.LastIndexByte(at, '/')]
	}
}

// point rewrites the reference of one schema object and removes its names.
func (g *gatherer) point(base string, list []member) []member {
	kept := list[:0]
	for _, m := range list {
		switch m.name {
		case "$schema", "$anchor", "$vocabulary", idOf(g.dialect):
			if m.value.Kind() == '"' || m.value.Kind() == '{' {
				continue
			}
		case "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor":
			g.fail("%s means nothing in another document", m.name)
		case "$ref":
			ref, ok := textOf(m.value)
			path, pointer, found := g.locate(base, ref)
			if !ok || !found {
				g.fail("%q is not a file of the folder", ref)
				break
			}
			m.value = stringOf("#" + (&url.URL{Fragment: g.want(path) + pointer}).EscapedFragment())
		}
		kept = append(kept, m)
	}
	return kept
}

func (g *gatherer) fail(format string, args ...any) {
	if g.err == nil {
		g.err = fmt.Errorf("%w: %s", ErrNotPortable, fmt.Sprintf(format, args...))
	}
}
