package schema

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"eventgateway/internal/strictjson"
)

// dialectURLs are the metaschemas of the supported drafts.
var dialectURLs = map[string]string{
	"4":       "http://json-schema.org/draft-04/schema#",
	"6":       "http://json-schema.org/draft-06/schema#",
	"7":       "http://json-schema.org/draft-07/schema#",
	"2019-09": "https://json-schema.org/draft/2019-09/schema",
	"2020-12": "https://json-schema.org/draft/2020-12/schema",
}

// newestDialect is the draft of a file that does not say.
const newestDialect = "2020-12"

// dialectNamed is the draft that a "$schema" names, "" if it names none. Real files
// spell the address with http or https, with and without "#" or "/" at the end, and in
// capitals; the address without a draft always meant the newest.
func dialectNamed(address string) string {
	plain := bareAddress(address)
	if plain == "json-schema.org/schema" {
		return newestDialect
	}
	for dialect, u := range dialectURLs {
		if plain == bareAddress(u) {
			return dialect
		}
	}
	return ""
}

// bareAddress is an address without what its spellings differ in.
func bareAddress(address string) string {
	plain := strings.ToLower(address)
	for _, prefix := range []string{"http://", "https://", "www."} {
		plain = strings.TrimPrefix(plain, prefix)
	}
	return strings.TrimRight(plain, "#/")
}

// dialectMeant is the draft that an unknown "$schema" may have meant.
func dialectMeant(address string) string {
	plain := strings.NewReplacer("_", "-", "/", "-").Replace(strings.ToLower(address))
	for _, dialect := range []string{"2020-12", "2019-09", "7", "6", "4"} {
		for _, text := range []string{dialect, "draft-0" + dialect, "draft-" + dialect, "draft" + dialect, "draft0" + dialect} {
			if (len(dialect) > 1 || text != dialect) && strings.Contains(plain, text) {
				return dialect
			}
		}
	}
	return newestDialect
}

// statedDialect reads a file's "$schema": its address, and the draft that it names. The
// draft is "" if the address is none of a draft: it may be another file of the folder.
func statedDialect(tree any) (address, dialect string) {
	root, _ := tree.(map[string]any)
	value, stated := root["$schema"]
	address, isString := value.(string)
	if !stated || !isString {
		return "", newestDialect
	}
	return address, dialectNamed(address)
}

// resolveDialects finds the drafts of the files whose "$schema" is another file of the
// folder: they are of the draft of that file. What leads nowhere counts as the newest
// draft; check refuses it.
func resolveDialects(sources []*source) {
	byURL := make(map[string]*source, 2*len(sources))
	for _, s := range sources {
		byURL[s.url] = s
		if s.id != "" {
			byURL[s.id] = s
		}
	}
	for _, s := range sources {
		if s.dialect != "" {
			continue
		}
		at := s
		for range sources { // no longer than the longest way without a loop
			address, dialect := statedDialect(at.tree)
			if dialect != "" {
				s.dialect = dialect
				break
			}
			address, _, _ = strings.Cut(resolve(at.url, address), "#")
			if at = byURL[address]; at == nil {
				break
			}
		}
		if s.dialect == "" {
			s.dialect = newestDialect
		}
	}
}

// idOf is "$id", or "id" in draft 4.
func idOf(dialect string) string {
	if dialect == "4" {
		return "id"
	}
	return "$id"
}

// As translates the schema to draft 7 or 2020-12. In draft 7, unevaluatedItems,
// unevaluatedProperties, minContains and maxContains are left out: the result then
// accepts a little more. The error is ErrNotPortable for drafts before 7, and if a
// reference goes through a keyword that has another name in the other draft.
func (p Portable) As(dialect string) (Portable, error) {
	if p.Dialect == dialect && dialect == "2020-12" {
		return p, nil
	}
	change := map[[2]string]func([]member) []member{
		{"7", "2020-12"}: func(list []member) []member { return in2020(aloneWithRef(list)) }, {"2019-09", "2020-12"}: in2020,
		{"2020-12", "7"}: in7, {"2019-09", "7"}: in7,
		{"7", "7"}: aloneWithRef,
	}[[2]string{p.Dialect, dialect}]
	if change == nil {
		return Portable{}, fmt.Errorf("%w: it is of draft %s", ErrNotPortable, p.Dialect)
	}
	out := Portable{Dialect: dialect, places: p.places}
	var refs []string
	for _, part := range p.Parts {
		changed := rewrite(part.Schema, "", func(_ string, list []member) []member {
			list = change(list)
			if ref, ok := textOf(find(list, "$ref")); ok {
				refs = append(refs, ref)
			}
			return list
		})
		out.Parts = append(out.Parts, Part{Path: part.Path, Schema: changed})
	}
	// A reference that leads nowhere would make the whole document unreadable to tools.
	for _, ref := range refs {
		if !out.leadsSomewhere(ref) {
			return out, fmt.Errorf("%w: the reference %s leads nowhere there", ErrNotPortable, ref)
		}
	}
	return out, nil
}

// aloneWithRef drops the keywords that draft 7 ignores beside a reference.
func aloneWithRef(list []member) []member {
	if find(list, "$ref") == nil {
		return list
	}
	return slices.DeleteFunc(list, func(m member) bool {
		return !slices.Contains([]string{"$ref", "$defs", "definitions", "title", "description"}, m.name)
	})
}

// in2020 renames the keywords that have other names in older drafts.
func in2020(list []member) []member {
	tuple := find(list, "items").Kind() == '['
	var out []member
	for _, m := range list {
		switch {
		case m.name == "items" && tuple:
			m.name = "prefixItems"
		case m.name == "additionalItems" && tuple:
			m.name = "items"
		case m.name == "additionalItems":
			continue
		case m.name == "dependencies":
			out = append(out, splitDependencies(m)...)
			continue
		}
		out = append(out, m)
	}
	return out
}

func splitDependencies(m member) []member {
	named, ok := members(m.value)
	if !ok {
		return nil
	}
	var required, schemas, out []member
	for _, each := range named {
		if each.value.Kind() == '[' {
			required = append(required, each)
		} else {
			schemas = append(schemas, each)
		}
	}
	if required != nil {
		out = append(out, member{"dependentRequired", objectOf(required)})
	}
	if schemas != nil {
		out = append(out, member{"dependentSchemas", objectOf(schemas)})
	}
	return out
}

// in7 renames the keywords that have other names in draft 7.
func in7(list []member) []member {
	tuple := find(list, "prefixItems") != nil
	var out, dependencies []member
	for _, m := range list {
		switch {
		case slices.Contains([]string{"unevaluatedItems", "unevaluatedProperties", "minContains", "maxContains"}, m.name):
			continue
		case m.name == "prefixItems":
			m.name = "items"
		case m.name == "items" && tuple:
			m.name = "additionalItems"
		case m.name == "dependentRequired" || m.name == "dependentSchemas":
			named, _ := members(m.value)
			dependencies = append(dependencies, named...)
			continue
		}
		out = append(out, m)
	}
	if dependencies != nil {
		out = append(out, member{"dependencies", objectOf(dependencies)})
	}
	return refInAllOf(out)
}

// refInAllOf moves a reference into "allOf", because draft 7 would ignore the keywords
// beside it.
func refInAllOf(list []member) []member {
	ref := find(list, "$ref")
	if ref == nil || len(aloneWithRef(slices.Clone(list))) == len(list) {
		return list
	}
	all, _ := elements(find(list, "allOf"))
	all = append(all, objectOf([]member{{"$ref", ref}}))
	list = slices.DeleteFunc(list, func(m member) bool { return m.name == "$ref" || m.name == "allOf" })
	return append(list, member{"allOf", arrayOf(all)})
}

func (p Portable) leadsSomewhere(ref string) bool {
	pointer, err := url.PathUnescape(strings.TrimPrefix(ref, "#"))
	if err != nil {
		return false
	}
	// The longest place wins: the version's own file in a bundle has the empty one.
	var at *Part
	longest := -1
	for i, part := range p.Parts {
		place := p.places[part.Path]
		if len(place) > longest && (pointer == place || strings.HasPrefix(pointer, place+"/")) {
			at, longest = &p.Parts[i], len(place)
		}
	}
	return at != nil && standsAt(at.Schema, pointer[longest:])
}

func standsAt(v jsontext.Value, pointer string) bool {
	if pointer == "" {
		return true
	}
	token, rest, _ := strings.Cut(pointer[1:], "/")
	if rest != "" || strings.HasSuffix(pointer[1:], "/") {
		rest = "/" + rest
	}
	name, ok := strictjson.UnescapeToken(token)
	if !ok {
		return false
	}
	if list, ok := elements(v); ok {
		i, ok := strictjson.ArrayIndex(name)
		return ok && i < len(list) && standsAt(list[i], rest)
	}
	list, _ := members(v)
	child := find(list, name)
	return child != nil && standsAt(child, rest)
}
