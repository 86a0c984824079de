package schema

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"eventgateway/internal/schema/ecma"
	"eventgateway/internal/strictjson"
)

// librarySchema is a schema file as the schema library gets it: the library knows the
// drafts by one address each, its regular expressions are Go's, and it ignores an empty
// "enum". What the file says stays in source.
type librarySchema struct {
	tree     any
	text     []byte
	problems []Problem // what the library would refuse in words of its own, or misread
	warnings []Problem // what the file may mean differently, see warnings.go
}

// libraryWriter makes a librarySchema.
type libraryWriter struct {
	*source
	lint     *lint
	problems []Problem
	changed  bool
	renamed  map[string]string // patterns that name members of patternProperties
	refs     []map[string]any  // schemas with a "$ref"
}

// forLibrary translates a file. Its draft is known.
func forLibrary(s *source) librarySchema {
	w := libraryWriter{source: s, lint: newLint(s), renamed: make(map[string]string)}
	tree := w.schema(s.tree, "")
	w.renameInRefs()
	result := librarySchema{tree: s.tree, text: s.data, problems: w.problems, warnings: w.lint.warnings()}
	if !w.changed {
		return result
	}
	text, err := json.Marshal(tree)
	if err != nil {
		result.problems = append(result.problems, s.problem("", "cannot be written for the schema library: %v", err)) // cannot be: it has been parsed
		return result
	}
	result.tree, result.text = tree, text
	return result
}

// schema translates the schema at a pointer, and what is below it.
func (w *libraryWriter) schema(v any, at string) any {
	node, ok := v.(map[string]any)
	if !ok {
		return v
	}
	w.lint.look(node, at)
	node = maps.Clone(node)
	w.schemaKeyword(node, at)
	w.pattern(node, at)
	for _, name := range sortedKeys(node) {
		here := at + "/" + strictjson.EscapeToken(name)
		switch places[name] {
		case aSchema, manySchemas:
			if list, ok := node[name].([]any); ok {
				node[name] = w.list(list, here)
			} else {
				node[name] = w.schema(node[name], here)
			}
		case namedSchemas:
			if named, ok := node[name].(map[string]any); ok {
				node[name] = w.named(named, here, name == "patternProperties")
			}
		case 0:
			if !w.lint.keywords[name] && !strings.HasPrefix(name, "x-") {
				node[name] = w.unknown(node[name])
			}
		}
	}
	if list, ok := node["enum"].([]any); ok && len(list) == 0 && w.dialect != "4" {
		w.nothing(node)
	}
	if _, ok := node["$ref"].(string); ok {
		w.refs = append(w.refs, node)
	}
	return node
}

func (w *libraryWriter) list(list []any, at string) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = w.schema(v, at+"/"+strconv.Itoa(i))
	}
	return out
}

func (w *libraryWriter) named(named map[string]any, at string, patterns bool) map[string]any {
	out := make(map[string]any, len(named))
	for _, name := range sortedKeys(named) {
		here := at + "/" + strictjson.EscapeToken(name)
		key := name
		if patterns {
			key = w.translate(name, here)
			for _, taken := out[key]; taken; _, taken = out[key] {
				key += "(?:)" // two patterns with one translation
			}
			if key != name {
				w.renamed[name] = key
			}
		}
		out[key] = w.schema(named[name], here)
	}
	return out
}

// unknown translates the patterns below an unknown keyword, which may hold schemas that
// references lead to, such as "components". What cannot be translated stays: the library
// refuses it if a reference leads there.
func (w *libraryWriter) unknown(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, each := range v {
			out[i] = w.unknown(each)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, each := range v {
			if pattern, ok := each.(string); ok && name == "pattern" {
				if re2, _, err := ecma.Translate(pattern); err == nil && re2 != pattern {
					w.changed, each = true, re2
				}
			}
			out[name] = w.unknown(each)
		}
		return out
	}
	return v
}

// schemaKeyword writes the draft's own address. A schema inside a file is of the file's
// draft: the library would read another one's keywords by the rules of the file's.
func (w *libraryWriter) schemaKeyword(node map[string]any, at string) {
	value, stated := node["$schema"]
	address, isString := value.(string)
	switch {
	case !stated || !isString && at == "":
		return
	case !isString:
		w.problems = append(w.problems, w.problem(at+"/$schema", "must be a string, for example %q", dialectURLs[newestDialect]))
		return
	}
	root, _ := w.tree.(map[string]any)
	named := dialectNamed(address)
	switch {
	case named == "" && (at == "" || address == root["$schema"]):
		return // another file of the folder, or unknown: check says so
	case at != "" && named != w.dialect:
		of := "draft " + named
		if named == "" {
			of = quoted(address)
		}
		w.problems = append(w.problems, w.problem(at+"/$schema",
			"is of %s inside a file of draft %s, by whose rules it would be read; move the schema to a file of its own and refer to it", of, w.dialect))
	case address != dialectURLs[named]:
		node["$schema"] = dialectURLs[named]
		w.changed = true
	}
}

func (w *libraryWriter) pattern(node map[string]any, at string) {
	if pattern, ok := node["pattern"].(string); ok {
		node["pattern"] = w.translate(pattern, at+"/pattern")
	}
}

// translate writes a pattern for Go. One that cannot be is reported here, in words, and
// becomes the empty pattern, so that the library does not report it, too.
func (w *libraryWriter) translate(pattern, at string) string {
	re2, notes, err := ecma.Translate(pattern)
	for _, note := range notes {
		w.lint.warn(at, "the pattern %s %s", quoted(pattern), note)
	}
	if err != nil {
		w.problems = append(w.problems, w.problem(at, "the pattern %s cannot be used: %v", quoted(pattern), err))
		re2 = ""
	}
	w.changed = w.changed || re2 != pattern
	return re2
}

// nothing writes an empty "enum", which no value meets, as "not": {}.
func (w *libraryWriter) nothing(node map[string]any) {
	delete(node, "enum")
	w.changed = true
	never := map[string]any{"not": map[string]any{}}
	if _, taken := node["not"]; !taken {
		node["not"] = never["not"]
		return
	}
	all, _ := node["allOf"].([]any)
	node["allOf"] = append(slices.Clone(all), never)
}

// renameInRefs makes references go through the translated names of patternProperties.
func (w *libraryWriter) renameInRefs() {
	for _, node := range w.refs {
		ref, _ := node["$ref"].(string)
		before, fragment, ok := strings.Cut(ref, "#/")
		if !ok || len(w.renamed) == 0 {
			continue
		}
		tokens := strings.Split(fragment, "/")
		for i := 1; i < len(tokens); i++ {
			plain, err := url.PathUnescape(tokens[i])
			name, ok := strictjson.UnescapeToken(plain)
			if key, renamed := w.renamed[name]; renamed && ok && err == nil && tokens[i-1] == "patternProperties" {
				tokens[i] = url.PathEscape(strictjson.EscapeToken(key))
				w.changed = true
			}
		}
		node["$ref"] = before + "#/" + strings.Join(tokens, "/")
	}
}
