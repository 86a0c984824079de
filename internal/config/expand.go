package config

import (
	"errors"
	"io/fs"
	"os"
	"regexp"
	"strings"
)

// reference matches what may be between "${" and "}".
var reference = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?$`)

// expansion is a scalar whose variables were replaced.
type expansion struct {
	text   string
	used   bool    // at least one variable was named
	empty  string  // a variable that is set but empty and has no default, if any
	faults []fault // the text is unusable if there are any
}

// expand replaces ${NAME}, ${NAME:-default} and ${file:PATH}; "$${" stands for "${". As in a
// shell, the default also replaces an empty variable. Replacements are not expanded
// again. The result has at most limit bytes.
func expand(text string, env map[string]string, limit int) expansion {
	var e expansion
	var out strings.Builder
	put := func(s string) {
		if out.Len()+len(s) <= limit {
			out.WriteString(s)
		} else if limit >= 0 {
			e.faults = append(e.faults, fault{"is too long once its variables are expanded", "keep the file and what it expands to below 1MiB"})
			limit = -1
		}
	}
	for rest := text; rest != ""; {
		dollar := strings.Index(rest, "${")
		if dollar < 0 {
			put(rest)
			break
		}
		if dollar > 0 && rest[dollar-1] == '$' {
			put(rest[:dollar-1] + "${")
			rest = rest[dollar+2:]
			continue
		}
		put(rest[:dollar])
		inner, after, closed := strings.Cut(rest[dollar+2:], "}")
		if path, isFile := strings.CutPrefix(inner, "file:"); isFile && closed {
			put(e.readFile(path))
			rest = after
			continue
		}
		match := reference.FindStringSubmatch(inner)
		if !closed || match == nil {
			e.faults = append(e.faults, fault{`has a "${" that names no variable`, "write ${NAME}, ${NAME:-default} or ${file:PATH}, or $${ for the characters themselves"})
			break
		}
		put(e.lookUp(match[1], match[2], strings.Contains(inner, ":-"), env))
		rest = after
	}
	e.text = out.String()
	return e
}

// maxValueBytes bounds a file that holds one value, in bytes.
const maxValueBytes = 64 << 10

// readFile returns the text of a file that holds one value, such as a mounted secret,
// without its final line break.
func (e *expansion) readFile(path string) string {
	e.used = true
	info, err := os.Stat(path)
	var raw []byte
	switch {
	case err != nil:
	case !info.Mode().IsRegular() || info.Size() > maxValueBytes:
		e.faults = append(e.faults, fault{"file " + quote(path) + " is not a regular file of at most 64KiB", "name a file that holds this one value"})
		return ""
	default:
		raw, err = os.ReadFile(path) //nolint:gosec // the operator names the file
	}
	if err != nil {
		var cause *fs.PathError
		text := "cannot be read"
		if errors.As(err, &cause) {
			text += ": " + cause.Err.Error()
		}
		e.faults = append(e.faults, fault{"file " + quote(path) + " " + text, "correct the path, or the file's permissions"})
		return ""
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	if text == "" {
		e.empty = "file:" + path
	}
	return text
}

// emptySource names what was empty: a variable or a file.
func emptySource(name string) string {
	if path, isFile := strings.CutPrefix(name, "file:"); isFile {
		return "the file " + quote(path)
	}
	return "the variable " + quote(name)
}

func (e *expansion) lookUp(name, fallback string, hasFallback bool, env map[string]string) string {
	e.used = true
	value, set := env[name]
	switch {
	case value != "":
		return value
	case hasFallback:
		return fallback
	case !set:
		e.faults = append(e.faults, fault{"variable " + quote(name) + " is not set", "set it, or give a default: ${NAME:-default}"})
	default:
		e.empty = name
	}
	return ""
}
