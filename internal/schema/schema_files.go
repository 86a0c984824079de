package schema

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"eventgateway/internal/strictjson"
)

// schemaFiles are the files of one folder, by path and by URL.
type schemaFiles struct {
	byPath map[string]*source
	byURL  map[string]*source // by URL in the folder and by $id
	bases  []string           // URLs that an absolute $id makes another name of the folder
}

// find returns the file that a URL names, or nil.
func (f *schemaFiles) find(u string) *source {
	if s, ok := f.byURL[u]; ok {
		return s
	}
	for _, base := range f.bases {
		if rest, ok := strings.CutPrefix(u, base); ok {
			if plain, err := url.PathUnescape(rest); err == nil {
				return f.byPath[plain]
			}
		}
	}
	return nil
}

func (f *schemaFiles) paths() []string { return sortedKeys(f.byPath) }

// locate returns the file and the JSON Pointer that a reference leads to.
func (f *schemaFiles) locate(base, reference string) (path, pointer string, ok bool) {
	u := base
	if reference != "" {
		u = resolve(base, reference)
	}
	u, fragment, _ := strings.Cut(u, "#")
	fragment, err := url.PathUnescape(fragment)
	if err != nil {
		return "", "", false
	}
	s, at := f.find(u), ""
	if s == nil {
		if s, at = f.embedded(u); s == nil {
			return "", "", false
		}
	}
	if fragment == "" || strings.HasPrefix(fragment, "/") {
		return s.path, at + fragment, true
	}
	at, ok = findSchema(s.tree, "", func(_ string, node map[string]any) bool {
		return node["$anchor"] == fragment || node[idOf(s.dialect)] == "#"+fragment
	})
	return s.path, at, ok
}

// embedded finds the schema inside a file that has this "$id".
func (f *schemaFiles) embedded(u string) (*source, string) {
	for _, path := range f.paths() {
		s := f.byPath[path]
		bases := map[string]string{"": s.base()}
		at, ok := findSchema(s.tree, "", func(at string, node map[string]any) bool {
			id, ok := node[idOf(s.dialect)].(string)
			if !ok || at == "" || strings.HasPrefix(id, "#") {
				return false
			}
			bases[at] = resolve(baseAt(bases, at), id)
			return bases[at] == u
		})
		if ok {
			return s, at
		}
	}
	return nil, ""
}

// findSchema returns the place of the first schema object that is wanted.
func findSchema(tree any, at string, wanted func(at string, node map[string]any) bool) (string, bool) {
	node, ok := tree.(map[string]any)
	if !ok {
		return "", false
	}
	if wanted(at, node) {
		return at, true
	}
	for _, name := range sortedKeys(node) {
		here := at + "/" + strictjson.EscapeToken(name)
		var children map[string]any // by pointer
		switch value := node[name].(type) {
		case map[string]any:
			children = map[string]any{here: value}
			if places[name] == namedSchemas {
				children = make(map[string]any, len(value))
				for each, v := range value {
					children[here+"/"+strictjson.EscapeToken(each)] = v
				}
			}
		case []any:
			children = make(map[string]any, len(value))
			for i, v := range value {
				children[here+"/"+strconv.Itoa(i)] = v
			}
		}
		if places[name] == 0 {
			continue
		}
		for _, child := range slices.Sorted(slices.Values(sortedKeys(children))) {
			if found, ok := findSchema(children[child], child, wanted); ok {
				return found, true
			}
		}
	}
	return "", false
}
