package describe

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// receiptsPath stays in the description of one event type: the sender of an event may
// want to know what happened to it.
const receiptsPath = "/v1/receipts"

// withoutOthers removes all paths but the one of the receipts from a description, and
// then the components that nothing refers to any more, except those that publishPath
// and the DELETE of deletePath need. Markers stay.
func withoutOthers(root *yaml.Node) {
	doc := root.Content[0]
	paths := value(doc, "paths")
	needed := append(references(value(paths, publishPath)), references(value(value(paths, deletePath), "delete"))...)
	keep(paths, func(name string) bool { return name == receiptsPath || isMarker(name) })
	needed = append(needed, references(paths)...)
	components := value(doc, "components")
	for i := 0; i < len(needed); i++ { // it grows
		for _, each := range references(find(components, needed[i])) {
			if !slices.Contains(needed, each) {
				needed = append(needed, each)
			}
		}
	}
	for i := 0; i < len(components.Content); i += 2 {
		kind := components.Content[i].Value
		if kind == "securitySchemes" { // they are named, not referenced
			continue
		}
		keep(components.Content[i+1], func(name string) bool {
			return isMarker(name) || slices.Contains(needed, kind+"/"+name)
		})
	}
}

func isMarker(name string) bool { return strings.HasPrefix(name, marker("")) }

// value is the value of a mapping's member; an empty node if there is none.
func value(mapping *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i+1]
		}
	}
	return &yaml.Node{}
}

// find is the component with a kind and a name; an empty node if there is none.
func find(components *yaml.Node, ref string) *yaml.Node {
	kind, name, _ := strings.Cut(ref, "/")
	return value(value(components, kind), name)
}

// keep drops the members whose names are not wanted.
func keep(mapping *yaml.Node, wanted func(name string) bool) {
	kept := mapping.Content[:0]
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if wanted(mapping.Content[i].Value) {
			kept = append(kept, mapping.Content[i], mapping.Content[i+1])
		}
	}
	mapping.Content = kept
}

// references are the references to components, as kind/name.
func references(n *yaml.Node) []string {
	var all []string
	if name, ok := strings.CutPrefix(n.Value, "#/components/"); ok && n.Kind == yaml.ScalarNode {
		all = append(all, name)
	}
	for _, each := range n.Content {
		all = append(all, references(each)...)
	}
	return all
}
