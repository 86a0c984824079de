package config

import (
	"regexp"
	"strings"
)

// reference is what may stand between "${" and "}".
var reference = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?$`)

// expansion is a scalar with its variables put in.
type expansion struct {
	text   string
	used   bool    // at least one variable was named
	empty  string  // a variable that is set but empty and has no default, if any
	faults []fault // the text is unusable if there are any
}

// expand replaces ${NAME} and ${NAME:-default}; "$${" stands for "${". As in a
// shell, the default also replaces an empty variable. What is put in is not
// expanded again. At most limit bytes come out.
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
		match := reference.FindStringSubmatch(inner)
		if !closed || match == nil {
			e.faults = append(e.faults, fault{`has a "${" that names no variable`, "write ${NAME} or ${NAME:-default}, or $${ for the characters themselves"})
			break
		}
		put(e.lookUp(match[1], match[2], strings.Contains(inner, ":-"), env))
		rest = after
	}
	e.text = out.String()
	return e
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
