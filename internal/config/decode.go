package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"eventgateway/internal/spelling"
)

const (
	aliasProblem = "is a YAML alias, which is not supported"
	aliasFix     = `write the value out; quote one that begins with "*"`
)

// decoder puts one YAML file into a Config and collects what is wrong with it.
type decoder struct {
	file   string
	env    map[string]string
	cfg    *Config
	errs   *collector
	budget int // bytes that ${NAME} may still expand to
}

// decode reads the file. It returns false if the file is not a configuration at all:
// validating its values would make no sense.
func (d *decoder) decode(data []byte) bool {
	reader := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := reader.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		d.syntax(err)
		return false
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		d.errs.add(d.file, "", "is empty", "write at least auth: none")
		return false
	}
	if err := reader.Decode(&second); err == nil {
		d.errs.add(d.file, d.at(&second), "holds more than one YAML document", "keep one")
		return false
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err)
		return false
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		d.errs.add(d.file, d.at(root), "is "+kindName(root)+", not a mapping", "write sections such as http: and kafka: at its top")
		return false
	}
	d.mapping("", root, reflect.ValueOf(d.cfg).Elem())
	return true
}

var syntaxLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func (d *decoder) syntax(err error) {
	text, source := err.Error(), ""
	if match := syntaxLine.FindStringSubmatch(text); match != nil {
		text = text[len(match[0]):]
		if match[1] != "" {
			source = d.file + ":" + match[1]
		}
	}
	if strings.HasPrefix(text, "unknown anchor") {
		text = "names an anchor that does not exist" // the name may be a password that begins with "*"
	}
	problem := "is not YAML: " + strings.Trim(quote(text), `"`)
	d.errs.add(d.file, source, problem, "look at indentation and quotes near that line")
}

func (d *decoder) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d", d.file, n.Line) }

// nodeDecoder is implemented by values that are written as YAML nodes of several kinds.
// They add what is wrong, and where each value came from, to the decoder.
type nodeDecoder interface {
	decodeNode(d *decoder, path string, n *yaml.Node)
}

// value puts a node into a field: the field itself reads it if it can, else its kind
// decides.
func (d *decoder) value(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind == yaml.AliasNode {
		d.errs.add(path, d.at(n), aliasProblem, aliasFix)
		return
	}
	if node, ok := as[nodeDecoder](v); ok {
		node.decodeNode(d, path, n)
		return
	}
	if _, ok := as[encoding.TextUnmarshaler](v); ok {
		d.scalar(path, n, v)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(path, n, v.Elem())
	case reflect.Struct:
		d.cfg.origins[path] = origin{source: d.at(n)}
		d.mapping(path, n, v)
	case reflect.Slice:
		d.slice(path, n, v)
	default:
		d.scalar(path, n, v)
	}
}

// slice decodes a list of mappings or of values; one text with commas will do for a
// list of plain texts.
func (d *decoder) slice(path string, n *yaml.Node, v reflect.Value) {
	switch of := v.Type().Elem(); {
	case of.Kind() == reflect.Struct:
		d.items(path, n, v)
	case n.Kind == yaml.ScalarNode && of == reflect.TypeFor[string]():
		d.scalar(path, n, v)
	default:
		d.list(path, n, v)
	}
}

func (d *decoder) mapping(path string, n *yaml.Node, v reflect.Value) {
	names, fields := fieldNames(v.Type())
	d.pairs(path, n, func(name string, key, node *yaml.Node) {
		at := join(path, shownKey(name))
		if i, ok := fields[name]; ok {
			d.value(at, node, v.Field(i))
			return
		}
		problem, fix := unknownKey(at, name, names)
		d.errs.add(at, d.at(key), problem, fix)
	})
}

// pairs visits the entries of a mapping, once per key. An empty value counts as an empty
// mapping: it is what remains when all keys are commented out.
func (d *decoder) pairs(path string, n *yaml.Node, visit func(name string, key, node *yaml.Node)) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.errs.add(path, d.at(n), "is "+kindName(n)+", not a mapping", "write its keys indented below it")
		return
	}
	lines := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, node := n.Content[i], n.Content[i+1]
		switch {
		case key.ShortTag() == "!!merge":
			d.errs.add(join(path, "<<"), d.at(key), "YAML merge keys are not supported", "write the keys out")
		case key.Kind != yaml.ScalarNode || isNull(key):
			d.errs.add(join(path, "?"), d.at(key), "a key is "+kindName(key)+", not a name", "write a name before the colon")
		case lines[key.Value] != 0:
			first := fmt.Sprintf("keep one, the first is on line %d", lines[key.Value])
			d.errs.add(join(path, shownKey(key.Value)), d.at(key), "is given twice", first)
		default:
			lines[key.Value] = key.Line
			visit(key.Value, key, node)
		}
	}
}

var itemIndex = regexp.MustCompile(`\[[0-9]+\]`)

func unknownKey(path, name string, siblings []string) (problem, fix string) {
	for _, later := range laterKeys {
		if itemIndex.ReplaceAllString(path, "[]") == later {
			return "is not available in this version", "remove it"
		}
	}
	// Two edits in six letters are a misspelling; two edits in three are another word.
	if best, edits := spelling.Nearest(name, siblings); edits <= max(1, len(best)/3) {
		return "is an unknown key", "did you mean " + best + "?"
	}
	return "is an unknown key", "remove it; the keys here are " + strings.Join(siblings, ", ")
}

func (d *decoder) list(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.errs.add(path, d.at(n), "is "+kindName(n)+", not a list", `write ["first", "second"]`)
		return
	}
	items := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, node := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		text, o, ok := d.text(at, node, mustHaveText(items.Index(i)))
		if f := setText(items.Index(i), text, o.show(text)); ok && f != nil {
			d.errs.add(at, o.source, f.problem, f.fix)
		}
		d.cfg.origins[at] = o
	}
	v.Set(items)
	d.cfg.origins[path] = origin{source: d.at(n)}
}

// items decodes a list of mappings.
func (d *decoder) items(path string, n *yaml.Node, v reflect.Value) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.errs.add(path, d.at(n), "is "+kindName(n)+", not a list", "write each item on lines of its own that begin with a dash")
		return
	}
	d.cfg.origins[path] = origin{source: d.at(n)}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, node := range n.Content {
		if item, ok := list.Index(i).Addr().Interface().(withDefaults); ok {
			item.setDefaults()
		}
		d.value(fmt.Sprintf("%s[%d]", path, i), node, list.Index(i))
	}
	v.Set(list)
}

func (d *decoder) scalar(path string, n *yaml.Node, v reflect.Value) {
	text, o, ok := d.text(path, n, mustHaveText(v))
	if !ok {
		return
	}
	if f := setText(v, text, o.show(text)); f != nil {
		d.errs.add(path, o.source, f.problem, f.fix)
		return
	}
	d.cfg.origins[path] = o
}

func mustHaveText(v reflect.Value) bool {
	_, must := as[neverEmpty](v)
	return must
}

// text returns a scalar with its variables expanded. If it must have a text, one that
// is empty because its variable is empty is an error.
func (d *decoder) text(path string, n *yaml.Node, mustHaveText bool) (string, origin, bool) {
	o := origin{source: d.at(n)}
	switch {
	case n.Kind == yaml.AliasNode:
		d.errs.add(path, o.source, aliasProblem, aliasFix)
		return "", o, false
	case n.Kind != yaml.ScalarNode:
		d.errs.add(path, o.source, "is "+kindName(n)+", not a single value", "write one value after the colon")
		return "", o, false
	case isNull(n):
		d.errs.add(path, o.source, "has no value", `write one ("" if it is to be empty), or remove the key to get the default`)
		return "", o, false
	case !plainTags[n.ShortTag()]:
		d.errs.add(path, o.source, "has a YAML tag that is not supported", `remove the tag; quote a value that begins with "!"`)
		return "", o, false
	}
	e := expand(n.Value, d.env, d.budget)
	o.hidden = e.used
	for _, f := range e.faults {
		d.errs.add(path, o.source, f.problem, f.fix)
	}
	if e.used {
		d.budget -= len(e.text)
	}
	if mustHaveText && e.text == "" && e.empty != "" {
		d.errs.add(path, o.source, "is empty, because "+emptySource(e.empty)+" is", "set it, or write ${NAME:-} if empty is meant")
		return "", o, false
	}
	if strings.ContainsRune(e.text, 0) {
		d.errs.add(path, o.source, "holds a NUL character", "remove it")
		return "", o, false
	}
	return e.text, o, len(e.faults) == 0
}

var plainTags = map[string]bool{
	"!!str": true, "!!int": true, "!!float": true, "!!bool": true, "!!timestamp": true, "!!merge": true,
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func kindName(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "a YAML alias"
	case isNull(n):
		return "empty"
	default:
		return "a single value"
	}
}

var cleanKey = regexp.MustCompile(`^[A-Za-z0-9_.{}-]{1,64}$`)

// shownKey is a key as it may stand in a path: a strange one is quoted.
func shownKey(name string) string {
	if cleanKey.MatchString(name) {
		return name
	}
	return quote(name)
}
