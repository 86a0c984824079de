package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"eventgateway/internal/app"
	"eventgateway/internal/outbox"
)

// outboxTimeout bounds what a command asks of a database.
const outboxTimeout = 30 * time.Second

// outboxDead is what the commands for dead rows share.
type outboxDead struct {
	file, name, format string
	all                bool
	limit              int
}

func outboxDeadCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "dead", Short: "rows that can never be published as they are"}
	needVerb(cmd, "gateway outbox dead list -c gateway.yaml")
	cmd.AddCommand(deadListCommand(), deadShowCommand(),
		deadMoveCommand("retry", "put dead rows back into the outbox, when what was wrong is put right",
			`Moves dead rows back to the outbox, in the order and with the ids that they had. If the
event type or the row's payload is not put right before, they become dead rows again.
To change a payload, UPDATE it in the table of dead rows.`, "put back", (*outbox.Dead).Retry),
		deadMoveCommand("drop", "delete dead rows, which are then never published",
			`Deletes dead rows. Their events are never published. With on_dead: hold-entity the rows
that wait behind them are published.`, "dropped", (*outbox.Dead).Drop))
	return cmd
}

func (d *outboxDead) define(cmd *cobra.Command) {
	configFlag(cmd, &d.file, "configuration `FILE`")
	cmd.Flags().StringVar(&d.name, "outbox", "", "`NAME` of the outbox; default: the only one")
}

func (d *outboxDead) defineFormat(cmd *cobra.Command) {
	d.format = formatText
	cmd.Flags().Func("format", "`FORMAT` of the output: text or json; default text", oneOf(&d.format, formatText, formatJSON))
}

// open connects to the database of the outbox.
func (d *outboxDead) open(ctx context.Context, example string) (*outbox.Dead, error) {
	if d.file == "" {
		return nil, missingConfig(example)
	}
	cfg, err := loadConfig(d.file, os.Environ())
	if err != nil {
		return nil, err
	}
	o, err := chooseOutbox(cfg, d.name)
	if err != nil {
		return nil, err
	}
	return outbox.OpenDead(ctx, app.OutboxConfig(cfg, o))
}

func deadListCommand() *cobra.Command {
	d := outboxDead{}
	cmd := &cobra.Command{
		Use: "list -c FILE", Short: "list dead rows, the oldest first", Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), outboxTimeout)
			defer cancel()
			if d.limit < 1 {
				return usageError("--limit must be at least 1")
			}
			rows, err := d.open(ctx, "gateway outbox dead list -c gateway.yaml")
			if err != nil {
				return err
			}
			defer rows.Close()
			list, err := rows.List(ctx, d.limit)
			if err != nil {
				return err
			}
			return d.printList(cmd.OutOrStdout(), list)
		},
	}
	d.define(cmd)
	d.defineFormat(cmd)
	cmd.Flags().IntVar(&d.limit, "limit", 100, "`NUMBER` of rows at most")
	return cmd
}

func (d *outboxDead) printList(out io.Writer, list []outbox.DeadRow) error {
	if d.format == formatJSON {
		if list == nil {
			list = []outbox.DeadRow{}
		}
		return writeJSON(out, list)
	}
	if len(list) == 0 {
		fmt.Fprintln(out, "no dead rows")
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SEQ\tSINCE\tTYPE\tENTITY\tREASON\tDETAIL")
	for _, r := range list {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\n", r.Seq, r.DeadAt.UTC().Format(time.RFC3339), r.Type, r.AggregateID, r.Reason, shorten(oneLine(r.Detail)))
	}
	return table.Flush()
}

// shorten keeps a line of a table readable.
func shorten(text string) string {
	const most = 100
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

func writeJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func deadShowCommand() *cobra.Command {
	d := outboxDead{}
	cmd := &cobra.Command{
		Use: "show SEQ -c FILE", Short: "show a dead row with its payload, and what is wrong with it", Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			seqs, err := rowNumbers(args)
			if err != nil {
				return err
			}
			if len(seqs) == 0 {
				return usageError("say which row: gateway outbox dead show 17 -c gateway.yaml")
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), outboxTimeout)
			defer cancel()
			rows, err := d.open(ctx, "gateway outbox dead show 17 -c gateway.yaml")
			if err != nil {
				return err
			}
			defer rows.Close()
			row, found, err := rows.Show(ctx, seqs[0])
			switch {
			case err != nil:
				return err
			case !found:
				return fmt.Errorf("there is no dead row %d", seqs[0])
			}
			return d.printRow(cmd.OutOrStdout(), row)
		},
	}
	d.define(cmd)
	d.defineFormat(cmd)
	return cmd
}

func (d *outboxDead) printRow(out io.Writer, r outbox.DeadRow) error {
	if d.format == formatJSON {
		return writeJSON(out, r)
	}
	fmt.Fprintf(out, "row %d, id %s\n  type     %s\n  entity   %s %s\n  dead     since %s\n  reason   %s\n\n%s\n\npayload\n%s\n",
		r.Seq, r.ID, r.Type, r.AggregateType, r.AggregateID, r.DeadAt.UTC().Format(time.RFC3339), r.Reason, r.Detail, r.Payload)
	if r.Headers != "" {
		fmt.Fprintf(out, "\nheaders\n%s\n", r.Headers)
	}
	return nil
}

func deadMoveCommand(verb, short, long, done string, do func(*outbox.Dead, context.Context, []int64) (int64, error)) *cobra.Command {
	d := outboxDead{}
	example := "gateway outbox dead " + verb + " 17 18 -c gateway.yaml"
	cmd := &cobra.Command{
		Use: verb + " SEQ… | --all -c FILE", Short: short, Long: long,
		RunE: func(cmd *cobra.Command, args []string) error {
			seqs, err := rowNumbers(args)
			switch {
			case err != nil:
				return err
			case d.all == (len(seqs) > 0):
				return usageError("say which rows, or --all: " + example)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), outboxTimeout)
			defer cancel()
			rows, err := d.open(ctx, example)
			if err != nil {
				return err
			}
			defer rows.Close()
			n, err := do(rows, ctx, seqs)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", plural(int(n), "row"), done)
			if int(n) < len(seqs) {
				return errors.New("the others are not dead rows of this outbox")
			}
			return nil
		},
	}
	d.define(cmd)
	cmd.Flags().BoolVar(&d.all, "all", false, "all dead rows")
	return cmd
}

func rowNumbers(args []string) ([]int64, error) {
	seqs := make([]int64, 0, len(args))
	for _, arg := range args {
		n, err := strconv.ParseInt(arg, 10, 64)
		if err != nil {
			return nil, usageError(fmt.Sprintf("%q is not the number of a row, as gateway outbox dead list shows it", arg))
		}
		seqs = append(seqs, n)
	}
	return seqs, nil
}
