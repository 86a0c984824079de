package cli

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// everyCommand is the tree of commands as a list.
func everyCommand(cmd *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		list = append(list, everyCommand(sub)...)
	}
	return list
}

// flagNames finds the names in the library's list of flags.
var flagNames = regexp.MustCompile(`(?m)^ +(?:-[a-z], )?(--[a-z-]+)`)

// TestHelpOfEveryCommand: each command has a short description, and its help goes to
// the output and names its flags.
func TestHelpOfEveryCommand(t *testing.T) {
	t.Parallel()
	for _, cmd := range everyCommand(rootCommand("dev", io.Discard, io.Discard)) {
		path := strings.Fields(cmd.CommandPath())[1:]
		cmd.InitDefaultHelpFlag()
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			t.Parallel()
			require.NotEmpty(t, cmd.Short)
			var out, errOut bytes.Buffer
			require.Zero(t, run(append(path, "--help"), &out, &errOut), errOut.String())
			require.Empty(t, errOut.String())
			if cmd.HasParent() && !cmd.HasSubCommands() {
				require.Contains(t, out.String(), cmd.UseLine())
				flags := flagNames.FindAllStringSubmatch(cmd.LocalFlags().FlagUsages(), -1)
				require.NotEmpty(t, flags)
				for _, flag := range flags {
					require.Contains(t, out.String(), flag[1])
				}
			}
			var topic bytes.Buffer
			require.Zero(t, run(append([]string{"help"}, path...), &topic, &errOut), errOut.String())
			require.Equal(t, out.String(), topic.String())
		})
	}
}

func TestHelpTexts(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                           "  gateway webhooks send SOURCE FILE -c FILE\n                           sign a delivery as the provider would, and post it\n",
		"schemas --help":             "gateway schemas new TYPE",
		"schemas check --help":       "Exit status: 0 all is well",
		"schemas new --help":         "Drafts the schema of an event type",
		"webhooks --help":            "gateway webhooks send SOURCE FILE -c FILE",
		"webhooks send --help":       "--secret NUMBER",
		"webhooks verify --help":     "to the byte",
		"webhooks sample --help":     "Schemes: ",
		"keys --help":                "gateway keys new",
		"keys new --help":            "The key is shown only now.",
		"completion --help":          "gateway completion bash",
		"idempotency rebuild --help": "--since DURATION",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			require.Zero(t, run(strings.Fields(args), &out, &errOut))
			require.Contains(t, out.String(), want)
			require.Empty(t, errOut.String())
		})
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for shell, want := range map[string]string{
		"bash": "complete -o default", "zsh": "#compdef gateway", "fish": "complete -c gateway", "powershell": "Register-ArgumentCompleter",
	} {
		var out, errOut bytes.Buffer
		require.Zero(t, run([]string{"completion", shell}, &out, &errOut), errOut.String())
		require.Contains(t, out.String(), want)
		require.Empty(t, errOut.String())
	}
	// The scripts run this when somebody presses the tab key.
	var out bytes.Buffer
	require.Zero(t, run([]string{"__complete", "idempotency", "re"}, &out, io.Discard))
	require.Contains(t, out.String(), "rebuild\tlearn from Kafka which keyed events were written\n")
}
