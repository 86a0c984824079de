package compat

import (
	"net/url"
	"reflect"
	"strconv"
	"strings"
)

// Drafts, as years or numbers so that they can be ordered.
const (
	dialect4       = 4
	dialect6       = 6
	dialect7       = 7
	dialect2019    = 2019
	dialect2020    = 2020
	dialectUnknown = 0
)

// document is one parsed schema document.
type document struct {
	root    any
	dialect int
	flat    map[string][]*clause // results of flatten, by pointer
}

// node is a schema at its place in a document.
type node struct {
	doc     *document
	at      string // JSON Pointer
	raw     any
	via     string    // keyword that it is the value of, or belongs to
	rebased bool      // below an embedded "$id": its references start elsewhere
	fixed   []*clause // of a schema that is in no document
}

func newDocument(root any) *document {
	root = numbersAsText(root)
	return &document{root: root, dialect: dialectOf(root), flat: make(map[string][]*clause)}
}

func (d *document) top() node {
	return node{doc: d, raw: d.root}
}

// dialectOf reads "$schema". Without one it is 2020-12, as everywhere in the gateway.
func dialectOf(root any) int {
	m, _ := root.(map[string]any)
	value, present := m["$schema"]
	if !present {
		return dialect2020
	}
	name, _ := value.(string)
	name = strings.TrimPrefix(strings.TrimPrefix(name, "http://"), "https://")
	name = strings.TrimSuffix(strings.TrimSuffix(name, "#"), "#/")
	switch name {
	case "json-schema.org/schema", "json-schema.org/draft/2020-12/schema":
		return dialect2020
	case "json-schema.org/draft/2019-09/schema":
		return dialect2019
	case "json-schema.org/draft-07/schema":
		return dialect7
	case "json-schema.org/draft-06/schema":
		return dialect6
	case "json-schema.org/draft-04/schema":
		return dialect4
	}
	return dialectUnknown
}

// child is the schema at one or two tokens below a schema.
func (n node) child(keyword string, raw any, tokens ...string) node {
	at := n.at + "/" + escape(keyword)
	for _, t := range tokens {
		at += "/" + escape(t)
	}
	return node{doc: n.doc, at: at, raw: raw, via: keyword, rebased: n.rebased || n.doc.embeds(raw)}
}

// embeds reports whether a schema below the root names itself, so that
// references inside it do not start at the document's root.
func (d *document) embeds(raw any) bool {
	m, ok := raw.(map[string]any)
	if !ok {
		return false
	}
	keyword := "$id"
	if d.dialect == dialect4 {
		keyword = "id"
	}
	id, ok := m[keyword].(string)
	return ok && !strings.HasPrefix(id, "#")
}

// resolve follows a local reference.
func (d *document) resolve(ref string) (node, bool) {
	n := d.top()
	if ref == "#" {
		return n, true
	}
	rest, ok := strings.CutPrefix(ref, "#/")
	if !ok || rest == "" {
		return node{}, false
	}
	for token := range strings.SplitSeq(rest, "/") {
		plain, err := url.PathUnescape(token)
		if err != nil {
			return node{}, false
		}
		plain = strings.ReplaceAll(strings.ReplaceAll(plain, "~1", "/"), "~0", "~")
		var next any
		switch v := n.raw.(type) {
		case map[string]any:
			next, ok = v[plain]
		case []any:
			var i int
			i, err = strconv.Atoi(plain)
			if ok = err == nil && i >= 0 && i < len(v); ok {
				next = v[i]
			}
		default:
			ok = false
		}
		if !ok {
			return node{}, false
		}
		n = node{doc: d, at: n.at + "/" + escape(plain), raw: next, via: "$ref", rebased: n.rebased || d.embeds(next)}
	}
	return n, true
}

// escape makes a token of a JSON Pointer (RFC 6901 §3).
func escape(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
}

// identical reports whether two documents are equal and refer to nothing outside. This
// proof needs no understanding of keywords.
func identical(a, b *document) bool {
	return a.dialect != dialectUnknown && reflect.DeepEqual(a.root, b.root) && selfContained(a.root)
}

func selfContained(raw any) bool {
	switch v := raw.(type) {
	case map[string]any:
		for name, value := range v {
			if text, ok := value.(string); ok && isReference(name) && !strings.HasPrefix(text, "#") {
				return false
			}
			if !selfContained(value) {
				return false
			}
		}
	case []any:
		for _, item := range v {
			if !selfContained(item) {
				return false
			}
		}
	}
	return true
}

func isReference(keyword string) bool {
	return keyword == "$ref" || keyword == "$dynamicRef" || keyword == "$recursiveRef"
}

// same reports whether two pieces of two documents mean the same because they
// are equal, and so is everything that they refer to. Pieces with dynamic references
// or embedded resources are never the same: their meaning depends on the place.
func same(a, b *document, x, y any) bool {
	return a.dialect == b.dialect && (&twins{a: a, b: b, seen: make(map[string]bool)}).equal(x, y)
}

type twins struct {
	a, b *document
	seen map[string]bool // references that are compared already, or being compared
}

func (t *twins) equal(x, y any) bool {
	switch v := x.(type) {
	case map[string]any:
		w, ok := y.(map[string]any)
		if !ok || len(v) != len(w) || t.a.embeds(v) {
			return false
		}
		for name, value := range v {
			other, ok := w[name]
			if !ok || !t.equal(value, other) {
				return false
			}
			if text, ok := value.(string); ok && isReference(name) && !t.follow(name, text) {
				return false
			}
		}
		return true
	case []any:
		w, ok := y.([]any)
		if !ok || len(v) != len(w) {
			return false
		}
		for i := range v {
			if !t.equal(v[i], w[i]) {
				return false
			}
		}
		return true
	}
	return canonical(x) == canonical(y)
}

func (t *twins) follow(keyword, ref string) bool {
	if keyword != "$ref" {
		return false
	}
	if t.seen[ref] {
		return true
	}
	t.seen[ref] = true
	x, ok := t.a.resolve(ref)
	y, also := t.b.resolve(ref)
	return ok && also && !x.rebased && !y.rebased && t.equal(x.raw, y.raw)
}
