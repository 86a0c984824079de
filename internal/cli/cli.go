package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Run runs one command and returns the exit status: 0 after an orderly stop or help,
// 1 on failure, 2 on wrong usage.
func Run(ctx context.Context, version string, args []string, out, errOut io.Writer) int {
	root := rootCommand(version, out, errOut)
	started := false // until then every failure is wrong usage
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	root.SetArgs(append([]string{}, args...)) // with nil the library would read os.Args
	cmd, err := checkArguments(root, args)
	if err == nil {
		cmd, err = root.ExecuteContextC(ctx)
	}
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errReported):
		return 1
	}
	fmt.Fprintf(errOut, "%s: %v\n", topLevel(cmd).CommandPath(), err)
	if !started || errors.As(err, &usage) {
		return 2
	}
	return 1
}

// topLevel is the command under the root that cmd belongs to; error lines begin with
// its name.
func topLevel(cmd *cobra.Command) *cobra.Command {
	for cmd.HasParent() && cmd.Parent().HasParent() {
		cmd = cmd.Parent()
	}
	return cmd
}

// errReported is a failure that the command's output has already explained.
var errReported = errors.New("the output says what is wrong")
