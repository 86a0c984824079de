package check

import (
	"fmt"
	"strings"
)

// Escapes of GitHub's workflow commands: in the text after "::", and in the
// properties before it.
var (
	githubText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// asGitHub writes one annotation per problem and change, and the counts as a
// line of the log.
func asGitHub(r *Result) string {
	var b strings.Builder
	for _, p := range r.Problems {
		b.WriteString(annotation(Error, p.File, p.Line, "", said(p.Pointer, p.Message)))
	}
	for _, p := range r.Warnings {
		b.WriteString(annotation(Warning, p.File, p.Line, "", said(p.Pointer, p.Message)))
	}
	for _, c := range r.Changes {
		title := strings.TrimSpace(c.EventType + " " + c.Version)
		if c.Since != "" {
			title = fmt.Sprintf("%s %s → %s", c.EventType, c.Since, c.Version)
		}
		text := said(c.Pointer, c.Message)
		if whom := c.whom(); whom != "" {
			text += "\n" + strings.ReplaceAll(whom, "\n           ", "\n")
		}
		b.WriteString(annotation(c.Severity, c.File, c.Line, title, text))
	}
	if advice := advice(r); advice != "" {
		fmt.Fprintf(&b, "%s\n", advice)
	}
	// A line that starts with "::" would be a command; these never do.
	fmt.Fprintf(&b, "%s\n", githubText.Replace(r.Summary.String()))
	return b.String()
}

func said(pointer, message string) string {
	if pointer == "" {
		return message
	}
	return pointer + ": " + message
}

func annotation(s Severity, file string, line int, title, text string) string {
	command := map[Severity]string{Error: "error", Warning: "warning", Note: "notice"}[s]
	properties := "file=" + githubProperty.Replace(file)
	if line > 0 {
		properties += fmt.Sprintf(",line=%d", line)
	}
	if title != "" {
		properties += ",title=" + githubProperty.Replace(title)
	}
	return fmt.Sprintf("::%s %s::%s\n", command, properties, githubText.Replace(text))
}
