package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"eventgateway/internal/app"
	"eventgateway/internal/backoff"
	"eventgateway/internal/lag"
)

const (
	// lagTimeout bounds one pass of a command.
	lagTimeout = 30 * time.Second
	// lagInterval is between the two passes that a trend needs.
	lagInterval = 2 * time.Second
	// lagWatchInterval is between two passes of --watch.
	lagWatchInterval = 5 * time.Second
)

type lagCommand struct {
	file, format string
	groups       []string
	interval     time.Duration
	watch        bool
	limit        lagLimit
}

func newLagCommand() *cobra.Command {
	c := lagCommand{format: formatText}
	cmd := &cobra.Command{
		Use: "lag -c FILE", Short: "how far the cluster's consumer groups are behind, what hurts most first; see docs/lag.md", Args: atMost(0), GroupID: groupStores,
		Long: `Shows for each consumer group and topic how many records wait, and for how long the
first of them has. All groups of the cluster are shown that lag.include and lag.exclude
name, those without members, too; with --group, one group with its partitions.

Kafka is asked twice, so that the trend can be seen; --interval says how long between.
A group is only called stuck if nothing is committed for as long as the command looks,
and at least 10s: with --interval 30s, for example, or --watch.

RECORDS is what Kafka's own tool calls LAG. WAITING is what a read-committed reader would
get of it, and BEHIND the age of the first of these records. USED is that age in percent of
how long the topic keeps records. With --format json there is one object, or with --watch
one in each line; what is not known is null.

Exit status: 0 all was shown; 1 Kafka did not answer or, with --fail-over, a group is
above the limit, has lost records or its lag is not known; 2 wrong usage.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	configFlag(cmd, &c.file, "configuration `FILE`")
	cmd.Flags().StringArrayVar(&c.groups, "group", nil, "show only groups that the `PATTERN` matches, with their partitions; may be given again")
	cmd.Flags().BoolVar(&c.watch, "watch", false, "show it again and again, until it is interrupted")
	cmd.Flags().DurationVar(&c.interval, "interval", 0, "`DURATION` between two questions; default 2s, with --watch 5s")
	cmd.Flags().Func("fail-over", "exit with 1 if more waits: a `LIMIT` in records (10000) or time (5m)", c.limit.set)
	cmd.Flags().Func("format", "`FORMAT` of the output: text or json; default text", oneOf(&c.format, formatText, formatJSON))
	return cmd
}

// lagLimit is a number of records or a time; the zero value is no limit.
type lagLimit struct {
	given   bool
	records int64
	age     time.Duration // 0: records are limited
}

func (l *lagLimit) set(text string) error {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		*l = lagLimit{given: true, records: n}
		return nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		*l = lagLimit{given: true, age: d}
		return nil
	}
	return fmt.Errorf("%q is neither a number of records nor a time, for example 10000 or 5m", text)
}

func (c *lagCommand) run(ctx context.Context, out io.Writer) error {
	if c.file == "" {
		return missingConfig("gateway lag -c gateway.yaml")
	}
	if c.interval < 0 {
		return usageError("--interval must not be negative")
	}
	cfg, err := loadConfig(c.file, os.Environ())
	if err != nil {
		return err
	}
	what := app.LagConfig(cfg)
	what.Partitions = len(c.groups) > 0
	for _, text := range c.groups {
		re, err := lag.Pattern(text)
		if err != nil {
			return usageError(fmt.Sprintf("--group: %q is not a regular expression (RE2)", text))
		}
		what.Only = append(what.Only, re)
	}
	pause := c.interval
	switch {
	case pause == 0 && c.watch:
		pause = lagWatchInterval
	case pause == 0:
		pause = lagInterval
	}
	what.StuckAfter = max(pause, 10*time.Second)
	source := app.LagSource(cfg, slog.New(slog.DiscardHandler))
	defer source.Close()
	monitor := lag.New(what, source)
	if c.watch {
		return c.follow(ctx, out, monitor, pause)
	}
	report, err := c.look(ctx, monitor, pause)
	if err != nil {
		return err
	}
	if err := c.show(out, report); err != nil {
		return err
	}
	return c.judge(out, report)
}

// look makes two passes; with one there is no trend.
func (c *lagCommand) look(ctx context.Context, monitor *lag.Monitor, pause time.Duration) (*lag.Report, error) {
	if _, err := lagPass(ctx, monitor); err != nil {
		return nil, err
	}
	backoff.Sleep(ctx, pause)
	return lagPass(ctx, monitor)
}

func lagPass(ctx context.Context, monitor *lag.Monitor) (*lag.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, lagTimeout)
	defer cancel()
	report, err := monitor.Pass(ctx)
	if err != nil {
		return nil, fmt.Errorf("consumer groups cannot be read: %w", err)
	}
	return report, nil
}

func (c *lagCommand) show(out io.Writer, report *lag.Report) error {
	if c.format == formatJSON {
		return printJSON(out, report)
	}
	return printLag(out, report, len(c.groups) > 0)
}

// follow makes passes until ctx ends, which is an orderly end.
func (c *lagCommand) follow(ctx context.Context, out io.Writer, monitor *lag.Monitor, pause time.Duration) error {
	clear := isTerminal(out)
	for {
		report, err := lagPass(ctx, monitor)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // somebody has interrupted it
		}
		if err := c.showNext(out, report, err, clear); err != nil {
			return err
		}
		if report != nil {
			if err := c.judge(out, report); err != nil {
				return err
			}
		}
		if !backoff.Sleep(ctx, pause) {
			return nil
		}
	}
}

// showNext shows the state of --watch: over the last one on a terminal, below it elsewhere.
func (c *lagCommand) showNext(out io.Writer, report *lag.Report, failed error, clear bool) error {
	if c.format == formatJSON {
		if failed != nil {
			return json.NewEncoder(out).Encode(map[string]string{"error": failed.Error()})
		}
		return json.NewEncoder(out).Encode(report)
	}
	if clear {
		fmt.Fprint(out, "\x1b[H\x1b[2J")
	}
	if failed != nil {
		_, err := fmt.Fprintf(out, "%s  %s\n", time.Now().Format(time.TimeOnly), cell(failed.Error()))
		return err
	}
	fmt.Fprintf(out, "%s  %d groups, asked in %s\n\n", report.At.Format(time.TimeOnly), len(report.Groups), report.Took.Round(time.Millisecond))
	return c.show(out, report)
}

// judge compares a report with the limit. What is not known is not within it.
func (c *lagCommand) judge(out io.Writer, report *lag.Report) error {
	if !c.limit.given {
		return nil
	}
	var over []string
	if len(report.Unanswered) > 0 {
		over = append(over, "not all brokers have answered")
	}
	if len(c.groups) > 0 && len(report.Groups) == 0 {
		over = append(over, "there is no such group")
	}
	for _, r := range lagRows(report) {
		if why := c.limit.exceeded(r); why != "" {
			over = append(over, cell(r.group.Name)+" "+cell(r.topic.Name)+": "+why)
		}
	}
	if len(over) == 0 {
		return nil
	}
	if c.format != formatJSON {
		fmt.Fprintf(out, "\nover the limit:\n")
		for _, line := range over {
			fmt.Fprintln(out, "  "+line)
		}
	}
	return errReported
}

func (l lagLimit) exceeded(r lagRow) string {
	switch {
	case r.state == lag.Lost:
		return fmt.Sprintf("%d records are lost", r.topic.Lost)
	case r.state == lag.Unreadable:
		return "cannot be read"
	case r.topic.Unknown > 0:
		return plural(r.topic.Unknown, "partition") + " without a commit, or not readable"
	case r.state == lag.NoCommit: // a group without topics
		return "nothing is committed"
	case l.age > 0 && r.topic.Undelivered.N > 0 && !r.topic.Age.Known:
		return "the age of what waits is not known"
	case l.age > 0 && r.topic.Age.D > l.age:
		return "behind " + ageText(r.topic.Age)
	case l.age == 0 && r.topic.Undelivered.N > l.records:
		return fmt.Sprintf("%d records wait", r.topic.Undelivered.N)
	}
	return ""
}
