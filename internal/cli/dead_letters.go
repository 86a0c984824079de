package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/deadletter"
)

// deadLetterFlags are what the commands for dead letters share.
type deadLetterFlags struct {
	file, format   string
	topics         []string
	since, until   string
	filter         deadletter.Filter
	cfg            *config.Config
	letters        *app.DeadLetters
	chosen         []string // topics
	defaultExample string
}

func deadLettersCommand() *cobra.Command {
	cmd := verbs(groupEvents, "dead-letters", "see, replay and drop events that were given up; see docs/dead-letters.md",
		"gateway dead-letters list, show, replay or drop; see gateway dead-letters --help",
		deadLettersListCommand(), deadLettersShowCommand(), deadLettersReplayCommand(), deadLettersDropCommand())
	cmd.Aliases = []string{"dlq"}
	return cmd
}

func (f *deadLetterFlags) define(cmd *cobra.Command, example string) {
	f.defaultExample = example
	configFlag(cmd, &f.file, "configuration `FILE`")
	flags := cmd.Flags()
	flags.StringArrayVar(&f.topics, "topic", nil, "dead-letter `TOPIC`, also of others (Spring Kafka, Kafka Connect, Kafka Streams, share groups); may be repeated; default: those of the configuration")
	flags.StringVar(&f.filter.Consumer, "subscription", "", "`NAME` of the subscription, webhook, consumer group or connector that gave up")
	flags.StringVar(&f.since, "since", "", "given up since then: a `TIME` such as 2026-11-30T10:00:00Z, or 24h ago")
	flags.StringVar(&f.until, "until", "", "given up before that `TIME`")
	flags.StringVar(&f.filter.Type, "type", "", "event type, as a `PATTERN` in which * stands for any text")
	flags.StringVar(&f.filter.Key, "key", "", "entity key, as a `PATTERN`")
	flags.StringVar(&f.filter.Reason, "reason", "", "reason or exception, as a `PATTERN`")
	flags.StringVar(&f.filter.Status, "status", "", "HTTP `STATUS` of the last attempt: 503, or 5xx")
}

func (f *deadLetterFlags) defineFormat(cmd *cobra.Command) {
	f.format = formatText
	cmd.Flags().Func("format", "`FORMAT` of the output: text or json; default text", oneOf(&f.format, formatText, formatJSON))
}

// open reads flags and configuration, and connects to Kafka. places are arguments.
func (f *deadLetterFlags) open(places []string) (err error) {
	if f.file == "" {
		return missingConfig(f.defaultExample)
	}
	if f.filter.Since, err = moment(f.since, "--since"); err != nil {
		return err
	}
	if f.filter.Until, err = moment(f.until, "--until"); err != nil {
		return err
	}
	if f.filter.Status != "" && !deadletter.ValidStatus(f.filter.Status) {
		return usageError(fmt.Sprintf("--status %s is not an HTTP status; write for example 503, or 5xx", f.filter.Status))
	}
	for _, text := range places {
		p, err := deadletter.ParsePlace(text)
		if err != nil {
			return usageError(err.Error())
		}
		f.filter.Places = append(f.filter.Places, p)
	}
	if f.cfg, err = loadConfig(f.file, os.Environ()); err != nil {
		return err
	}
	if f.letters, err = app.OpenDeadLetters(f.cfg, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	f.chosen = f.topics
	if len(f.chosen) == 0 {
		f.chosen = f.letters.Topics(f.filter.Consumer)
	}
	if len(places) > 0 {
		f.chosen = nil
		for _, p := range f.filter.Places {
			if !slices.Contains(f.chosen, p.Topic) {
				f.chosen = append(f.chosen, p.Topic)
			}
		}
	}
	if len(f.chosen) == 0 {
		f.letters.Close()
		return usageError("the configuration has no dead-letter topic of that name; name one with --topic")
	}
	return nil
}

// moment reads a time, or how long ago; zero for "".
func moment(text, flag string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return time.Now().Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, usageError(fmt.Sprintf("%s %s is not a time; write for example 2026-11-30T10:00:00Z, or 24h", flag, text))
	}
	return t, nil
}

// shownLetter is a dead letter as list and show print it.
type shownLetter struct {
	deadletter.Letter
	State deadletter.State `json:"state"`
	Mark  *deadletter.Mark `json:"mark,omitempty"`
	Value *string          `json:"value,omitempty"` // as text, on request
	Trace string           `json:"stacktrace,omitempty"`
}

type deadLettersList struct {
	deadLetterFlags
	state  string
	limit  int
	values bool
}

func deadLettersListCommand() *cobra.Command {
	l := deadLettersList{state: string(deadletter.Waiting)}
	cmd := &cobra.Command{
		Use: "list -c FILE", Short: "list dead letters, the oldest first", Args: atMost(0),
		Long: `Lists the dead letters of subscriptions and webhooks, or of --topic. PLACE names a dead
letter for the other commands; FROM is where its event is in Kafka; ROUND counts how often it
became a dead letter. Rows of outboxes are not in Kafka: gateway outbox dead list has them.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if l.limit < 1 {
				return usageError("--limit must be at least 1")
			}
			if err := l.open(nil); err != nil {
				return err
			}
			defer l.letters.Close()
			return l.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	l.define(cmd, "gateway dead-letters list -c gateway.yaml")
	l.defineFormat(cmd)
	cmd.Flags().Func("state", "`STATE`: waiting (the default), replayed, dropped or all", oneOf(&l.state, string(deadletter.Waiting), string(deadletter.IsDone), string(deadletter.IsDropped), "all"))
	cmd.Flags().IntVar(&l.limit, "limit", 100, "`NUMBER` of dead letters at most")
	cmd.Flags().BoolVar(&l.values, "values", false, "show values, too: they may hold personal data")
	return cmd
}

func (l *deadLettersList) run(ctx context.Context, out, errOut io.Writer) error {
	ledger, err := l.letters.Ledger(ctx)
	if err != nil {
		return err
	}
	var list []shownLetter
	counts := map[deadletter.State]int{}
	err = l.letters.Find(ctx, l.chosen, l.filter, func(r *deadletter.Record, letter deadletter.Letter) error {
		state, mark := ledger.Of(&letter)
		counts[state]++
		if l.state != "all" && l.state != string(state) {
			return nil
		}
		one := shownLetter{Letter: letter, State: state, Mark: mark}
		if l.values {
			one.Value = valueOf(r)
		}
		if list = append(list, one); len(list) >= 2*l.limit {
			list = oldest(list, l.limit)
		}
		return nil
	})
	if err != nil {
		return err
	}
	list = oldest(list, l.limit)
	if l.format == formatJSON {
		if list == nil {
			list = []shownLetter{}
		}
		return writeJSON(out, list)
	}
	if err := l.print(out, list); err != nil {
		return err
	}
	fmt.Fprintln(errOut, countsText(counts, len(list), l.state))
	if len(l.cfg.Outbox) > 0 {
		fmt.Fprintln(errOut, "rows that outboxes cannot publish are in their databases: gateway outbox dead list")
	}
	return nil
}

func oldest(list []shownLetter, n int) []shownLetter {
	slices.SortStableFunc(list, func(a, b shownLetter) int { return a.Died.Compare(b.Died) })
	return list[:min(n, len(list))]
}

func countsText(counts map[deadletter.State]int, shown int, state string) string {
	var parts []string
	total := 0
	for _, s := range []deadletter.State{deadletter.Waiting, deadletter.IsDone, deadletter.IsDropped, deadletter.Duplicate} {
		if counts[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[s], s))
		}
		if state == "all" || state == string(s) {
			total += counts[s]
		}
	}
	if len(parts) == 0 {
		return "no dead letters"
	}
	text := strings.Join(parts, ", ")
	if shown < total {
		text += fmt.Sprintf("; %d more are not shown (--limit)", total-shown)
	}
	return text
}

func (l *deadLettersList) print(out io.Writer, list []shownLetter) error {
	if len(list) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head := "PLACE\tGIVEN UP\tBY\tTYPE\tKEY\tREASON\tSTATUS\tTRIES\tROUND\tFROM"
	if l.state == "all" {
		head += "\tSTATE"
	}
	fmt.Fprintln(table, head)
	for _, s := range list {
		from := "-"
		if s.Origin != nil {
			from = s.Origin.String()
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s", s.Place, s.Died.UTC().Format(time.RFC3339), dash(s.Consumer), dash(s.Type), keyText(s.Key),
			shorten(dash(oneLine(s.Reason))), dash(number(s.Status)), dash(number(s.Attempts)), s.Rounds, from)
		if l.state == "all" {
			fmt.Fprintf(table, "\t%s", s.State)
		}
		fmt.Fprintln(table)
		if s.Value != nil {
			fmt.Fprintf(table, "  %s\n", shorten(oneLine(*s.Value)))
		}
	}
	return table.Flush()
}

func dash(text string) string { return cmp.Or(text, "-") }

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func keyText(key *string) string {
	if key == nil {
		return "-"
	}
	const most = 40
	text := oneLine(*key)
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return dash(text)
}

// valueOf is a record's value as text; nil for none.
func valueOf(r *deadletter.Record) *string {
	if r.Value == nil {
		return nil
	}
	text := strings.ToValidUTF8(string(r.Value), "�")
	return &text
}
