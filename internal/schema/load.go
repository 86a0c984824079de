package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"

	"eventgateway/internal/event"
)

// readAttempts bounds how often a folder is read that changes under the read.
const readAttempts = 3

// Load reads and compiles every event type in a folder. The error is a
// *LoadError with everything that is wrong.
func Load(dir string) (*Set, error) {
	f, _ := steady(dir)
	return build(f, nil)
}

// steady reads a folder, again if it changes under the read, and says whether
// the last read was of one state.
func steady(dir string) (folder, bool) {
	for attempt := 1; ; attempt++ {
		f := read(dir)
		still := scan(dir).fingerprint() == f.fingerprint()
		if still || attempt == readAttempts {
			return f, still
		}
	}
}

// build compiles what was read. It reuses what has not changed since the set before,
// if there is one.
func build(f folder, before *Set) (*Set, error) {
	problems := slices.Concat(f.problems, f.unread)
	kept := reuse{before: before}
	var sources []*source
	for _, file := range f.files {
		if file.data == nil {
			continue // not read, and reported already
		}
		if s := kept.source(file); s != nil {
			sources = append(sources, s)
			continue
		}
		s, problem := newSource(file)
		if problem != nil {
			problems = append(problems, *problem)
			continue
		}
		sources = append(sources, s)
	}
	// References are followed only if all files are good: otherwise the same problem
	// would be reported twice.
	broken := len(problems) > 0
	resolveDialects(sources)
	for _, s := range sources {
		if !kept.has(s) {
			s.library = forLibrary(s)
		}
	}
	c, conflicts := newCompiler(sources)
	problems = append(problems, conflicts...)
	kept.files = c.schemaFiles
	for _, s := range sources {
		if kept.has(s) {
			continue // it was good
		}
		found := c.check(s)
		broken = broken || len(found) > 0
		problems = append(problems, found...)
	}
	b := builder{compiler: c, kept: kept, find: literalsOf(sources), compile: !broken && len(conflicts) == 0, types: make(map[string]*eventType)}
	slices.SortStableFunc(sources, sharedFirst)
	for _, s := range sources {
		problems = append(problems, b.add(s)...)
	}
	if len(problems) == 0 && len(b.types) == 0 {
		problems = append(problems, Problem{What: "the folder holds no event type; add <event type>/v1.json, for example orders.placed/v1.json"})
	}
	if len(problems) > 0 {
		sortProblems(problems)
		return nil, &LoadError{Dir: f.dir, Problems: problems}
	}
	return newSet(f.dir, b.types, c.schemaFiles), nil
}

// sharedFirst sorts shared schemas before their users, so that an error in one is
// reported there.
func sharedFirst(a, b *source) int {
	rank := func(s *source) int {
		if s.eventType == "" {
			return 0
		}
		return 1
	}
	return rank(a) - rank(b)
}

// builder collects the versions of all types.
type builder struct {
	compiler *compiler
	kept     reuse
	find     literals
	compile  bool // false: only read x-event
	types    map[string]*eventType
}

func (b *builder) add(s *source) []Problem {
	if v := b.kept.version(s); v != nil {
		b.keep(s, v)
		return nil
	}
	if s.eventType == "" && b.kept.same(s) {
		return nil
	}
	var problems []Problem
	v := &version{find: b.find, path: s.path, raw: s.data}
	if s.eventType != "" {
		problems = b.describe(v, s)
	}
	if !b.compile {
		return problems
	}
	compiled, found := b.compiler.compile(s)
	problems = append(problems, found...)
	if len(problems) > 0 || s.eventType == "" {
		return problems
	}
	v.choices = b.compiler.choices
	v.choices.add(compiled, b.compiler.seen)
	accept, err := newAcceptor(compiled, b.compiler.format)
	if err != nil {
		return []Problem{s.problem("", "%v", err)}
	}
	v.accept = accept
	if problems = checkExamples(v, s); len(problems) > 0 {
		return problems
	}
	b.keep(s, v)
	return nil
}

func (b *builder) keep(s *source, v *version) {
	t := b.types[s.eventType]
	if t == nil {
		t = &eventType{name: s.eventType, byName: make(map[string]*version)}
		b.types[s.eventType] = t
	}
	t.byName[s.version] = v
	t.versions = append(t.versions, v)
}

// describe reads the parts of a schema file that the gateway itself uses.
func (b *builder) describe(v *version, s *source) []Problem {
	root, ok := s.tree.(map[string]any)
	if !ok {
		return []Problem{s.problem("", "must be an object with the keyword \"x-event\"")}
	}
	x := readXEvent(s.eventType, s.version, root)
	x.def.SchemaID = s.absoluteID()
	v.def, v.key = x.def, x.key
	v.title, _ = root["title"].(string)
	v.description, _ = root["description"].(string)
	var problems []Problem
	for _, p := range x.problems {
		problems = append(problems, s.problem(p.Pointer, "%s", p.What))
	}
	if examples, ok := root["examples"]; ok {
		if _, isList := examples.([]any); !isList {
			return append(problems, s.problem("/examples", "must be a list"))
		}
		v.examples = rawExamples(s.data)
	}
	return problems
}

// rawExamples returns each example as it is written, without white space.
func rawExamples(data []byte) []json.RawMessage {
	var root struct {
		Examples []json.RawMessage `json:"examples"`
	}
	if err := json.Unmarshal(data, &root); err != nil {
		return nil // cannot be: it has been parsed
	}
	for i, example := range root.Examples {
		var compact bytes.Buffer
		if err := json.Compact(&compact, example); err == nil {
			root.Examples[i] = compact.Bytes()
		}
	}
	return root.Examples
}

// checkExamples checks every example as an event is checked.
func checkExamples(v *version, s *source) []Problem {
	var problems []Problem
	for i, example := range v.examples {
		at := "/examples/" + strconv.Itoa(i)
		_, err := v.check(example, bounds{}, nil)
		if err == nil {
			continue
		}
		var refused *event.Error
		if !errors.As(err, &refused) || len(refused.Violations) == 0 {
			problems = append(problems, s.problem(at, "would be refused: %v", err))
			continue
		}
		for _, violation := range refused.Violations {
			problems = append(problems, s.problem(at+violation.Pointer, "would be refused (%s, %s): %s", refused.Kind, violation.Keyword, violation.Message))
		}
	}
	return problems
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
