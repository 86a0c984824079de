package api

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// document is openapi.yaml, with what is needed to ask it questions.
type document struct {
	raw  []byte
	root map[string]any

	mu       sync.Mutex // of the compiler
	compiler *jsonschema.Compiler
}

// object is a JSON object inside the document and the JSON Pointer to it.
type object struct {
	doc     *document
	pointer string
	members map[string]any
}

const documentURL = "https://gateway.invalid/openapi.json"

func openAPI(tb testing.TB) *document {
	tb.Helper()
	d, err := theDocument()
	require.NoError(tb, err)
	return d
}

// theDocument is read once: nobody changes it.
var theDocument = sync.OnceValues(func() (*document, error) {
	raw, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		return nil, err
	}
	d := &document{raw: raw, compiler: jsonschema.NewCompiler()}
	if err := yaml.Unmarshal(raw, &d.root); err != nil {
		return nil, err
	}
	text, err := json.Marshal(d.root)
	if err != nil {
		return nil, err
	}
	// Once through JSON, so that values are of the types that validators know.
	d.root = nil
	if err := json.Unmarshal(text, &d.root); err != nil {
		return nil, err
	}
	d.compiler.AssertFormat = true
	return d, d.compiler.AddResource(documentURL, bytes.NewReader(text))
})

func (d *document) at(pointer string) object {
	var node any = d.root
	for _, part := range strings.Split(pointer, "/")[1:] {
		switch parent := node.(type) {
		case map[string]any:
			node = parent[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(parent) {
				return object{d, pointer, nil}
			}
			node = parent[i]
		}
	}
	members, _ := node.(map[string]any)
	return object{d, pointer, members}
}

// get is a member, or where its $ref points.
func (o object) get(name string) object {
	child := o.doc.at(o.pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	if ref, ok := child.members["$ref"].(string); ok {
		return o.doc.at(strings.TrimPrefix(ref, "#"))
	}
	return child
}

func (o object) names() []string { return slices.Sorted(maps.Keys(o.members)) }

// validate holds a value to a schema of the document.
func (o object) validate(tb testing.TB, value any) {
	tb.Helper()
	require.NotNil(tb, o.members, "no schema at %s", o.pointer)
	o.doc.mu.Lock()
	schema, err := o.doc.compiler.Compile(documentURL + "#" + strings.NewReplacer("{", "%7B", "}", "%7D").Replace(o.pointer))
	o.doc.mu.Unlock()
	require.NoError(tb, err)
	require.NoError(tb, schema.Validate(value), "%s", o.pointer)
}

// operations by "METHOD /path".
func (d *document) operations() map[string]object {
	found := map[string]object{}
	for _, path := range d.at("/paths").names() {
		item := d.at("/paths").get(path)
		for _, method := range item.names() {
			found[strings.ToUpper(method)+" "+path] = item.get(method)
		}
	}
	return found
}
