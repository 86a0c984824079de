package schema

import (
	"fmt"
	"slices"
	"strings"

	"eventgateway/internal/schema/formats"
	"eventgateway/internal/spelling"
	"eventgateway/internal/strictjson"
)

// Warnings lists what the schema files say that probably means something else than
// their author thinks: unknown keywords above all, which JSON Schema ignores. They are
// ordered by file and line.
func (s *Set) Warnings() []Problem {
	if s.files == nil { // the empty set
		return nil
	}
	var all []Problem
	for _, path := range s.files.paths() {
		all = append(all, s.files.byPath[path].library.warnings...)
	}
	return all
}

// lint looks for such places in one file.
type lint struct {
	*source
	keywords map[string]bool // that have a meaning in the file's draft
	found    []*finding
	groups   map[string]*finding // by what is wrong
}

// finding is a place, and how many more of its kind there are.
type finding struct {
	at, what string
	more     int
}

func newLint(s *source) *lint {
	return &lint{source: s, keywords: keywordsOf(s.dialect), groups: make(map[string]*finding)}
}

// warn adds one place.
func (l *lint) warn(at, format string, args ...any) {
	l.found = append(l.found, &finding{at: at, what: fmt.Sprintf(format, args...)})
}

// group adds a place of a kind; only the first is shown.
func (l *lint) group(kind, at, format string, args ...any) {
	if f := l.groups[kind]; f != nil {
		f.more++
		return
	}
	l.warn(at, format, args...)
	l.groups[kind] = l.found[len(l.found)-1]
}

func (l *lint) warnings() []Problem {
	var all []Problem
	for _, f := range l.found {
		what := f.what
		if f.more > 0 {
			what += fmt.Sprintf(" (and at %d more places in this file)", f.more)
		}
		all = append(all, l.problem(f.at, "%s", what))
	}
	sortProblems(all)
	return all
}

// look examines one schema.
func (l *lint) look(node map[string]any, at string) {
	if _, ok := node["$ref"].(string); ok && l.before2019() {
		l.besideRef(node, at)
		return
	}
	for _, name := range sortedKeys(node) {
		here := at + "/" + strictjson.EscapeToken(name)
		if !strings.HasPrefix(name, "x-") && !l.keywords[name] {
			l.unknown(node, name, here)
			continue
		}
		switch name {
		case "format":
			l.format(node[name], here)
		case "enum":
			if list, ok := node[name].([]any); ok && len(list) == 0 {
				l.warn(here, "is empty, so that no value is valid; list the values, or write false for the whole schema if that is meant")
			}
		case "$schema":
			if address, ok := node[name].(string); ok && at == "" && bareAddress(address) == "json-schema.org/schema" {
				l.warn(here, "names no draft and is read as draft %s; write %q", newestDialect, dialectURLs[newestDialect])
			}
		case "type":
			if l.dialect == "4" && isInteger4(node[name]) {
				l.group("integer", here, "accepts 1.0, too, which is not an integer in draft 4; it is one in all later drafts")
			}
		case "contentEncoding", "contentMediaType":
			if l.dialect == "7" {
				l.group(name, here, "is not checked: the gateway takes it for a description, as drafts since 2019-09 do")
			}
		case "$dynamicRef":
			l.group(name, here, "may find another schema than the standard says, if a reference passes through a file or \"$id\" "+
				"without applying its root; test it with examples, or use \"$ref\"")
		}
	}
}

func (l *lint) before2019() bool { return slices.Contains([]string{"4", "6", "7"}, l.dialect) }

func isInteger4(value any) bool {
	list, ok := value.([]any)
	return value == "integer" || ok && slices.Contains(list, any("integer"))
}

// besideRef examines a reference in the drafts that ignore what stands beside it.
func (l *lint) besideRef(node map[string]any, at string) {
	for _, name := range sortedKeys(node) {
		if name != "$ref" && name != idOf(l.dialect) && !describing[name] && !strings.HasPrefix(name, "x-") {
			l.group("beside $ref", at+"/"+strictjson.EscapeToken(name),
				"is ignored: in draft %s nothing beside \"$ref\" counts; write {\"allOf\": [{\"$ref\": …}], %q: …}", l.dialect, name)
		}
	}
}

// unknown words a keyword that the draft does not have.
func (l *lint) unknown(node map[string]any, name, at string) {
	warn := func(format string, args ...any) { l.group("keyword "+name, at, format, args...) }
	if otherDrafts := draftsWith(name); otherDrafts != "" {
		advice := ""
		if instead, ok := successors[name]; ok {
			advice = "; write " + instead
		}
		warn("is ignored: %q is a keyword of %s, and the file is of draft %s%s", name, otherDrafts, l.dialect, advice)
		return
	}
	if hint, ok := foreign[name]; ok {
		if name == "nullable" {
			if node[name] != true {
				return
			}
			hint += nullableAdvice(node)
		}
		warn("is ignored: %s", hint)
		return
	}
	hint := "; start the name with \"x-\" if it is your own"
	if other := meant(name, sortedKeys(l.keywords)); other != "" {
		hint = "; did you mean " + other + "?"
	}
	warn("is ignored: %s is not a keyword of JSON Schema%s", quoted(name), hint)
}

// foreign are keywords of other languages.
var foreign = map[string]string{
	"nullable":      "\"nullable\" is OpenAPI 3.0's, and null is refused here",
	"discriminator": "\"discriminator\" is OpenAPI's; give the member that tells the variants apart a \"const\" in each of them",
	"example":       "\"example\" is OpenAPI's; write \"examples\": […]",
	"xml":           "\"xml\" is OpenAPI's",
	"externalDocs":  "\"externalDocs\" is OpenAPI's",
	"divisibleBy":   "\"divisibleBy\" is draft 3's; write \"multipleOf\"",
	"extends":       "\"extends\" is draft 3's; write \"allOf\"",
	"disallow":      "\"disallow\" is draft 3's; write \"not\"",
}

// nullableAdvice says how a schema accepts null.
func nullableAdvice(node map[string]any) string {
	advice := "; write \"anyOf\": [{…}, {\"type\": \"null\"}]"
	if name, ok := node["type"].(string); ok {
		advice = fmt.Sprintf("; write \"type\": [%q, \"null\"]", name)
		if node["enum"] != nil {
			advice += ", and add null to \"enum\""
		}
	}
	return advice
}

// otherNames are names of formats that people write for another one.
var otherNames = map[string]string{"guid": "uuid", "url": "uri", "timestamp": "date-time", "ip": "ipv4 or ipv6", "iso8601": "date-time"}

// format examines the name of a format.
func (l *lint) format(value any, at string) {
	name, ok := value.(string)
	if !ok || formats.Of(name) != nil {
		return
	}
	other := otherNames[strings.ToLower(name)]
	if other == "" {
		other = meant(name, formats.Names())
	}
	if other != "" {
		l.group("format "+name, at, "is not checked: there is no format %s; did you mean %s?", quoted(name), other)
	}
}

// meant are the names that a misspelt one may stand for, joined with "or"; only the one
// that differs in nothing but capitals and hyphens, if there is one.
func meant(name string, known []string) string {
	if same, edits := spelling.Nearest(name, known); edits == 0 {
		return same
	}
	return strings.Join(spelling.Similar(name, known), " or ")
}
