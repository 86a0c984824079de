package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// usageWidth is the width of the overview's first column.
const usageWidth = 27

// helpFunc prints an overview of a command that has verbs. The library describes the
// others.
func helpFunc(describe func(*cobra.Command, []string)) func(*cobra.Command, []string) {
	return func(cmd *cobra.Command, args []string) {
		if !cmd.HasAvailableSubCommands() {
			describe(cmd, args)
			return
		}
		printOverview(cmd.OutOrStdout(), cmd)
	}
}

// printOverview lists the verbs of a command, or the root's commands with theirs.
func printOverview(out io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(out, "%s\n\n", cmd.Short)
	for _, group := range cmd.Groups() {
		fmt.Fprintln(out, group.Title)
		for _, sub := range cmd.Commands() {
			if sub.GroupID == group.ID {
				printUsages(out, sub)
			}
		}
		fmt.Fprintln(out)
	}
	for _, sub := range cmd.Commands() {
		if sub.GroupID == "" && !sub.Hidden {
			printUsage(out, sub)
		}
	}
	fmt.Fprintf(out, "\n%s COMMAND --help describes a command and lists its flags.\n", cmd.CommandPath())
}

// printUsages prints a line for each verb of a command, or one for the command.
func printUsages(out io.Writer, cmd *cobra.Command) {
	if !cmd.HasSubCommands() {
		printUsage(out, cmd)
		return
	}
	for _, verb := range cmd.Commands() {
		printUsage(out, verb)
	}
}

func printUsage(out io.Writer, cmd *cobra.Command) {
	usage := "  " + strings.TrimSuffix(cmd.UseLine(), " [flags]")
	if len(usage) >= usageWidth {
		fmt.Fprintln(out, usage)
		usage = ""
	}
	fmt.Fprintf(out, "%-*s%s\n", usageWidth, usage, cmd.Short)
}
