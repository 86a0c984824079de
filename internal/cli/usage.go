package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// usageError is a mistake on the command line. Its text says what to do next.
type usageError string

func (e usageError) Error() string { return string(e) }

// configFlag defines -c.
func configFlag(cmd *cobra.Command, file *string, usage string) {
	cmd.Flags().StringVarP(file, "config", "c", "", usage)
}

func missingConfig(example string) error {
	return usageError("say which configuration file to use: " + example)
}

// oneOf sets a flag that has few values.
func oneOf[T ~string](target *T, values ...T) func(string) error {
	return func(text string) error {
		if slices.Contains(values, T(text)) {
			*target = T(text)
			return nil
		}
		names := make([]string, len(values))
		for i, v := range values {
			names[i] = string(v)
		}
		if len(names) == 2 {
			return fmt.Errorf("it must be %s or %s", names[0], names[1])
		}
		return fmt.Errorf("it must be one of %s", strings.Join(names, ", "))
	}
}

// atMost refuses the argument after the first n.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usageError(fmt.Sprintf("%q is one argument too many; see %s --help", args[n], cmd.CommandPath()))
		}
		return nil
	}
}

// knownCommand refuses arguments of a command that only has verbs: the library passes
// them on if they name none of the verbs.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var text strings.Builder
	if cmd.HasParent() {
		fmt.Fprintf(&text, "there is no %q; there %s", args[0], listVerbs(cmd))
	} else {
		fmt.Fprintf(&text, "there is no command %q; gateway --help lists all", args[0])
	}
	cmd.SuggestionsMinimumDistance = min(2, (len(args[0])+1)/3) // differences in letters
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		fmt.Fprintf(&text, ". Did you mean %s %s?", cmd.CommandPath(), strings.Join(similar, " or "))
	}
	return usageError(text.String())
}

func listVerbs(cmd *cobra.Command) string {
	list := cmd.Commands()
	if len(list) == 1 {
		return "is " + list[0].CommandPath()
	}
	names := make([]string, len(list))
	for i, verb := range list {
		names[i] = verb.Name()
	}
	last := len(names) - 1
	return fmt.Sprintf("are %s %s and %s", cmd.CommandPath(), strings.Join(names[:last], ", "), names[last])
}

// knownTopic refuses to describe a command that does not exist.
func knownTopic(cmd *cobra.Command, args []string) error {
	topic, rest, err := cmd.Root().Find(args)
	if err == nil && len(rest) > 0 && topic.HasSubCommands() {
		return knownCommand(topic, rest)
	}
	return err
}

// flagError says what to do about a flag that cannot be parsed.
func flagError(cmd *cobra.Command, err error) error {
	if cmd.HasSubCommands() && cmd.HasExample() {
		return usageError(fmt.Sprintf("%v; name the command before its flags: %s", err, cmd.Example))
	}
	return usageError(fmt.Sprintf("%v; see %s --help", err, cmd.CommandPath()))
}

// checkArguments finds the mistakes that the library would misread: it parses the flags
// of a misspelled command as those of the command above, and reads each letter of a long
// flag with one dash as a flag, so -client as -c with the file "lient".
func checkArguments(root *cobra.Command, args []string) (*cobra.Command, error) {
	cmd, rest, err := root.Find(args)
	if err != nil {
		return cmd, nil // the library reports it
	}
	completing := len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) // which the library adds later
	if cmd.HasSubCommands() && !completing && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return cmd, knownCommand(cmd, rest[:1])
	}
	cmd.InitDefaultHelpFlag()
	for _, arg := range rest {
		if arg == "--" {
			break
		}
		long, ok := strings.CutPrefix(arg, "-")
		name, _, _ := strings.Cut(long, "=")
		if ok && len(name) > 1 && cmd.Flags().Lookup(name) != nil {
			return cmd, usageError(fmt.Sprintf("write --%[1]s with two dashes instead of -%[1]s; see %[2]s --help", name, cmd.CommandPath()))
		}
	}
	return cmd, nil
}
