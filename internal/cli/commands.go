package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Groups of commands in the overview.
const (
	groupRun    = "run"
	groupStores = "stores"
	groupEvents = "events"
)

// rootCommand builds the tree of commands.
func rootCommand(version string, out, errOut io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "gateway",
		Short: "gateway publishes events posted over HTTP to Kafka, once per idempotency key.",
		Args:  knownCommand,

		Example: "gateway serve -c gateway.yaml",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SilenceErrors: true, // Run prints them
		SilenceUsage:  true,
	}
	root.SetOut(out)
	root.SetErr(errOut)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(helpFunc(root.HelpFunc()))
	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Run a gateway:"},
		&cobra.Group{ID: groupStores, Title: "Look after Kafka, Redis and PostgreSQL:"},
		&cobra.Group{ID: groupEvents, Title: "Clients, event types and webhooks:"},
	)
	root.AddCommand(
		devCommand(), serveCommand(), checkCommand(), healthcheckCommand(),
		verbs(groupStores, "topics", "create Kafka topics",
			"gateway topics apply -c gateway.yaml",
			topicsApplyCommand()),
		verbs(groupStores, "idempotency", "look up and rebuild what Redis holds for idempotency keys",
			"gateway idempotency show -c gateway.yaml KEY, or gateway idempotency rebuild -c gateway.yaml",
			idempotencyShowCommand(), idempotencyRebuildCommand()),
		verbs(groupStores, "outbox", "relay outbox tables of PostgreSQL to Kafka; see docs/outbox.md",
			"gateway outbox schema, run, status or dead; see gateway outbox --help",
			outboxSchemaCommand(), outboxRunCommand(), outboxStatusCommand(), outboxDeadCommand()),
		newLagCommand(),
		verbs(groupEvents, "subscriptions", "see, pause, resume and reset what is pushed to HTTP endpoints; see docs/subscriptions.md",
			"gateway subscriptions list, show, pause, resume or reset; see gateway subscriptions --help",
			subscriptionsListCommand(), subscriptionsShowCommand(), subscriptionsPauseCommand(), subscriptionsResumeCommand(), subscriptionsResetCommand()),
		deadLettersCommand(),
		verbs(groupEvents, "keys", "make API keys",
			"gateway keys new",
			keysNewCommand()),
		verbs(groupEvents, "schemas", "check and draft event types, without a gateway, Kafka or Redis; see docs/schemas.md",
			"gateway schemas check, or gateway schemas new TYPE --from sample.json",
			schemasCheckCommand(), schemasNewCommand()),
		verbs(groupEvents, "webhooks", "try webhook sources; see docs/webhooks.md",
			"gateway webhooks send, verify or sample; see gateway webhooks --help",
			webhooksSendCommand(), webhooksVerifyCommand(), webhooksSampleCommand()),
		versionCommand(version),
	)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Short, cmd.Args = "describe a command", knownTopic
		case "completion":
			cmd.Short = "print a completion script for bash, zsh, fish or powershell"
			needVerb(cmd, "gateway completion bash, zsh, fish or powershell")
		}
	}
	return root
}

// verbs is a command that only has verbs. The examples are what to write instead of the
// command alone.
func verbs(group, name, short, examples string, list ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, GroupID: group}
	needVerb(cmd, examples)
	cmd.AddCommand(list...)
	return cmd
}

// needVerb makes a command wrong usage without a verb, or with an unknown one.
func needVerb(cmd *cobra.Command, examples string) {
	cmd.Args, cmd.Example = knownCommand, examples
	cmd.RunE = func(*cobra.Command, []string) error { return usageError("say what to do: " + examples) }
}

func versionCommand(version string) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the version", Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "gateway", version)
			return err
		},
	}
}
