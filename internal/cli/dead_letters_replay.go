package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"eventgateway"
	"eventgateway/internal/deadletter"
)

type deadLettersReplay struct {
	deadLetterFlags
	to, rate, again       string
	by, reason, eventType string
	dryRun, all           bool
	drop                  bool
	job                   deadletter.Job
	example, doneVerb     string
}

func (r *deadLettersReplay) define(cmd *cobra.Command) {
	r.deadLetterFlags.define(cmd, r.example)
	flags := cmd.Flags()
	flags.BoolVar(&r.all, "all", false, "all that wait; needed where neither a place nor a filter is given")
	flags.BoolVar(&r.dryRun, "dry-run", false, "only say how many, and what would happen")
	flags.StringVar(&r.by, "by", "", "`NAME` of who does it, for the record; default: the user and the host")
	flags.StringVar(&r.reason, "note", "", "`TEXT` for the record")
}

func deadLettersReplayCommand() *cobra.Command {
	r := deadLettersReplay{example: "gateway dead-letters replay --to subscription --all --dry-run -c gateway.yaml", doneVerb: "replayed"}
	cmd := &cobra.Command{
		Use: "replay [PLACE…] --to TARGET -c FILE", Short: "process dead letters again, each once",
		Long: `Writes copies of dead letters to where they are processed again, and keeps a record of each:
one that was replayed is not replayed again by the same command, whatever kills it. The copies
of a transaction and their records are committed together (readers of committed records only).

--to says where:
  subscription        the subscription that gave up, alone: through its topic for replays
  subscription:NAME   another one
  topic               the topic that the event came from: all who read it get it again
  topic:NAME          another topic
  door                the gateway's own door: the event is validated anew, with today's schemas,
                      and published as if a client had sent it

A command that is stopped is gone on with by running it again. Two for the same dead-letter
topic end each other: the later one goes on.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.run(cmd.Context(), args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	r.define(cmd)
	flags := cmd.Flags()
	flags.StringVar(&r.to, "to", "", "`TARGET`: subscription[:NAME], topic[:NAME] or door")
	flags.StringVar(&r.rate, "rate", "", "`NUMBER` of dead letters a second at most, for example 50; default: no limit")
	flags.StringVar(&r.eventType, "as-type", "", "event `TYPE` of all events, with --to door: for deliveries of webhooks without one, or records of others")
	flags.StringVar(&r.again, "again", "", "replay again what was replayed before this `TIME`, for example 2026-11-30T10:00:00Z")
	return cmd
}

func deadLettersDropCommand() *cobra.Command {
	r := deadLettersReplay{example: "gateway dead-letters drop orders.placed.fulfilment.dlt/0/42 -c gateway.yaml", doneVerb: "dropped", drop: true}
	cmd := &cobra.Command{
		Use: "drop [PLACE…] -c FILE", Short: "mark dead letters as done with",
		Long: `Marks dead letters as dropped: they are no longer listed as waiting, counted, or replayed.
The records stay in Kafka until the topic's retention deletes them.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.run(cmd.Context(), args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	r.define(cmd)
	return cmd
}

func (r *deadLettersReplay) run(ctx context.Context, args []string, out, errOut io.Writer) error {
	if len(args) == 0 && !r.all && r.filter.Consumer+r.since+r.until+r.filter.Type+r.filter.Key+r.filter.Reason+r.filter.Status == "" {
		return usageError("say which dead letters, by places, filters or --all: " + r.example)
	}
	if err := r.parse(); err != nil {
		return err
	}
	if err := r.open(args); err != nil {
		return err
	}
	defer r.letters.Close()
	r.job.Topics, r.job.Filter, r.job.By, r.job.Reason, r.job.Drop = r.chosen, r.filter, r.who(), r.reason, r.drop
	r.job.Target.ReplayTopic = r.letters.ReplayTopic
	if name := r.job.Target.Name; r.job.Target.Kind == deadletter.ToSubscription && name != "" && r.letters.ReplayTopic(name) == "" {
		return usageError(fmt.Sprintf("the configuration has no subscription %q", name))
	}
	plan, err := r.letters.Plan(ctx, r.job, r.eventType)
	if err != nil {
		return err
	}
	r.printPlan(out, plan)
	r.warn(errOut, plan.Later)
	if r.dryRun || plan.Total == 0 {
		return nil
	}
	if r.job.Target.Kind == deadletter.ToSubscription {
		var names []string
		for words := range plan.Targets {
			names = append(names, strings.TrimPrefix(words, "subscription "))
		}
		if err := r.letters.PrepareReplays(ctx, names); err != nil {
			return err
		}
	}
	progress := &replayProgress{progressLine: newProgressLine(out, isTerminal(out)), total: plan.Total}
	tally, err := r.letters.Run(ctx, r.job, r.eventType, eventgateway.OpenAPI, progress.see)
	progress.end()
	fmt.Fprintf(out, "%s %s in %.1f s\n", plural(tally.Done, "dead letter"), r.doneVerb, tally.Took.Seconds())
	for _, why := range slices.Sorted(maps.Keys(tally.Refused)) {
		fmt.Fprintf(errOut, "%s refused: %s\n", plural(tally.Refused[why], "dead letter"), why)
	}
	if err != nil {
		return fmt.Errorf("%w\nwhat was %s is on record: run the command again to go on", err, r.doneVerb)
	}
	if len(tally.Refused) > 0 {
		return fmt.Errorf("some dead letters were refused, and still wait")
	}
	return nil
}

// parse reads the flags of replay.
func (r *deadLettersReplay) parse() (err error) {
	if r.drop {
		return nil
	}
	kind, name, named := strings.Cut(r.to, ":")
	r.job.Target = deadletter.Target{Kind: deadletter.Kind(kind), Name: name}
	known := kind == string(deadletter.ToSubscription) || kind == string(deadletter.ToTopic) || kind == string(deadletter.ToDoor) && !named
	if !known || named && name == "" {
		return usageError("say where to, with --to subscription, subscription:NAME, topic, topic:NAME or door: " + r.example)
	}
	if r.eventType != "" && kind != string(deadletter.ToDoor) {
		return usageError("--as-type is for --to door: only there events are validated")
	}
	if r.rate != "" {
		r.job.Rate, err = strconv.ParseFloat(strings.TrimSuffix(r.rate, "/s"), 64)
		if err != nil || r.job.Rate <= 0 || r.job.Rate > 1e6 {
			return usageError(fmt.Sprintf("--rate %s is not a number of dead letters a second; write for example --rate 50", r.rate))
		}
	}
	r.job.Again, err = moment(r.again, "--again")
	return err
}

// who is the user, for the record.
func (r *deadLettersReplay) who() string {
	if r.by != "" {
		return r.by
	}
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

func (r *deadLettersReplay) printPlan(out io.Writer, p deadletter.Tally) {
	would := "to be " + r.doneVerb
	if r.dryRun {
		would = "would be " + r.doneVerb
	}
	fmt.Fprintf(out, "%s %s\n", plural(p.Total, "dead letter"), would)
	for _, words := range slices.Sorted(maps.Keys(p.Targets)) {
		if !r.drop {
			fmt.Fprintf(out, "  %d to %s\n", p.Targets[words], words)
		}
	}
	if p.Before > 0 {
		fmt.Fprintf(out, "  %d left out: replayed or dropped before\n", p.Before)
	}
	if p.Twice > 0 {
		fmt.Fprintf(out, "  %d left out: the same failure was written twice\n", p.Twice)
	}
	for _, why := range slices.Sorted(maps.Keys(p.Refused)) {
		fmt.Fprintf(out, "  %d would be refused: %s\n", p.Refused[why], why)
	}
	for _, why := range slices.Sorted(maps.Keys(p.Left)) {
		fmt.Fprintf(out, "  %d left out: %s\n", p.Left[why], why)
	}
}

// warn says that entities have gone on without their dead letters.
func (r *deadLettersReplay) warn(errOut io.Writer, later deadletter.Later) {
	if later.Letters > 0 {
		what := "are in the topic"
		if r.job.Target.Kind == deadletter.ToSubscription {
			what = "were delivered"
		}
		fmt.Fprintf(errOut, "warning: of %d, for example %s, later events of the entity %s already: the replay comes after them\n", later.Letters, later.Example, what)
	}
	if later.Unchecked > 0 {
		fmt.Fprintf(errOut, "warning: of %d it was not looked up whether later events of the entity were delivered: there are too many\n", later.Unchecked)
	}
}

// replayProgress shows how far a replay is.
type replayProgress struct {
	progressLine
	total int
}

func (p *replayProgress) see(t deadletter.Tally) {
	if !p.due() {
		return
	}
	percent := min(100, 100*t.Done/max(p.total, 1))
	text := fmt.Sprintf("%3d %%  %d of %d dead letters", percent, t.Done, p.total)
	if seconds := t.Took.Seconds(); seconds > 0 && t.Done > 0 {
		rate := float64(t.Done) / seconds
		text += fmt.Sprintf(", %.0f/s", rate)
		if left := p.total - t.Done; left > 0 {
			text += fmt.Sprintf(", about %v left", time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second))
		}
	}
	p.write(p.drawing(percent) + text)
}
