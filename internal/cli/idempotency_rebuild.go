package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/idempotency"
	"eventgateway/internal/redis"
)

const rebuildUsage = `gateway idempotency rebuild -c FILE [--since DURATION]

Learns from Kafka which keyed events were written and writes that into Redis,
whatever Redis remembers. Gateways do so by themselves when they find out that
Redis lost keys; this command is for when they cannot know: somebody deleted keys,
or restored an old snapshot by hand.

Running gateways refuse keyed events (503) until it is done. With the idempotent
guarantee it first waits idempotency.lease; with the transactional one it fences all
producers.

--since is how far back to read: by default idempotency.ttl. Keys of older events
that Redis does not remember are forgotten: a retry is published again.

--since 0s reads nothing and waits for nothing. It asserts that no keyed event was
written within idempotency.ttl, and lets gateways begin on an empty Redis at once:
right for a first installation. If the assertion is wrong, retries of events written
before are published again. Where Redis knows better, it is refused.

`

// progressInterval is the least time between two lines of progress.
const progressInterval = time.Second

// runRebuild is `gateway idempotency rebuild`.
func runRebuild(ctx context.Context, args []string, out, errOut io.Writer) error {
	fs := flag.NewFlagSet("idempotency rebuild", flag.ContinueOnError)
	file := fs.String("c", "", "configuration `FILE`")
	given := false
	var since time.Duration
	fs.Func("since", "how far back to read the log, a `DURATION` such as 24h; 0s: nothing was ever written", func(text string) (err error) {
		given = true
		since, err = time.ParseDuration(text)
		return err
	})
	fs.Usage = func() {
		_, _ = io.WriteString(errOut, rebuildUsage)
		fs.PrintDefaults()
	}
	if err := parseFlags(fs, args, errOut); err != nil {
		return err
	}
	switch {
	case *file == "":
		return usageError("say which configuration file to use: gateway idempotency rebuild -c gateway.yaml")
	case since < 0:
		return usageError("--since must not be negative; write for example --since 24h")
	}
	cfg, err := config.Load(*file, os.Environ())
	if err != nil {
		return fmt.Errorf("the configuration cannot be used:\n%w", err)
	}
	logger := newLogger(cfg.Log, errOut)
	redis.RouteLogs(logger)
	if given && since == 0 {
		set, err := app.AssertEmpty(ctx, cfg, logger)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%d buckets were not ready and now are; nothing was read\n", set)
		return nil
	}
	if !given {
		since = cfg.Idempotency.TTL
	}
	fmt.Fprintf(out, "rebuilding keys from the last %v of the log; keyed events are refused until it is done\n", since)
	tally, err := app.Rebuild(ctx, cfg, since, logger, printProgress(out))
	if err != nil {
		return fmt.Errorf("%w\nbuckets that are not ready yet are rebuilt by running gateways; or run the command again", err)
	}
	printTally(out, tally)
	return nil
}

// printProgress returns a function that writes a line once in a while.
func printProgress(out io.Writer) func(idempotency.Tally) {
	var last time.Time
	return func(t idempotency.Tally) {
		if time.Since(last) < progressInterval {
			return
		}
		last = time.Now()
		if t.Read == 0 {
			fmt.Fprintf(out, "waited %.1f s: nothing from before can be written any more; reading the log\n", t.Waited.Seconds())
			return
		}
		fmt.Fprintf(out, "%d records read, %d keys written\n", t.Read, t.Written)
	}
}

func printTally(out io.Writer, t idempotency.Tally) {
	reading := (t.Took - t.Waited).Seconds()
	fmt.Fprintf(out, "done: %d buckets, %d records read, %d keys written, %d already there, in %.1f s after %.1f s of waiting: %.0f records/s\n",
		t.Buckets, t.Read, t.Written, t.Kept, reading, t.Waited.Seconds(), float64(t.Read)/max(reading, 1e-3))
	if t.Overruled > 0 {
		fmt.Fprintf(out, "%d keys were held for another payload than the log's\n", t.Overruled)
	}
	if t.Duplicates > 0 {
		fmt.Fprintf(out, "%d records are second ones of an event: see the log\n", t.Duplicates)
	}
}
