package config

import (
	"fmt"
	"strings"
)

// Error is one thing wrong with the configuration.
type Error struct {
	Path    string // for example "kafka.brokers[0]", or the name of the file or variable if it is not about a key
	Problem string
	Fix     string
	Source  string // "gateway.yaml:12", "GATEWAY_HTTP_LISTEN", "--listen", or "" for a default
}

// Error is one line: `path: what is wrong; what to do (source)`.
func (e *Error) Error() string {
	line := e.Path + ": " + e.Problem + "; " + e.Fix
	if e.Source != "" {
		line += " (" + e.Source + ")"
	}
	return line
}

// Errors is everything wrong with the configuration, at most maxErrors of it.
type Errors []*Error

// Error returns one line for each error.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives each error to errors.Is and errors.As.
func (e Errors) Unwrap() []error {
	each := make([]error, len(e))
	for i, one := range e {
		each[i] = one
	}
	return each
}

// maxErrors keeps the report readable when the file is something else entirely.
const maxErrors = 100

// collector gathers errors in the order in which they are found.
type collector struct {
	list    Errors
	dropped int
}

func (c *collector) add(path, source, problem, fix string) {
	if len(c.list) == maxErrors {
		c.dropped++
		return
	}
	c.list = append(c.list, &Error{Path: path, Source: source, Problem: problem, Fix: fix})
}

// has reports whether there is an error at, above or below the path. Then the value
// there is a fallback and must not be validated.
func (c *collector) has(path string) bool {
	for _, e := range c.list {
		if e.Path == path || within(e.Path, path) || within(path, e.Path) {
			return true
		}
	}
	return false
}

func within(inner, outer string) bool {
	rest, ok := strings.CutPrefix(inner, outer)
	return ok && rest != "" && (rest[0] == '.' || rest[0] == '[')
}

func (c *collector) err() error {
	if len(c.list) == 0 {
		return nil
	}
	if c.dropped > 0 {
		more := &Error{Path: "configuration", Problem: fmt.Sprintf("%d more errors are not shown", c.dropped), Fix: "fix those above first"}
		return append(c.list[:len(c.list):len(c.list)], more)
	}
	return c.list
}
