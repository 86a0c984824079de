package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/preflight"
	"eventgateway/internal/redis"
	"eventgateway/internal/schema"
)

const (
	formatText = "text"
	formatJSON = "json"
)

// checker runs the checks; tests replace the environment, the clock and Kafka.
type checker struct {
	environ []string
	now     func() time.Time
	kafka   func(context.Context, *config.Config, *schema.Set) []preflight.Finding

	file    string
	format  string
	timeout time.Duration // for Kafka and for Redis, each
	rate    float64
}

func checkCommand() *cobra.Command {
	c := checker{environ: os.Environ(), now: time.Now, kafka: app.CheckKafka, format: formatText}
	cmd := &cobra.Command{
		Use: "check -c FILE", Short: "check Kafka, Redis and schemas, and say how to fix what is wrong", GroupID: groupRun, Args: atMost(0),
		Long: `Checks everything the gateway depends on, before it starts or while it runs: the
configuration, the event types, Kafka, Redis, outboxes, and the clocks. For each thing that is
wrong it says how to fix it. It changes nothing anywhere.

The exit status is 1 if there are errors (some events would be refused, or written
more than once), and 0 if there are only warnings.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	configFlag(cmd, &c.file, "configuration `FILE`")
	flags := cmd.Flags()
	flags.Func("format", "`FORMAT` of the output: text or json; default text", oneOf(&c.format, formatText, formatJSON))
	flags.DurationVar(&c.timeout, "timeout", 10*time.Second, "how long to wait for Kafka and for Redis, a `DURATION`")
	flags.Float64Var(&c.rate, "expected-rate", 0, "`NUMBER` of keyed events a second: has Redis enough memory for them?")
	return cmd
}

func (c *checker) run(ctx context.Context, out io.Writer) error {
	if err := c.validate(); err != nil {
		return err
	}
	redis.RouteLogs(slog.New(slog.DiscardHandler)) // the findings report errors
	return c.report(c.findings(ctx), out)
}

func (c *checker) validate() error {
	switch {
	case c.file == "":
		return missingConfig("gateway check -c gateway.yaml")
	case c.timeout <= 0:
		return usageError("--timeout must be more than 0; write for example --timeout 10s")
	case !(c.rate >= 0) || c.rate > 1e9: // NaN is neither
		return usageError("--expected-rate is a number of events a second; write for example --expected-rate 500")
	}
	return nil
}

// findings checks each area, even if those before it have errors.
func (c *checker) findings(ctx context.Context) []preflight.Finding {
	cfg, wrong, list := c.configuration()
	set, found := c.schemas(cfg, wrong)
	list = append(list, found...)
	list = append(list, c.subscriptions(cfg, wrong, set)...)

	var kafka, redis []preflight.Finding
	var looking sync.WaitGroup
	if skipped := c.skip("kafka", cfg, wrong, "kafka", "idempotency"); skipped != nil {
		kafka = skipped
	} else {
		looking.Go(func() {
			limited, cancel := context.WithTimeout(ctx, c.timeout)
			defer cancel()
			kafka = c.kafka(limited, cfg, set)
		})
	}
	if skipped := c.skip("redis", cfg, wrong, "redis", "idempotency"); skipped != nil {
		redis = skipped
	} else {
		looking.Go(func() {
			limited, cancel := context.WithTimeout(ctx, c.timeout)
			defer cancel()
			redis = app.CheckRedis(limited, cfg, app.RedisCheck{Now: c.now, ExpectedRate: c.rate, File: c.file})
		})
	}
	var outboxes []preflight.Finding
	if cfg != nil && len(cfg.Outbox) > 0 {
		if outboxes = c.skip("outbox", cfg, wrong, "outbox"); outboxes == nil {
			looking.Go(func() {
				limited, cancel := context.WithTimeout(ctx, c.timeout)
				defer cancel()
				outboxes = app.CheckOutboxes(limited, cfg)
			})
		}
	}
	looking.Wait()
	return slices.Concat(list, kafka, redis, outboxes, c.security(cfg, wrong))
}
