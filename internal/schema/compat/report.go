package compat

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// maxWitness is the longest event that a finding quotes, in bytes.
const maxWitness = 4096

// compare answers one direction.
func compare(direction Direction, before, after *document) (Verdict, []Finding) {
	small, large := newDocument(before.root), newDocument(after.root)
	if direction == Forward {
		small, large = large, small
	}
	if small.dialect == dialectUnknown || large.dialect == dialectUnknown {
		return CannotTell, []Finding{{
			Direction: direction, Verdict: CannotTell, Pointer: "/$schema", Keyword: "$schema",
			Message: "cannot tell: $schema names a draft that is not known.",
		}}
	}
	s := newSolver()
	a, b := set{clauses: s.flatten(small.top())}, set{clauses: s.flatten(large.top())}
	failures := s.within(a, b, 0)
	findings := make([]Finding, 0, len(failures))
	verdict := Compatible
	for _, f := range failures {
		found := s.finding(direction, f, a, b, large)
		verdict = worse(verdict, found.Verdict)
		findings = append(findings, found)
	}
	slices.SortStableFunc(findings, func(x, y Finding) int { return strings.Compare(x.Pointer, y.Pointer) })
	return verdict, findings
}

// finding words a failure. It is Breaking only with a whole event that the smaller set
// certainly has and the larger certainly has not.
func (s *solver) finding(direction Direction, f failure, a, b set, large *document) Finding {
	found := Finding{Direction: direction, Verdict: CannotTell, Keyword: f.keyword}
	s.fuel = max(s.fuel, oneSearch) // the result is checked, however long the search was
	for _, w := range f.witnesses {
		in, _ := s.judge(a, w)
		out, _ := s.judge(b, w)
		if in == yes && out == no {
			found.Verdict = Breaking
			if text, err := json.Marshal(w); err == nil && len(text) <= maxWitness {
				found.Witness = text
			}
			break
		}
	}
	if found.Keyword == "" {
		found.Keyword = f.clause.node.via // it is about the whole schema there
	}
	found.Pointer = f.pointer(direction, large)
	found.Message = f.message(direction, found.Verdict)
	return found
}

// pointer is the place of the keyword, in the new document if that has it.
func (f *failure) pointer(direction Direction, large *document) string {
	if direction == Forward {
		for _, c := range f.from.clauses {
			if _, present := c.value(f.keyword); present && c.node.doc != nil && c.node.doc != large {
				return c.node.at + "/" + escape(f.keyword)
			}
		}
	}
	if f.clause.obj == nil || f.keyword == "" {
		return f.clause.node.at
	}
	return f.clause.node.at + "/" + escape(f.keyword)
}

// message says what changed and whom it breaks.
func (f *failure) message(direction Direction, verdict Verdict) string {
	place := "the event"
	if len(f.path) > 0 {
		place = "/" + strings.Join(f.path, "/")
	}
	what := f.what(direction)
	if verdict == Breaking {
		consequence := "events that publishers send as before are refused, and consumers with the new schema cannot read old ones"
		if direction == Forward {
			consequence = "consumers that know only the old schema cannot read all new events"
		}
		return fmt.Sprintf("%s: %s: %s.", place, what, consequence)
	}
	reason := f.reason
	if reason == "" {
		reason = "no event was found that shows a break, nor a proof that there is none"
	}
	question := "all events of the old schema are still accepted"
	if direction == Forward {
		question = "consumers that know only the old schema can read all new events"
	}
	return fmt.Sprintf("%s: %s: it cannot be told whether %s (%s).", place, what, question, reason)
}

// what is the change at the keyword, always from the old schema to the new one.
func (f *failure) what(direction Direction) string {
	stricter := "new"
	if direction == Forward {
		stricter = "old"
	}
	switch {
	case f.keyword == "":
		return "the schemas differ"
	case f.clause.obj == nil && f.detail != "":
		return fmt.Sprintf("%q is allowed in one schema and forbidden by %s in the %s one", f.detail, f.keyword, stricter)
	case f.clause.obj == nil:
		return fmt.Sprintf("what one schema allows is forbidden by %s in the %s one", f.keyword, stricter)
	case f.detail != "":
		return fmt.Sprintf("%s asks for %q in the %s schema only", f.keyword, f.detail, stricter)
	}
	before, after := f.shown()
	if direction == Forward {
		before, after = after, before
	}
	if before == after {
		return f.keyword + " stands for something else now"
	}
	return fmt.Sprintf("%s %s → %s", f.keyword, before, after)
}

// shown is the keyword's value in the smaller and the larger set.
func (f *failure) shown() (smaller, larger string) {
	smaller = "absent"
	for _, c := range f.from.clauses {
		if v, present := c.value(f.keyword); present {
			smaller = brief(v)
			break
		}
	}
	larger = "absent"
	if v, present := f.clause.value(f.keyword); present {
		larger = brief(v)
	}
	return smaller, larger
}

// maxShown bounds a value in a message, in characters.
const maxShown = 80

func brief(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "…"
	}
	if r := []rune(string(text)); len(r) > maxShown {
		return string(r[:maxShown]) + "…"
	}
	return string(text)
}
