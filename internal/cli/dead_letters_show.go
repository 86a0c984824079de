package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"eventgateway/internal/deadletter"
)

type deadLettersShow struct {
	deadLetterFlags
	values bool
}

func deadLettersShowCommand() *cobra.Command {
	var s deadLettersShow
	const example = "gateway dead-letters show orders.placed.fulfilment.dlt/0/42 -c gateway.yaml"
	cmd := &cobra.Command{
		Use: "show PLACE -c FILE", Short: "show one dead letter: where it is from, why it was given up, what became of it", Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError("name the dead letter by its place, as list shows it: " + example)
			}
			if err := s.open(args); err != nil {
				return err
			}
			defer s.letters.Close()
			ledger, err := s.letters.Ledger(cmd.Context())
			if err != nil {
				return err
			}
			var found *shownLetter
			err = s.letters.Find(cmd.Context(), s.chosen, s.filter, func(r *deadletter.Record, l deadletter.Letter) error {
				state, mark := ledger.Of(&l)
				found = &shownLetter{Letter: l, State: state, Mark: mark, Trace: l.Trace}
				if s.values {
					found.Value = valueOf(r)
				}
				return deadletter.ErrStop
			})
			switch {
			case err != nil:
				return err
			case found == nil:
				return fmt.Errorf("there is no record at %s: Kafka has deleted it, or never had it", args[0])
			case s.format == formatJSON:
				return writeJSON(cmd.OutOrStdout(), found)
			}
			return printLetter(cmd.OutOrStdout(), found)
		},
	}
	configFlag(cmd, &s.file, "configuration `FILE`")
	s.defaultExample = example
	s.defineFormat(cmd)
	cmd.Flags().BoolVar(&s.values, "values", false, "show the value, too: it may hold personal data")
	return cmd
}

func printLetter(out io.Writer, s *shownLetter) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(table, "  %s\t%s\n", name, text)
		}
	}
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339Nano)
	}
	fmt.Fprintf(table, "dead letter %s\n", s.Place)
	line("state", letterState(s))
	line("given up", stamp(s.Died)+" by "+dash(s.Consumer)+" ("+string(s.Dialect)+")")
	if s.Origin != nil {
		line("from", s.Origin.String())
		line("written", stamp(s.OriginTime))
	}
	line("type", s.Type)
	line("key", keyText(s.Key))
	line("reason", oneLine(s.Reason))
	line("exception", oneLine(s.Exception))
	line("detail", oneLine(s.Detail))
	line("class", s.Class)
	line("status", number(s.Status))
	line("attempts", number(s.Attempts))
	line("first failure", stamp(s.First))
	line("round", number(s.Rounds))
	line("value", fmt.Sprintf("%d bytes", s.ValueSize))
	if s.NotCopied {
		line("", "the record itself was not copied: it is at the place that it is from")
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if s.Trace != "" {
		fmt.Fprintf(out, "\nstack trace\n%s\n", s.Trace)
	}
	if s.Value != nil {
		fmt.Fprintf(out, "\nvalue\n%s\n", *s.Value)
	}
	return nil
}

func letterState(s *shownLetter) string {
	text := string(s.State)
	if m := s.Mark; m != nil {
		text += fmt.Sprintf(" by %s at %s", m.By, m.At.Format(time.RFC3339))
		if m.Target != "" {
			text += " to " + m.Target
		}
		if m.To != nil {
			text += " (" + m.To.String() + ")"
		}
		if m.Reason != "" {
			text += ": " + m.Reason
		}
	}
	return text
}
