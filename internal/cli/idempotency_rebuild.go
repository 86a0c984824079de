package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"eventgateway/internal/app"
	"eventgateway/internal/idempotency"
	"eventgateway/internal/redis"
)

type idempotencyRebuild struct {
	file       string
	since      time.Duration
	sinceGiven bool
}

func idempotencyRebuildCommand() *cobra.Command {
	var r idempotencyRebuild
	cmd := &cobra.Command{
		Use: "rebuild -c FILE", Short: "learn from Kafka which keyed events were written", Args: atMost(0),
		Long: `Learns from Kafka which keyed events were written and writes that into Redis,
whatever Redis remembers. Gateways do so without help when they find out that Redis
lost keys; this command is for losses they cannot see: somebody deleted keys, or
restored an old snapshot by hand.

Running gateways refuse keyed events (503) until it is done. With the idempotent
guarantee it first waits idempotency.lease; with the transactional one it fences all
producers.

--since is how far back to read: by default idempotency.ttl. Keys of older events
that Redis does not remember are forgotten: a retry is published again.

--since 0s reads nothing and waits for nothing. It asserts that no keyed event was
written within idempotency.ttl, and lets gateways begin on an empty Redis at once:
right for a first installation. If the assertion is wrong, retries of events written
before are published again. If Redis knows better, the command refuses.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r.sinceGiven = cmd.Flags().Changed("since")
			return r.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	configFlag(cmd, &r.file, "configuration `FILE`")
	cmd.Flags().DurationVar(&r.since, "since", 0, "how far back to read the log, a `DURATION` such as 24h; 0s: no keyed event was ever written")
	return cmd
}

func (r *idempotencyRebuild) run(ctx context.Context, out, errOut io.Writer) error {
	switch {
	case r.file == "":
		return missingConfig("gateway idempotency rebuild -c gateway.yaml")
	case r.since < 0:
		return usageError("--since must not be negative; write for example --since 24h")
	}
	cfg, err := loadConfig(r.file, os.Environ())
	if err != nil {
		return err
	}
	logger := newLogger(cfg.Log, errOut)
	redis.RouteLogs(logger)
	if r.sinceGiven && r.since == 0 {
		set, err := app.AssertEmpty(ctx, cfg, logger)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%d buckets were not ready and now are; nothing was read\n", set)
		return nil
	}
	since := r.since
	if !r.sinceGiven {
		since = cfg.Idempotency.TTL
	}
	fmt.Fprintf(out, "rebuilding keys from the last %v of the log; keyed events are refused until it is done\n", since)
	progress := newRebuildProgress(out, isTerminal(out))
	tally, err := app.Rebuild(ctx, cfg, since, logger, progress.see)
	progress.end()
	if err != nil {
		return fmt.Errorf("%w\nbuckets that are not ready yet are rebuilt by running gateways; or run the command again", err)
	}
	printTally(out, tally)
	return nil
}

func printTally(out io.Writer, t idempotency.Tally) {
	reading := (t.Took - t.Waited).Seconds()
	fmt.Fprintf(out, "done: %d buckets, %d records read, %d keys written, %d already there, in %.1f s after %.1f s of waiting: %.0f records/s\n",
		t.Buckets, t.Read, t.Written, t.Kept, reading, t.Waited.Seconds(), float64(t.Read)/max(reading, 1e-3))
	if t.Overruled > 0 {
		fmt.Fprintf(out, "%d keys were claimed for another payload than the log has\n", t.Overruled)
	}
	if t.Duplicates > 0 {
		fmt.Fprintf(out, "%d records are duplicates of an event: see the log\n", t.Duplicates)
	}
}
