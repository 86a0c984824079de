package schema

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"eventgateway/internal/schema/formats"
	"eventgateway/internal/strictjson"
)

// folderURL is the URL of the schemas folder for the compiler. A reference that is
// resolved against it cannot leave it (RFC 3986 §5.2.4).
const folderURL = "schemas:///"

// source is one schema file, parsed.
type source struct {
	file
	tree    any
	dialect string // 4, 6, 7, 2019-09 or 2020-12
	ownMeta bool   // its "$schema" is another file of the folder
	url     string // its place in the folder
	id      string // its "$id", resolved; or empty
	library librarySchema
}

// compiler compiles the files of one folder. They can refer to each other only: it
// has no access to a network or file system.
type compiler struct {
	*jsonschema.Compiler
	*schemaFiles
	missing []string // URLs that were not found since it was last cleared
	// the choices of all schemas that were compiled, and those schemas
	choices choices
	seen    map[*jsonschema.Schema]bool
}

func newCompiler(sources []*source) (*compiler, []Problem) {
	c := &compiler{
		Compiler:    jsonschema.NewCompiler(),
		choices:     make(choices),
		seen:        make(map[*jsonschema.Schema]bool),
		schemaFiles: &schemaFiles{byPath: make(map[string]*source), byURL: make(map[string]*source)},
	}
	c.AssertFormat = true
	for _, name := range formats.Names() {
		c.Formats[name] = formats.OfValue(name)
	}
	c.AssertContent = false
	// Drafts 6 and 7 assert content whatever AssertContent says.
	for name := range jsonschema.Decoders {
		c.Decoders[name] = nil
	}
	for name := range jsonschema.MediaTypes {
		c.MediaTypes[name] = nil
	}
	c.LoadURL = c.load
	var problems []Problem
	for _, s := range sources {
		c.byPath[s.path], c.byURL[s.url] = s, s
	}
	for _, s := range sources {
		if s.id == "" || s.id == s.url {
			continue
		}
		if other, taken := c.byURL[s.id]; taken {
			problems = append(problems, s.problem("/"+idOf(s.dialect), "%q is also the name of %s; give each file its own", s.id, other.path))
			continue
		}
		c.byURL[s.id] = s
		if base, ok := strings.CutSuffix(s.id, "/"+s.path); ok && !slices.Contains(c.bases, base+"/") {
			c.bases = append(c.bases, base+"/")
		}
	}
	return c, problems
}

// format is how the compiled schemas check a format; nil if they ignore it.
func (c *compiler) format(name string) func(any) bool {
	if check, ok := c.Formats[name]; ok {
		return check
	}
	return jsonschema.Formats[name]
}

// newSource parses a file and finds its URLs.
func newSource(f file) (*source, *Problem) {
	doc, err := parse(f.data) // never released: the tree lives as long as the set
	if err != nil {
		var syntax *syntaxError
		if !errors.As(err, &syntax) {
			return nil, &Problem{File: f.path, What: err.Error()}
		}
		return nil, &Problem{
			File: f.path, Line: syntax.Line, Pointer: syntax.Pointer,
			What: fmt.Sprintf("column %d: %s", syntax.Column, syntax.What),
		}
	}
	tree := doc.Root
	_, dialect := statedDialect(tree)
	s := &source{file: f, tree: tree, dialect: dialect, ownMeta: dialect == "", url: folderURL + (&url.URL{Path: f.path}).EscapedPath()}
	root, _ := tree.(map[string]any)
	if id, ok := root[idOf(s.dialect)].(string); ok {
		id, _, _ = strings.Cut(id, "#")
		s.id = resolve(s.url, id)
	}
	return s, nil
}

func (s *source) problem(pointer, format string, args ...any) Problem {
	return Problem{
		File: s.path, Line: strictjson.LineOf(s.data, pointer), Pointer: pointer,
		What: shorten(fmt.Sprintf(format, args...)),
	}
}

// absoluteID is the schema's "$id" if it is an absolute URI.
func (s *source) absoluteID() string {
	if strings.HasPrefix(s.id, folderURL) {
		return ""
	}
	return s.id
}

// resolve resolves a reference; empty if it is empty or one of the two is not a URI.
func resolve(base, reference string) string {
	b, err := url.Parse(base)
	if err != nil || reference == "" {
		return ""
	}
	r, err := b.Parse(reference)
	if err != nil {
		return ""
	}
	return r.String()
}

// load gives jsonschema the files it asks for. A missing file becomes the schema
// true, so that one compilation finds all missing files; compile reports them.
func (c *compiler) load(u string) (io.ReadCloser, error) {
	text := "true"
	if s := c.find(u); s != nil {
		text = string(s.library.text)
	} else {
		c.missing = append(c.missing, u)
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// check validates a file against the metaschema of its draft.
func (c *compiler) check(s *source) (problems []Problem) {
	defer func() {
		if r := recover(); r != nil {
			problems = []Problem{s.problem("", "the schema library cannot read it: %v", r)}
		}
	}()
	if problems = s.library.problems; problems != nil {
		return problems
	}
	address := dialectURLs[s.dialect]
	if root, ok := s.library.tree.(map[string]any); ok && root["$schema"] != nil {
		if address, ok = root["$schema"].(string); !ok {
			return []Problem{s.problem("/$schema", "must be a string, for example %q", dialectURLs[newestDialect])}
		}
	}
	var meta *jsonschema.Schema
	var err error
	if c.missing = nil; address != "" {
		meta, err = c.Compile(resolve(s.url, address))
	}
	if meta == nil || err != nil || len(c.missing) > 0 {
		return []Problem{s.problem("/$schema", "%q is not known; use draft 4, 6, 7, 2019-09 or 2020-12, for example %q",
			address, dialectURLs[dialectMeant(address)])}
	}
	err = meta.Validate(s.library.tree)
	var invalid *jsonschema.ValidationError
	switch {
	case err == nil:
	case errors.As(err, &invalid):
		c.choices.add(meta, c.seen)
		violations := rankedViolations(invalid, nil, c.choices.in(s.library.tree), nil)
		for _, v := range violations[:min(len(violations), maxViolations)] {
			if v.rank > violations[0].rank {
				break // what is wrong under variants that were not meant
			}
			problems = append(problems, s.problem(v.Pointer, "is not a valid schema (%s): %s", v.Keyword, v.Message))
		}
	default:
		problems = append(problems, s.problem("", "is not a valid schema: %v", err))
	}
	return problems
}

// compile compiles a file that has passed check.
func (c *compiler) compile(s *source) (compiled *jsonschema.Schema, problems []Problem) {
	defer func() {
		if r := recover(); r != nil {
			problems = []Problem{s.problem("", "the schema library cannot compile it: %v", r)}
		}
	}()
	c.missing = nil
	compiled, err := c.Compile(s.url)
	for _, u := range c.missing {
		problems = append(problems, c.missingProblem(s, u))
	}
	if err != nil && problems == nil {
		cause := err
		var failed *jsonschema.SchemaError
		if errors.As(err, &failed) {
			cause = failed.Err
		}
		problems = append(problems, c.compileProblem(s, cause))
	}
	return compiled, problems
}

// missingProblem finds the place of the reference to a missing file.
func (c *compiler) missingProblem(s *source, u string) Problem {
	what := fmt.Sprintf("no file has the \"$id\" %s; references stay inside the schemas folder: name a file by relative path or by its \"$id\"", u)
	if name, ok := strings.CutPrefix(u, folderURL); ok {
		what = fmt.Sprintf("there is no file %s in the schemas folder, and a reference cannot leave it", name)
		what += didYouMean(name, c.paths())
	}
	for _, from := range c.inOrder(s) {
		if at, ok := referenceTo(from.tree, from.base(), "", func(r string) bool { return r == u }); ok {
			return from.problem(at, "%s", what)
		}
	}
	return s.problem("", "%s", what)
}

func (c *compiler) compileProblem(s *source, cause error) Problem {
	text := strings.TrimPrefix(cause.Error(), "jsonschema: ")
	var loop jsonschema.InfiniteLoopError
	if errors.As(cause, &loop) {
		return s.problem("", "refers to itself without end: %s", strings.ReplaceAll(string(loop), folderURL, ""))
	}
	if target, ok := strings.CutSuffix(text, " not found"); ok {
		for _, from := range c.inOrder(s) {
			if at, ok := referenceWhole(from.tree, from.base(), "", target); ok {
				return from.problem(at, "%s does not exist: the file has nothing there", strings.ReplaceAll(target, folderURL, ""))
			}
		}
	}
	return s.problem("", "does not compile: %s", strings.ReplaceAll(text, folderURL, ""))
}

// inOrder returns all sources, first s, then the others by path.
func (c *compiler) inOrder(s *source) []*source {
	sources := []*source{s}
	for _, p := range c.paths() {
		if p != s.path {
			sources = append(sources, c.byPath[p])
		}
	}
	return sources
}

// base is the base URI of the file's references.
func (s *source) base() string {
	if s.id != "" {
		return s.id
	}
	return s.url
}

// referenceTo finds the place of a "$ref" whose target, without fragment, is
// wanted.
func referenceTo(tree any, base, at string, wanted func(string) bool) (string, bool) {
	return findReference(tree, base, at, func(target string) bool {
		target, _, _ = strings.Cut(target, "#")
		return wanted(target)
	})
}

// referenceWhole finds the place of a "$ref" by its whole target.
func referenceWhole(tree any, base, at, target string) (string, bool) {
	return findReference(tree, base, at, func(t string) bool { return t == target })
}

func findReference(tree any, base, at string, wanted func(string) bool) (string, bool) {
	switch node := tree.(type) {
	case map[string]any:
		if id, ok := node["$id"].(string); ok && at != "" {
			base = resolve(base, id)
		}
		for _, name := range sortedKeys(node) {
			here := at + "/" + strictjson.EscapeToken(name)
			if text, ok := node[name].(string); ok && slices.Contains([]string{"$ref", "$dynamicRef", "$recursiveRef"}, name) {
				if wanted(resolve(base, text)) {
					return here, true
				}
			}
			if found, ok := findReference(node[name], base, here, wanted); ok {
				return found, true
			}
		}
	case []any:
		for i, item := range node {
			if found, ok := findReference(item, base, at+"/"+strconv.Itoa(i), wanted); ok {
				return found, true
			}
		}
	}
	return "", false
}
