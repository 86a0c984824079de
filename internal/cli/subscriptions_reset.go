package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"eventgateway/internal/app"
	"eventgateway/internal/deadletter"
)

// subscriptionsResetTimeout bounds a reset: gateways that were killed are in their group until
// their session is over.
const subscriptionsResetTimeout = 3 * time.Minute

type subscriptionsReset struct {
	subscriptionsFlags
	time    string
	offsets []string
	to      app.SubscriptionReset
	dryRun  bool
}

func subscriptionsResetCommand() *cobra.Command {
	var r subscriptionsReset
	const example = "gateway subscriptions reset -c gateway.yaml fulfilment --to-time 2026-11-30T10:00:00Z --dry-run"
	cmd := &cobra.Command{
		Use: "reset -c FILE NAME --to-time TIME | --to-earliest | --to-offset PLACE…", Short: "deliver events again, or skip some", Args: atMost(1),
		Long: `Sets where a subscription goes on: with the first event of a time or later, with the first
that Kafka has, or, in single partitions, at an offset. Events after it are delivered again, in
order, with the same Webhook-Id; what was known of attempts is forgotten. Gateways leave the
group for some seconds meanwhile. --dry-run says how many events that would be: the numbers are
offsets, so that markers of transactions and events that the subscription does not want count.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if r.file == "" {
				return missingConfig(example)
			}
			name, err := oneName(args, example)
			if err != nil {
				return err
			}
			if err := r.parse(example); err != nil {
				return err
			}
			cfg, err := loadConfig(r.file, os.Environ())
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), subscriptionsResetTimeout)
			defer cancel()
			list, err := app.ResetSubscription(ctx, cfg, name, r.to, r.dryRun)
			if err != nil {
				return asUsage(err)
			}
			if r.format == formatJSON {
				return writeJSON(cmd.OutOrStdout(), list)
			}
			return r.print(cmd.OutOrStdout(), name, list)
		},
	}
	r.define(cmd, true)
	flags := cmd.Flags()
	flags.StringVar(&r.time, "to-time", "", "with the first event written at that `TIME` or later: 2026-11-30T10:00:00Z, or 2h for two hours ago")
	flags.BoolVar(&r.to.Earliest, "to-earliest", false, "with the first event that Kafka has")
	flags.StringArrayVar(&r.offsets, "to-offset", nil, "`PLACE` of an event, as topic/partition/offset; may be repeated; other partitions stay as they are")
	flags.BoolVar(&r.dryRun, "dry-run", false, "only say what would be")
	return cmd
}

func (r *subscriptionsReset) parse(example string) (err error) {
	given := 0
	for _, is := range []bool{r.time != "", r.to.Earliest, len(r.offsets) > 0} {
		if is {
			given++
		}
	}
	if given != 1 {
		return usageError("say where to, with one of --to-time, --to-earliest and --to-offset: " + example)
	}
	for _, text := range r.offsets {
		p, err := deadletter.ParsePlace(text)
		if err != nil {
			return usageError(err.Error())
		}
		r.to.Offsets = append(r.to.Offsets, p)
	}
	r.to.Time, err = moment(r.time, "--to-time")
	return err
}

func (r *subscriptionsReset) print(out io.Writer, name string, list []app.ResetPartition) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PARTITION\tCOMMITTED\tTO\tAGAIN\tSKIPPED")
	var again, skipped int64
	for _, p := range list {
		committed := "none"
		if p.Committed >= 0 {
			committed = fmt.Sprint(p.Committed)
		}
		fmt.Fprintf(table, "%s[%d]\t%s\t%d\t%d\t%d\n", p.Topic, p.Partition, committed, p.To, p.Again, p.Skipped)
		again += p.Again
		skipped += p.Skipped
	}
	if err := table.Flush(); err != nil {
		return err
	}
	will := "are"
	if r.dryRun {
		will = "would be"
	}
	_, err := fmt.Fprintf(out, "%s: at most %d events %s delivered again, and %d skipped\n", name, again, will, skipped)
	return err
}
