package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"eventgateway/internal/app"
	"eventgateway/internal/publish"
)

type topicsApply struct {
	file                    string
	partitions, replication int // 0: those of the configuration
	dryRun                  bool
}

func topicsApplyCommand() *cobra.Command {
	var t topicsApply
	cmd := &cobra.Command{
		Use: "apply -c FILE", Short: "create missing topics for event types, dead letters and replays", Args: atMost(0),
		Long: `Creates the missing Kafka topics of all event types, for dead letters and for their replays
to subscriptions, whatever kafka.create_topics.enabled says. Topics that exist are left as they are.

A new topic gets min.insync.replicas=2 if it has three replicas or more, and settings
that the brokers' defaults would not give it: records are kept for at least
idempotency.ttl and an hour (dead letters: 14 days), are not compacted, and may be as large as events may be.
With --dry-run Kafka is only asked whether it would create the topics.

The exit status is 1 if a topic is still missing at the end.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flags := cmd.Flags()
			if err := t.validate(flags.Changed("partitions"), flags.Changed("replication")); err != nil {
				return err
			}
			return t.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	configFlag(cmd, &t.file, "configuration `FILE`")
	flags := cmd.Flags()
	flags.IntVar(&t.partitions, "partitions", 0, "`NUMBER` of partitions, instead of kafka.create_topics.partitions")
	flags.IntVar(&t.replication, "replication", 0, "`NUMBER` of replicas, instead of kafka.create_topics.replication")
	flags.BoolVar(&t.dryRun, "dry-run", false, "create nothing")
	return cmd
}

func (t *topicsApply) validate(partitionsGiven, replicationGiven bool) error {
	switch {
	case t.file == "":
		return missingConfig("gateway topics apply -c gateway.yaml")
	case partitionsGiven && (t.partitions < 1 || t.partitions > math.MaxInt32):
		return usageError("--partitions must be at least 1; write for example --partitions 12")
	case replicationGiven && (t.replication < 1 || t.replication > math.MaxInt16):
		return usageError("--replication must be at least 1; write 3, or 1 for a single broker")
	}
	return nil
}

func (t *topicsApply) run(ctx context.Context, out, errOut io.Writer) error {
	cfg, err := loadConfig(t.file, os.Environ())
	if err != nil {
		return err
	}
	outcomes, err := app.CreateTopics(ctx, cfg, app.TopicOptions{Partitions: t.partitions, Replication: t.replication, DryRun: t.dryRun})
	if err != nil {
		return topicsAdvice(err)
	}
	return printTopics(out, errOut, outcomes, t.dryRun)
}

// topicsAdvice adds to an error that concerns all topics what to do about it.
func topicsAdvice(err error) error {
	var few publish.TooFewBrokersError
	var away publish.UnreachableError
	switch {
	case errors.As(err, &few):
		return fmt.Errorf("%w; write --replication %d, or start more brokers; nothing was created", err, few.Brokers)
	case errors.As(err, &away):
		return fmt.Errorf("%w; gateway check -c FILE says more", err)
	default:
		return err
	}
}

// printTopics writes a line for each topic.
func printTopics(out, errOut io.Writer, outcomes []publish.TopicOutcome, dryRun bool) error {
	failed := 0
	for _, o := range outcomes {
		switch {
		case o.Err != nil:
			failed++
			fmt.Fprintf(errOut, "%s: failed: %v%s\n", o.Name, o.Err, topicAdvice(o.Err))
		case o.Created:
			done := "created"
			if dryRun {
				done = "would be created"
			}
			fmt.Fprintf(out, "%s: %s with %d partitions, replication %d, %s\n", o.Name, done, o.Partitions, o.Replication, listSettings(o.Settings))
		default:
			fmt.Fprintf(out, "%s: exists with %d partitions, replication %d; left as it is%s\n", o.Name, o.Partitions, o.Replication, differs(o))
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d topics are missing", failed, len(outcomes))
	}
	return nil
}

// differs says that a topic has other partitions than asked for. The command does not
// change that: added partitions change where keys go, and Kafka cannot remove any.
func differs(o publish.TopicOutcome) string {
	if o.Partitions == o.Asked {
		return ""
	}
	return fmt.Sprintf(" (%d partitions were asked for)", o.Asked)
}

func topicAdvice(err error) string {
	if publish.NotAllowed(err) {
		return "; give this user Describe and Create on the topic (kafka-acls.sh --add), or ask another user to run this"
	}
	return ""
}

func listSettings(settings map[string]string) string {
	pairs := make([]string, 0, len(settings))
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		pairs = append(pairs, name+"="+settings[name])
	}
	return strings.Join(pairs, " ")
}
