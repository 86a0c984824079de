package compat

import "encoding/json"

// Verdict is the outcome of a comparison.
type Verdict string

// The verdicts, from good to bad. CannotTell is between the two others: the change may
// be harmless, but there is no proof.
const (
	Compatible Verdict = "compatible"
	Breaking   Verdict = "breaking"
	CannotTell Verdict = "cannot-tell"
)

// Direction says which schema's events are read with which schema.
type Direction string

// Backward: every event valid under the old schema is valid under the new one.
// Existing publishers are still accepted, and consumers with the new schema can read
// old events.
//
// Forward: every event valid under the new schema is valid under the old one.
// Consumers that know only the old schema can read new events.
const (
	Backward Direction = "backward"
	Forward  Direction = "forward"
)

// Finding is one place that prevents a change from being compatible.
type Finding struct {
	Direction Direction `json:"direction"`
	Verdict   Verdict   `json:"verdict"` // Breaking or CannotTell
	// Pointer is a JSON Pointer to the keyword in the new schema document, or in
	// the old one if the keyword is only there.
	Pointer string `json:"pointer"`
	Keyword string `json:"keyword"`
	// Message is one sentence for a person: old value → new value, and whom it
	// breaks.
	Message string `json:"message"`
	// Witness is a whole event that one schema accepts and the other refuses. A
	// Breaking finding has one unless it is longer than maxWitness bytes.
	Witness json.RawMessage `json:"witness,omitempty"`
}

// Report is the outcome of Compare.
type Report struct {
	Backward Verdict   `json:"backward"`
	Forward  Verdict   `json:"forward"`
	Findings []Finding `json:"findings"`
}

// Full is the worse of both directions.
func (r Report) Full() Verdict {
	return worse(r.Backward, r.Forward)
}

func worse(a, b Verdict) Verdict {
	switch {
	case a == Breaking || b == Breaking:
		return Breaking
	case a == CannotTell || b == CannotTell:
		return CannotTell
	}
	return Compatible
}

// Compare compares two parsed schema documents: trees of map[string]any, []any,
// string, bool, nil and json.Number (float64 is accepted too). They are not
// changed. Documents must be valid schemas and self-contained: a reference out of the
// document makes the verdict CannotTell.
func Compare(old, new any) Report {
	report := Report{Backward: Compatible, Forward: Compatible, Findings: []Finding{}}
	before, after := newDocument(old), newDocument(new)
	if identical(before, after) {
		return report
	}
	var found []Finding
	report.Backward, found = compare(Backward, before, after)
	report.Findings = append(report.Findings, found...)
	report.Forward, found = compare(Forward, before, after)
	report.Findings = append(report.Findings, found...)
	return report
}
