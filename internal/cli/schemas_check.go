package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"eventgateway/internal/schema/check"
)

type schemasCheck struct {
	check.Config
	format check.Format
}

func schemasCheckCommand() *cobra.Command {
	c := schemasCheck{Config: check.Config{Compatibility: check.Backward}, format: check.Text}
	cmd := &cobra.Command{
		Use: "check", Short: "check that the event types load, and what a change breaks", Args: atMost(0),
		Long: `Loads all event types, checks their examples, warns of keywords that mean nothing,
and lists what each new version changes. With --against it also compares each published version with its older
state: a version that others rely on must not change in a breaking way.

Exit status: 0 all is well, 1 the folder does not load or a change breaks, 2 wrong
usage.`,
		Example: `  gateway schemas check                            before you commit
  gateway schemas check --against origin/main      what a pull request breaks`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flags := cmd.Flags()
			if err := c.validate(flags.Changed("against"), flags.Changed("compatibility")); err != nil {
				return err
			}
			return c.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&c.Dir, "schemas", "schemas", "`DIR` of the event types")
	flags.StringVar(&c.Against, "against", "", "older state to compare with: a `DIR|GIT-REF`, for example origin/main")
	flags.Func("compatibility", "which changes of a published version fail: `none|backward|forward|full`; default backward:\n"+
		"events sent as before must still be accepted (forward: consumers that know only the old schema\ncan read new events)",
		oneOf(&c.Compatibility, check.None, check.Backward, check.Forward, check.Full))
	flags.Func("format", "`text|json|github`; default text. github: annotations in GitHub Actions",
		oneOf(&c.format, check.Text, check.JSON, check.GitHub))
	flags.BoolVar(&c.Strict, "strict", false, "fail as well where it cannot be told whether a change breaks")
	return cmd
}

func (c *schemasCheck) validate(againstGiven, compatibilityGiven bool) error {
	switch {
	case againstGiven && c.Against == "":
		return usageError("--against is empty; name a folder, branch, tag or commit, or leave the flag out")
	case c.Against == "" && (compatibilityGiven || c.Strict):
		return usageError("--compatibility and --strict are about changes of published versions; say what to compare with: --against origin/main")
	}
	return nil
}

func (c *schemasCheck) run(ctx context.Context, out io.Writer) error {
	result, err := check.Run(ctx, c.Config)
	if err != nil {
		return err
	}
	if err := check.Write(out, c.format, result); err != nil {
		return err
	}
	if !result.Summary.OK {
		return errReported
	}
	return nil
}
