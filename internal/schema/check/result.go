package check

import (
	"encoding/json"

	"eventgateway/internal/schema"
	"eventgateway/internal/schema/compat"
)

// Severity says what a change means for the check.
type Severity string

// Severities. Only errors fail a check.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// Result is everything a check found. Its JSON form is documented in
// docs/schemas.md and stable.
type Result struct {
	Problems []Problem `json:"problems"` // the folder does not load; then nothing was compared
	Warnings []Problem `json:"warnings"` // what loads, and may not mean what its author thinks
	Changes  []Change  `json:"changes"`
	Summary  Summary   `json:"summary"`
}

// Problem is one reason why the folder does not load, or a warning.
type Problem struct {
	File    string `json:"file"`           // relative to the working directory
	Line    int    `json:"line,omitempty"` // from 1
	Pointer string `json:"pointer"`        // JSON Pointer into the file
	Message string `json:"message"`
}

// Change is one difference, and what it means.
type Change struct {
	Severity  Severity          `json:"severity"`
	EventType string            `json:"event_type"`
	Version   string            `json:"version"`
	Since     string            `json:"since,omitempty"` // the older version in the same folder; without it: the same version in Summary.Against
	Kind      schema.ChangeKind `json:"kind"`
	Verdict   compat.Verdict    `json:"verdict"`
	Direction compat.Direction  `json:"direction,omitempty"`
	File      string            `json:"file"`
	Line      int               `json:"line,omitempty"`
	Pointer   string            `json:"pointer"`
	Keyword   string            `json:"keyword,omitempty"`
	Message   string            `json:"message"`
	Witness   json.RawMessage   `json:"witness,omitempty"`
}

// Summary counts.
type Summary struct {
	OK            bool          `json:"ok"`
	Dir           string        `json:"dir"`
	Against       string        `json:"against,omitempty"`
	Compatibility Compatibility `json:"compatibility,omitempty"` // only with Against
	EventTypes    int           `json:"event_types"`
	Versions      int           `json:"versions"`
	Problems      int           `json:"problems"`
	Errors        int           `json:"errors"`
	Warnings      int           `json:"warnings"`
	Notes         int           `json:"notes"`
}

func (r *Result) count() {
	s := &r.Summary
	s.Problems, s.Warnings = len(r.Problems), len(r.Warnings)
	for _, c := range r.Changes {
		switch c.Severity {
		case Error:
			s.Errors++
		case Warning:
			s.Warnings++
		case Note:
			s.Notes++
		}
	}
	s.OK = s.Problems == 0 && s.Errors == 0
}
