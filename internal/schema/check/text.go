package check

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"eventgateway/internal/schema"
	"eventgateway/internal/schema/compat"
)

// oneLine puts a message on one line.
var oneLine = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ")

// maxWitness bounds an example event in a report for people, in bytes.
const maxWitness = 200

// asText groups by event type and version and ends with one line of counts.
func asText(r *Result) string {
	var b strings.Builder
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "%s\n", oneLine.Replace(p.String()))
	}
	if len(r.Warnings) > 0 {
		b.WriteString("schemas that may not mean what they say\n")
	}
	for _, p := range r.Warnings {
		fmt.Fprintf(&b, "  %-7s  %s\n", Warning, oneLine.Replace(p.String()))
	}
	if len(r.Warnings) > 0 && len(r.Changes) > 0 {
		b.WriteByte('\n')
	}
	last := ""
	for _, c := range r.Changes {
		if title := c.title(r.Summary); title != last {
			if last != "" {
				b.WriteByte('\n')
			}
			fmt.Fprintf(&b, "%s\n", title)
			last = title
		}
		fmt.Fprintf(&b, "  %-7s  %s: %s\n", c.Severity, place(c.File, c.Line, c.Pointer), oneLine.Replace(c.Message))
		if whom := c.whom(); whom != "" {
			fmt.Fprintf(&b, "           %s\n", whom)
		}
	}
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	if advice := advice(r); advice != "" {
		fmt.Fprintf(&b, "%s\n\n", advice)
	}
	fmt.Fprintf(&b, "%s\n", r.Summary)
	return b.String()
}

// place is file:line: pointer, which editors understand.
func place(file string, line int, pointer string) string {
	if line > 0 {
		file += fmt.Sprintf(":%d", line)
	}
	if pointer != "" {
		file += ": " + pointer
	}
	return file
}

// String is one line: file:line: pointer: message.
func (p Problem) String() string { return place(p.File, p.Line, p.Pointer) + ": " + p.Message }

// title is the line above the changes of one version.
func (c Change) title(s Summary) string {
	switch {
	case c.Since != "":
		return fmt.Sprintf("%s %s → %s (a new version may break what the one before allowed)", c.EventType, c.Since, c.Version)
	case c.EventType == "":
		return s.Dir
	case c.Version == "":
		return c.EventType
	case c.Kind == schema.VersionAdded || c.Kind == schema.VersionRemoved:
		return c.EventType + " " + c.Version
	}
	return fmt.Sprintf("%s %s (published: compared with %s)", c.EventType, c.Version, s.Against)
}

// whom says whom the change breaks, with an event that shows it.
func (c Change) whom() string {
	if c.Verdict == compat.Compatible || c.EventType == "" {
		return ""
	}
	who := map[compat.Direction]string{
		compat.Backward: "publishers: events sent as before may be refused",
		compat.Forward:  "consumers: who knows only the old schema may not understand new events",
		schema.Both:     "publishers and consumers",
	}[c.Direction]
	text := "breaks " + who
	if c.Verdict == compat.CannotTell {
		text = "cannot tell; may break " + who
	}
	if len(c.Witness) > 0 {
		text += "\n           for example " + cut(string(c.Witness))
	}
	return text
}

// cut bounds a text, between two characters.
func cut(s string) string {
	if len(s) <= maxWitness {
		return s
	}
	end := maxWitness
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// advice says what to do about the errors, once.
func advice(r *Result) string {
	if r.Summary.Problems > 0 {
		return "Correct these first; nothing was compared."
	}
	for _, c := range r.Changes {
		if c.Severity != Error || c.EventType == "" {
			continue
		}
		return "A published version stays as it is: undo the changes marked error and put them into a new version (the next free v2.json, v3.json, …).\n" +
			"If nobody relies on the old state, say so with --compatibility none."
	}
	return ""
}

// String is the last line of a report.
func (s Summary) String() string {
	status := "ok"
	if !s.OK {
		status = "FAILED"
	}
	if s.Problems > 0 {
		return fmt.Sprintf("%s: %s in %s", status, counted(s.Problems, "problem"), s.Dir)
	}
	text := fmt.Sprintf("%s: %s, %s, %s; %s in %s", status,
		counted(s.Errors, "error"), counted(s.Warnings, "warning"), counted(s.Notes, "note"),
		counted(s.Versions, "version"), counted(s.EventTypes, "event type"))
	if s.Against != "" {
		text += fmt.Sprintf(", compared with %s (compatibility %s)", s.Against, s.Compatibility)
	}
	return text
}

// counted is a number and a noun, "1 note" or "2 notes".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
