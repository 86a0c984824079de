package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"eventgateway/internal/preflight"
)

// report prints the findings. It returns an error if one of them is an error.
func (c *checker) report(list []preflight.Finding, out io.Writer) error {
	errs, warnings := 0, 0
	for _, f := range list {
		switch f.Severity {
		case preflight.Error:
			errs++
		case preflight.Warning:
			warnings++
		}
	}
	if c.format == formatJSON {
		if list == nil {
			list = []preflight.Finding{} // not null
		}
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err := encoder.Encode(struct {
			Findings []preflight.Finding `json:"findings"`
			Errors   int                 `json:"errors"`
			Warnings int                 `json:"warnings"`
		}{list, errs, warnings})
		if err != nil {
			return fmt.Errorf("write findings: %w", err)
		}
	} else {
		printFindings(out, list)
		fmt.Fprintf(out, "\n%s\n", summary(errs, warnings))
	}
	if errs > 0 {
		return fmt.Errorf("%s", plural(errs, "error"))
	}
	return nil
}

// marks make errors stand out in a long list.
var marks = map[preflight.Severity]string{preflight.OK: "ok", preflight.Warning: "warning", preflight.Error: "ERROR"}

// printFindings prints a paragraph for each area, in the order of the list.
func printFindings(out io.Writer, list []preflight.Finding) {
	last := ""
	for _, f := range list {
		area, _, _ := strings.Cut(f.Check, ".")
		if area != last {
			if last != "" {
				fmt.Fprintln(out)
			}
			fmt.Fprintln(out, area)
			last = area
		}
		subject := ""
		if f.Subject != "" {
			subject = " " + f.Subject
		}
		fmt.Fprintf(out, "  %-8s %s%s: %s\n", marks[f.Severity], f.Check, subject, oneLine(f.What))
		if f.Do != "" {
			fmt.Fprintf(out, "           do: %s\n", oneLine(f.Do))
		}
	}
}

// oneLine keeps the line breaks of an error text out of the list.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func summary(errs, warnings int) string {
	switch {
	case errs > 0:
		return fmt.Sprintf("%s, %s: some events will be refused, or the promise does not hold, until the errors are fixed", plural(errs, "error"), plural(warnings, "warning"))
	case warnings > 0:
		return fmt.Sprintf("%s: the gateway works, with less than it could have", plural(warnings, "warning"))
	}
	return "all is as it should be"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
