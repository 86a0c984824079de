package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"eventgateway/internal/schema/check"
)

const schemasCheckUsage = `gateway schemas check [--schemas DIR] [--against DIR|GIT-REF] [flags]

Loads all event types, checks their examples, and lists what each new version
changes. With --against it also compares each published version with its older
state: one that others rely on must not change in a breaking way.

  gateway schemas check                            before you commit
  gateway schemas check --against origin/main      what a pull request breaks

Exit status: 0 all is well, 1 the folder does not load or a change breaks, 2 wrong
usage.

`

// runSchemasCheck is `gateway schemas check`.
func runSchemasCheck(ctx context.Context, args []string, out, errOut io.Writer) error {
	cfg := check.Config{Compatibility: check.Backward}
	format := check.Text
	given := map[string]bool{}
	fs := flag.NewFlagSet("schemas check", flag.ContinueOnError)
	fs.StringVar(&cfg.Dir, "schemas", "schemas", "`DIR` of the event types")
	fs.StringVar(&cfg.Against, "against", "", "older state to compare with: a `DIR|GIT-REF`, for example origin/main")
	fs.Func("compatibility", "which changes of a published version fail: `none|backward|forward|full`; default backward:\n"+
		"events sent as before must still be accepted (forward: consumers that know only the old schema\ncan read new events)",
		oneOf(&cfg.Compatibility, check.None, check.Backward, check.Forward, check.Full))
	fs.Func("format", "`text|json|github`; default text. github: annotations in GitHub Actions",
		oneOf(&format, check.Text, check.JSON, check.GitHub))
	fs.BoolVar(&cfg.Strict, "strict", false, "fail as well where it cannot be told whether a change breaks")
	fs.Usage = func() {
		_, _ = io.WriteString(errOut, schemasCheckUsage)
		fs.PrintDefaults()
	}
	if err := parseFlags(fs, args, errOut); err != nil {
		return err
	}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case given["against"] && cfg.Against == "":
		return usageError("--against is empty; name a folder, branch, tag or commit, or leave the flag out")
	case cfg.Against == "" && given["compatibility"], cfg.Against == "" && cfg.Strict:
		return usageError("--compatibility and --strict are about changes of published versions; say what to compare with: --against origin/main")
	}
	result, err := check.Run(ctx, cfg)
	if err != nil {
		return err
	}
	if err := check.Write(out, format, result); err != nil {
		return err
	}
	if !result.Summary.OK {
		return errReported
	}
	return nil
}

// oneOf reads a flag that has few values.
func oneOf[T ~string](target *T, values ...T) func(string) error {
	return func(text string) error {
		if !slices.Contains(values, T(text)) {
			names := make([]string, len(values))
			for i, v := range values {
				names[i] = string(v)
			}
			return fmt.Errorf("it must be one of %s", strings.Join(names, ", "))
		}
		*target = T(text)
		return nil
	}
}
