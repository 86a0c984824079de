package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"eventgateway/internal/event"
	"eventgateway/internal/spelling"
)

// Set is all event types of one schemas folder at one moment. It is immutable and
// safe for concurrent use.
type Set struct {
	dir    string
	types  map[string]*eventType
	names  []string // sorted
	topics []string // sorted, each once

	files  *schemaFiles
	bounds bounds
}

type eventType struct {
	name     string
	versions []*version // oldest first
	byName   map[string]*version
}

// EventType describes an event type by its newest version.
type EventType struct {
	Name        string
	Title       string // of the newest version, as are all that follow but Versions
	Description string
	Newest      *event.Definition // topic, key pointers, idempotency, version, …
	Versions    []string          // oldest first
	Examples    []json.RawMessage // valid data, without white space
}

func newSet(dir string, types map[string]*eventType, files *schemaFiles) *Set {
	s := &Set{dir: dir, types: types, names: sortedKeys(types), files: files}
	topics := make(map[string]bool)
	for _, t := range types {
		slices.SortFunc(t.versions, func(a, b *version) int { return compareVersions(a.def.Version, b.def.Version) })
		for _, v := range t.versions {
			topics[v.def.Topic] = true
		}
	}
	s.topics = sortedKeys(topics)
	return s
}

// compareVersions orders v2 before v10. Both must be valid.
func compareVersions(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// sortedVersions returns the versions' names, oldest first.
func sortedVersions[V any](m map[string]V) []string {
	return slices.SortedFunc(maps.Keys(m), compareVersions)
}

func (t *eventType) newest() *version { return t.versions[len(t.versions)-1] }

// Check validates data against a version ("" is the newest) of an event type
// and finds its entity key. The error is an *event.Error: unknown-event-type,
// event-too-large, malformed-json, schema-violation or key-missing with
// Violations, or internal; the outcome is always not-written. If the version is
// known, the result has its Definition, and the key if the data have one, even beside
// an error. Check does not keep data.
func (s *Set) Check(eventType, version string, data []byte) (event.Checked, error) {
	return s.CheckWithin(eventType, version, data, nil)
}

// CheckWithin is Check of an event that shares an allowance with others of its request;
// nil: it is alone. Where the set has a budget, a further error is overloaded.
func (s *Set) CheckWithin(eventType, version string, data []byte, within *event.Allowance) (event.Checked, error) {
	v, err := s.version(eventType, version)
	if err != nil {
		return event.Checked{}, err
	}
	return v.check(data, s.bounds, within)
}

// Together waits for a slot in which several events of one request, of so many bytes
// together, are checked one after the other. They share what it returns, whose Slot must
// be ended. The error is an *event.Error, overloaded.
func (s *Set) Together(bytes int) (*event.Allowance, error) {
	work, err := s.bounds.budget.Begin(bytes)
	if err != nil {
		return nil, err
	}
	return &event.Allowance{
		Violations: event.MaxViolations, Bytes: event.MaxViolationBytes, Steps: batchUnits, Quick: quickUnits, Slot: work,
	}, nil
}

// Lookup returns the definition of a version ("" is the newest). The error is
// an *event.Error, unknown-event-type.
func (s *Set) Lookup(eventType, version string) (*event.Definition, error) {
	v, err := s.version(eventType, version)
	if err != nil {
		return nil, err
	}
	return v.def, nil
}

// VersionOfSchema finds the version of an event type whose schema has this $id.
func (s *Set) VersionOfSchema(eventType, id string) (version string, ok bool) {
	t, ok := s.types[eventType]
	if !ok || id == "" {
		return "", false
	}
	for _, v := range t.versions {
		if v.def.SchemaID == id {
			return v.def.Version, true
		}
	}
	return "", false
}

// Schema returns a version's file ("" is the newest) as it is; the caller must
// not change it. The error is an *event.Error, unknown-event-type.
func (s *Set) Schema(eventType, version string) ([]byte, error) {
	v, err := s.version(eventType, version)
	if err != nil {
		return nil, err
	}
	return v.raw, nil
}

// Types describes all event types, ordered by name.
func (s *Set) Types() []EventType {
	list := make([]EventType, 0, len(s.names))
	for _, name := range s.names {
		list = append(list, s.types[name].described())
	}
	return list
}

// Type describes one event type; ok is false if there is none of this name.
func (s *Set) Type(name string) (t EventType, ok bool) {
	found, ok := s.types[name]
	if !ok {
		return EventType{}, false
	}
	return found.described(), true
}

// Names returns the names of all event types, ordered. The caller must not change them.
func (s *Set) Names() []string { return s.names }

func (t *eventType) described() EventType {
	v := t.newest()
	d := EventType{
		Name: t.name, Title: v.title, Description: v.description,
		Newest: v.def, Examples: slices.Clone(v.examples),
	}
	for _, each := range t.versions {
		d.Versions = append(d.Versions, each.def.Version)
	}
	return d
}

// Version describes one version of an event type.
type Version struct {
	Definition  *event.Definition
	Title       string
	Description string
	Dialect     string            // of JSON Schema: 4, 6, 7, 2019-09 or 2020-12
	Examples    []json.RawMessage // valid data, without white space
}

// Version describes a version ("" is the newest). The error is an *event.Error,
// unknown-event-type.
func (s *Set) Version(eventType, version string) (Version, error) {
	v, err := s.version(eventType, version)
	if err != nil {
		return Version{}, err
	}
	return Version{
		Definition: v.def, Title: v.title, Description: v.description,
		Dialect: s.files.byPath[v.path].dialect, Examples: slices.Clone(v.examples),
	}, nil
}

// Only returns a set of the event types that see accepts. It shares their schemas.
func (s *Set) Only(see func(eventType string) bool) *Set {
	types := make(map[string]*eventType)
	for name, t := range s.types {
		if see(name) {
			types[name] = t
		}
	}
	if len(types) == len(s.types) {
		return s
	}
	only := newSet(s.dir, types, s.files)
	only.bounds = s.bounds
	return only
}

// Topics returns the topics of all versions of all types, ordered by name.
func (s *Set) Topics() []string { return slices.Clone(s.topics) }

func (s *Set) version(eventType, version string) (*version, error) {
	t, ok := s.types[eventType]
	if !ok {
		return nil, unknownType(eventType)
	}
	if version == "" {
		return t.newest(), nil
	}
	v, ok := t.byName[version]
	if !ok {
		return nil, t.unknownVersion(version)
	}
	return v, nil
}

const (
	// maxListed bounds the names in an error's detail.
	maxListed = 10
	// maxCompared bounds the names that a misspelt one is compared with: each costs some
	// microseconds, and whoever may call can ask again and again.
	maxCompared = 64
)

// unknownType names no other types: the set may have some that the caller must not know
// of. [Set.Suggest] has the names of a set of those that it may.
func unknownType(name string) error {
	return event.Refuse(event.UnknownEventType, "there is no event type %s", quoted(name))
}

// Suggest ends a sentence about a name that the set does not have: with the names that
// may be meant, or else with the first of all names. It looks at the names that are
// closest in the alphabet, and at few of them.
func (s *Set) Suggest(name string) string {
	if hint := didYouMean(name, s.near(name)); hint != "" {
		return hint
	}
	if len(s.names) == 0 {
		return ""
	}
	hint := "; there are " + strings.Join(s.names[:min(maxListed, len(s.names))], ", ")
	if more := len(s.names) - maxListed; more > 0 {
		hint += fmt.Sprintf(" and %d more", more)
	}
	return hint
}

// near returns the names on both sides of where name would be, at most maxCompared.
func (s *Set) near(name string) []string {
	at, _ := slices.BinarySearch(s.names, strings.ToLower(name))
	first := max(0, min(at-maxCompared/2, len(s.names)-maxCompared))
	return s.names[first:min(len(s.names), first+maxCompared)]
}

func (t *eventType) unknownVersion(name string) error {
	var known []string
	for _, v := range t.versions[max(0, len(t.versions)-maxListed):] {
		known = append(known, v.def.Version)
	}
	return event.Refuse(event.UnknownEventType, "%s has no version %s; there is %s", t.name, quoted(name), strings.Join(known, ", "))
}

// didYouMean is "; did you mean …?" or nothing.
func didYouMean(name string, known []string) string {
	near := spelling.Similar(name, known)
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}
