package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"eventgateway/internal/schema/compat"
	"eventgateway/internal/strictjson"
)

// ChangeKind says what changed.
type ChangeKind string

// Kinds of changes.
const (
	TypeAdded      ChangeKind = "type-added"
	TypeRemoved    ChangeKind = "type-removed"
	VersionAdded   ChangeKind = "version-added"
	VersionRemoved ChangeKind = "version-removed"
	XEventChanged  ChangeKind = "x-event" // what the gateway does with the type
	SchemaChanged  ChangeKind = "schema"  // what is accepted
)

// Both is the direction of a change that breaks publishers and consumers.
const Both compat.Direction = "both"

// Change is one difference that matters to publishers or consumers.
type Change struct {
	EventType string
	Version   string // "" if it is about the whole type
	// Since is the older version of the same folder that Version was compared
	// with; "" if it was the same version of an older set.
	Since     string
	Kind      ChangeKind
	Verdict   compat.Verdict   // compatible only for what was added
	Direction compat.Direction // "" if compatible
	File      string           // inside the folder of the new set; of the old one for what was removed
	Line      int              // from 1; 0 if it is about the whole file
	Pointer   string           // JSON Pointer into the schema
	Keyword   string
	Message   string
	Witness   json.RawMessage // an event that shows the difference, if one was found
}

// Changes compares the versions that two sets have in common and lists what was
// added and removed, ordered by event type and version. A published version should
// not change; the caller decides whether one may.
func Changes(before, after *Set) []Change {
	var changes []Change
	names := make(map[string]bool)
	for _, name := range append(before.names[:len(before.names):len(before.names)], after.names...) {
		names[name] = true
	}
	for _, name := range sortedKeys(names) {
		old, now := before.types[name], after.types[name]
		switch {
		case now == nil:
			changes = append(changes, Change{
				EventType: name, Kind: TypeRemoved, Verdict: compat.Breaking, Direction: Both, File: name,
				Message: "the event type is gone: its events are refused (404) and its consumers get no more",
			})
		case old == nil:
			changes = append(changes, Change{
				EventType: name, Kind: TypeAdded, Verdict: compat.Compatible, File: name,
				Message: "the event type is new",
			})
		default:
			changes = append(changes, typeChanges(before, after, old, now)...)
		}
	}
	return changes
}

// typeChanges compares an event type that both sets have.
func typeChanges(before, after *Set, old, now *eventType) []Change {
	var changes []Change
	versions := make(map[string]bool)
	for _, v := range append(old.versions[:len(old.versions):len(old.versions)], now.versions...) {
		versions[v.def.Version] = true
	}
	for _, name := range sortedVersions(versions) {
		was, is := old.byName[name], now.byName[name]
		c := Change{EventType: now.name, Version: name, File: now.name + "/" + name + ".json"}
		switch {
		case is == nil:
			c.Kind, c.Verdict, c.Direction = VersionRemoved, compat.Breaking, Both
			c.Message = "the version is gone: events that name it are refused (404)"
			if old.newest() == was {
				c.Message += fmt.Sprintf("; events that name no version are checked against %s from now on", now.newest().def.Version)
			}
			changes = append(changes, c)
		case was == nil:
			c.Kind, c.Verdict = VersionAdded, compat.Compatible
			c.Message = "the version is new"
			if now.newest() == is {
				c.Message += "; events that name no version are checked against it from now on"
			}
			changes = append(changes, c)
		default:
			changes = append(changes, versionChanges(before, was, after, is)...)
		}
	}
	return changes
}

// VersionChanges compares each version of a type with the one before it. A new
// version may be breaking: that is what versions are for.
func (s *Set) VersionChanges() []Change {
	var changes []Change
	for _, name := range s.names {
		versions := s.types[name].versions
		for i := 1; i < len(versions); i++ {
			found := versionChanges(s, versions[i-1], s, versions[i])
			for j := range found {
				found[j].Since = versions[i-1].def.Version
			}
			changes = append(changes, found...)
		}
	}
	return changes
}

// versionChanges compares two versions of one type.
func versionChanges(before *Set, old *version, after *Set, now *version) []Change {
	if old == now { // reused, with everything that it refers to
		return nil
	}
	changes := append(xeventChanges(old.def, now.def), schemaChanges(before, old, after, now)...)
	for i := range changes {
		c := &changes[i]
		c.EventType, c.Version = now.def.Type, now.def.Version
		c.File = now.def.Type + "/" + now.def.Version + ".json"
		c.Line = nearestLine(now.raw, c.Pointer)
	}
	return changes
}

// schemaChanges compares what two versions accept. A comparison that fails or
// panics must neither stop the gateway nor count as compatible.
func schemaChanges(before *Set, old *version, after *Set, now *version) (changes []Change) {
	cannotTell := func(why any) []Change {
		return []Change{{
			Kind: SchemaChanged, Verdict: compat.CannotTell, Direction: Both,
			Message: shorten(fmt.Sprintf("the schemas cannot be compared: %v", why)),
		}}
	}
	defer func() {
		if r := recover(); r != nil {
			changes = cannotTell(r)
		}
	}()
	was, err := before.tree(old)
	is, err2 := after.tree(now)
	if err = errors.Join(err, err2); err != nil {
		if bytes.Equal(old.raw, now.raw) && sameFiles(before.files, after.files) {
			return nil
		}
		return cannotTell(err)
	}
	if reflect.DeepEqual(was, is) {
		return nil
	}
	return findings(compat.Compare(was, is))
}

// tree is a version's bundle, parsed.
func (s *Set) tree(v *version) (any, error) {
	bundle, err := s.Bundle(v.def.Type, v.def.Version)
	if err != nil {
		return nil, err
	}
	doc, err := parse(bundle)
	if err != nil {
		return nil, err
	}
	return doc.Root, nil // never released: the comparison keeps parts of it
}

// sameFiles reports whether two folders have the same files.
func sameFiles(a, b *schemaFiles) bool {
	if len(a.byPath) != len(b.byPath) {
		return false
	}
	for path, s := range a.byPath {
		if other := b.byPath[path]; other == nil || !bytes.Equal(s.data, other.data) {
			return false
		}
	}
	return true
}

// findings turns a report into changes. A direction that breaks without a finding
// becomes a change, too.
func findings(r compat.Report) []Change {
	var changes []Change
	said := make(map[compat.Direction]compat.Verdict)
	for _, f := range r.Findings {
		if f.Verdict == compat.Compatible {
			continue
		}
		if said[f.Direction] != compat.Breaking {
			said[f.Direction] = f.Verdict
		}
		changes = append(changes, Change{
			Kind: SchemaChanged, Verdict: f.Verdict, Direction: f.Direction,
			Pointer: f.Pointer, Keyword: f.Keyword, Message: f.Message, Witness: f.Witness,
		})
	}
	for _, whole := range []struct {
		direction compat.Direction
		verdict   compat.Verdict
	}{{compat.Backward, r.Backward}, {compat.Forward, r.Forward}} {
		missing := whole.verdict == compat.Breaking && said[whole.direction] != compat.Breaking ||
			whole.verdict == compat.CannotTell && said[whole.direction] == ""
		if missing {
			changes = append(changes, Change{
				Kind: SchemaChanged, Verdict: whole.verdict, Direction: whole.direction,
				Message: "the schema as a whole accepts other events than before",
			})
		}
	}
	return changes
}

// nearestLine finds the line of the value at a pointer. If the file has no such value
// (it was removed, or is in a shared file), it is the line of the nearest value around
// it.
func nearestLine(data []byte, pointer string) int {
	for {
		if line := strictjson.LineOf(data, pointer); line > 0 {
			return line
		}
		cut := strings.LastIndexByte(pointer, '/')
		if cut < 0 {
			return 1
		}
		pointer = pointer[:cut]
	}
}
