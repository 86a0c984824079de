package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/publish"
)

const topicsUsage = `gateway topics apply -c FILE [--partitions N] [--replication N] [--dry-run]

Creates the Kafka topics of all event types, and for dead letters, that are missing, whatever
kafka.create_topics.enabled says. Topics that are there are left as they are.

A new topic gets min.insync.replicas=2 if it has three replicas or more, and
whatever the brokers' defaults would not give it: records are kept for
idempotency.ttl and an hour at least, not compacted, and may be as large as events
may be. With --dry-run Kafka is only asked whether it would create the topics.

The exit status is 1 if a topic is missing in the end.

`

// runTopics is `gateway topics apply`.
func runTopics(ctx context.Context, args []string, out, errOut io.Writer) error {
	fs := flag.NewFlagSet("topics", flag.ContinueOnError)
	file := fs.String("c", "", "configuration `FILE`")
	partitions := fs.Int("partitions", 0, "`NUMBER` of partitions, instead of kafka.create_topics.partitions")
	replication := fs.Int("replication", 0, "`NUMBER` of replicas, instead of kafka.create_topics.replication")
	dryRun := fs.Bool("dry-run", false, "create nothing")
	fs.Usage = func() {
		_, _ = io.WriteString(errOut, topicsUsage)
		fs.PrintDefaults()
	}
	verb := ""
	if len(args) > 0 && args[0] == "apply" {
		verb, args = args[0], args[1:]
	}
	if err := parseFlags(fs, args, errOut); err != nil {
		return err
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case verb == "":
		return usageError("say what to do: gateway topics apply -c gateway.yaml")
	case *file == "":
		return usageError("say which configuration file to use: gateway topics apply -c gateway.yaml")
	case given["partitions"] && (*partitions < 1 || *partitions > math.MaxInt32):
		return usageError("--partitions must be at least 1; write for example --partitions 12")
	case given["replication"] && (*replication < 1 || *replication > math.MaxInt16):
		return usageError("--replication must be at least 1; write 3, or 1 for a single broker")
	}
	cfg, err := config.Load(*file, os.Environ())
	if err != nil {
		return fmt.Errorf("the configuration cannot be used:\n%w", err)
	}
	outcomes, err := app.CreateTopics(ctx, cfg, app.TopicOptions{Partitions: *partitions, Replication: *replication, DryRun: *dryRun})
	if err != nil {
		return topicsAdvice(err)
	}
	return printTopics(out, errOut, outcomes, *dryRun)
}

// topicsAdvice says what to do about an error that concerns all topics.
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
		return fmt.Errorf("%d of %d topics are not there", failed, len(outcomes))
	}
	return nil
}

// differs says that a topic is not as it was asked for. Partitions that are added
// change where keys go, and none can be taken away: that is not done by the way.
func differs(o publish.TopicOutcome) string {
	if o.Partitions == o.Asked {
		return ""
	}
	return fmt.Sprintf(" (%d partitions were asked for)", o.Asked)
}

func topicAdvice(err error) string {
	if publish.NotAllowed(err) {
		return "; give this user Describe and Create on the topic (kafka-acls.sh --add), or let somebody else run this"
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
