package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"eventgateway/internal/app"
)

// subscriptionsTimeout bounds the questions to Kafka of one command.
const subscriptionsTimeout = 30 * time.Second

type subscriptionsFlags struct{ file, format string }

func (f *subscriptionsFlags) define(cmd *cobra.Command, output bool) {
	configFlag(cmd, &f.file, "configuration `FILE`")
	f.format = formatText
	if output {
		cmd.Flags().Func("format", "`FORMAT` of the output: text or json; default text", oneOf(&f.format, formatText, formatJSON))
	}
}

func subscriptionsListCommand() *cobra.Command {
	var f subscriptionsFlags
	cmd := &cobra.Command{
		Use: "list -c FILE", Short: "all subscriptions: paused or not, members, how far behind", Args: atMost(0),
		Long: `Lists the subscriptions of a configuration with what Kafka knows of them. BEHIND counts
offsets, so markers of transactions and events that are finished out of order count as well;
FAILING are events that have failed and are not finished; HELD are entities that wait
behind a dead letter.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := f.states(cmd.Context(), "", "gateway subscriptions list -c gateway.yaml")
			if err != nil {
				return err
			}
			if f.format == formatJSON {
				for i := range list {
					list[i].Partitions = nil
				}
				return printJSON(cmd.OutOrStdout(), list)
			}
			return printSubscriptions(cmd.OutOrStdout(), list)
		},
	}
	f.define(cmd, true)
	return cmd
}

func subscriptionsShowCommand() *cobra.Command {
	var f subscriptionsFlags
	cmd := &cobra.Command{
		Use: "show -c FILE NAME", Short: "one subscription, with its partitions", Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			const example = "gateway subscriptions show -c gateway.yaml fulfilment"
			name, err := oneName(args, example)
			if err != nil {
				return err
			}
			list, err := f.states(cmd.Context(), name, example)
			if err != nil {
				return err
			}
			if f.format == formatJSON {
				return printJSON(cmd.OutOrStdout(), list[0])
			}
			return printSubscription(cmd.OutOrStdout(), list[0])
		},
	}
	f.define(cmd, true)
	return cmd
}

func subscriptionsPauseCommand() *cobra.Command {
	var f subscriptionsFlags
	var reason string
	cmd := &cobra.Command{
		Use: "pause -c FILE NAME", Short: "stop pushing, in all gateways, until it is resumed", Args: atMost(1),
		Long: `Pauses a subscription in all gateways, over restarts, too. Its events wait in Kafka, for
as long as the topic keeps them. Attempts that are on are finished.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.change(cmd, args, "pause", func(ctx context.Context, name string) error {
				cfg, err := loadConfig(f.file, os.Environ())
				if err != nil {
					return err
				}
				return app.PauseSubscription(ctx, cfg, name, cmp.Or(reason, "by hand"))
			}, "paused")
		},
	}
	f.define(cmd, false)
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` that is shown to others; default: by hand")
	return cmd
}

func subscriptionsResumeCommand() *cobra.Command {
	var f subscriptionsFlags
	release := false
	cmd := &cobra.Command{
		Use: "resume -c FILE NAME", Short: "push again, after a pause by hand or by 410", Args: atMost(1),
		Long: `Ends the pause of a subscription in all gateways. With --release, entities that are held
back behind a dead letter (on_dead: hold-entity) go on with their next event.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.change(cmd, args, "resume", func(ctx context.Context, name string) error {
				cfg, err := loadConfig(f.file, os.Environ())
				if err != nil {
					return err
				}
				return app.ResumeSubscription(ctx, cfg, name, release)
			}, "resumed")
		},
	}
	f.define(cmd, false)
	cmd.Flags().BoolVar(&release, "release", false, "let go of entities that are held back")
	return cmd
}

func oneName(args []string, example string) (string, error) {
	if len(args) != 1 {
		return "", usageError("name the subscription: " + example)
	}
	return args[0], nil
}

// states asks for one subscription, or all.
func (f *subscriptionsFlags) states(ctx context.Context, only, example string) ([]app.SubscriptionStatus, error) {
	if f.file == "" {
		return nil, missingConfig(example)
	}
	cfg, err := loadConfig(f.file, os.Environ())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, subscriptionsTimeout)
	defer cancel()
	list, err := app.SubscriptionStates(ctx, cfg, only)
	for i := range list {
		list[i].URL = shownURL(list[i].URL)
	}
	return list, asUsage(err)
}

func (f *subscriptionsFlags) change(cmd *cobra.Command, args []string, verb string, do func(context.Context, string) error, done string) error {
	example := "gateway subscriptions " + verb + " -c gateway.yaml fulfilment"
	if f.file == "" {
		return missingConfig(example)
	}
	name, err := oneName(args, example)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), subscriptionsTimeout)
	defer cancel()
	if err := do(ctx, name); err != nil {
		return asUsage(err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s in all gateways\n", name, done)
	return err
}

// asUsage makes a name that there is not wrong usage.
func asUsage(err error) error {
	var unknown *app.UnknownSubscriptionError
	if errors.As(err, &unknown) {
		return usageError(unknown.Error())
	}
	return err
}

func printJSON(out io.Writer, value any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}

func printSubscriptions(out io.Writer, list []app.SubscriptionStatus) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "The configuration has no subscriptions.")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tSTATE\tGATEWAYS\tBEHIND\tFAILING\tHELD\tENDPOINT")
	for _, s := range list {
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\t%s\n", s.Name, stateWord(s), s.Members, s.Behind, s.Failing, s.Held, s.URL)
	}
	return table.Flush()
}

func stateWord(s app.SubscriptionStatus) string {
	switch {
	case s.Paused:
		return "paused"
	case s.Members == 0:
		return "not running"
	case s.State == "Stable":
		return "running"
	}
	return "rebalancing"
}

// shownURL leaves out the query, which may hold a token.
func shownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	u.RawQuery, u.User = "", nil
	return u.String()
}

func printSubscription(out io.Writer, s app.SubscriptionStatus) error {
	fmt.Fprintf(out, "%s: %s", s.Name, stateWord(s))
	if s.Paused {
		fmt.Fprintf(out, " since %s (%s)", s.Since.Format(time.RFC3339), s.Reason)
	}
	fmt.Fprintf(out, "\n  endpoint  %s\n  group     %s (%s, %d gateways)\n\n", s.URL, s.Group, s.State, s.Members)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PARTITION\tCOMMITTED\tEND\tBEHIND\tFINISHED BEYOND\tFAILING\tHELD\tGATEWAY")
	for _, p := range s.Partitions {
		committed := "none"
		if p.Committed >= 0 {
			committed = fmt.Sprint(p.Committed)
		}
		fmt.Fprintf(table, "%s[%d]\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n", p.Topic, p.Partition, committed, p.End, p.Behind, p.Finished, p.Failing, p.Held, p.Host)
	}
	return table.Flush()
}
