package schema

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong in the schemas folder.
type Problem struct {
	File    string // path inside the folder; "" for the folder itself
	Line    int    // from 1; 0 if it is about the whole file
	Pointer string // JSON Pointer into the file
	What    string // what is wrong, and what to do about it
}

// String is one line: file:line: pointer: what.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Pointer != "" {
		fmt.Fprintf(&b, ": %s", p.Pointer)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	return b.String() + p.What
}

// LoadError lists everything that is wrong in a schemas folder.
type LoadError struct {
	Dir      string
	Problems []Problem // at least one; ordered by file and line
}

// Error lists the problems, one per line.
func (e *LoadError) Error() string {
	noun := "problems"
	if len(e.Problems) == 1 {
		noun = "problem"
	}
	return fmt.Sprintf("load schemas from %s: %d %s:\n  %s", e.Dir, len(e.Problems), noun, strings.Join(e.Lines(), "\n  "))
}

// Lines returns each problem as one line, for a log.
func (e *LoadError) Lines() []string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return lines
}

func sortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return strings.Compare(a.Pointer, b.Pointer)
	})
}
