package check

import (
	"encoding/json"
	"fmt"
	"io"
)

// Format is how a result is written.
type Format string

// Formats.
const (
	Text   Format = "text"   // for people
	JSON   Format = "json"   // for programs: one document
	GitHub Format = "github" // annotations of GitHub Actions
)

// Write writes a result.
func Write(out io.Writer, format Format, r *Result) error {
	var text string
	switch format {
	case Text:
		text = asText(r)
	case GitHub:
		text = asGitHub(r)
	case JSON:
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		return nil
	default:
		return fmt.Errorf("there is no format %q", format)
	}
	if _, err := io.WriteString(out, text); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
