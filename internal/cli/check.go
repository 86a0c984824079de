package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/preflight"
	"eventgateway/internal/redis"
	"eventgateway/internal/schema"
)

const checkUsage = `gateway check -c FILE

Looks at everything that the gateway rests on, before it is started or while it runs,
and says what to do about each thing that is not as it should be: the configuration,
the event types, Kafka, Redis, and the clocks. It changes nothing anywhere.

The exit status is 1 if there are errors (some events would be refused, or the promise
would not hold), and 0 with warnings only.

`

const (
	formatText = "text"
	formatJSON = "json"
)

// checker is `gateway check` with what it looks at.
type checker struct {
	environ []string
	now     func() time.Time
	kafka   func(context.Context, *config.Config, *schema.Set) []preflight.Finding

	file    string
	format  string
	timeout time.Duration // for Kafka and for Redis, each
	rate    float64
}

// runCheck is `gateway check`.
func runCheck(ctx context.Context, args []string, out, errOut io.Writer) error {
	c := checker{environ: os.Environ(), now: time.Now, kafka: app.CheckKafka}
	if err := c.parse(args, errOut); err != nil {
		return err
	}
	redis.RouteLogs(slog.New(slog.DiscardHandler)) // the findings say it
	return c.report(c.findings(ctx), out)
}

func (c *checker) parse(args []string, errOut io.Writer) error {
	fs := flag.NewFlagSet("check", flag.ContinueOnError)
	fs.StringVar(&c.file, "c", "", "configuration `FILE`")
	fs.StringVar(&c.format, "format", formatText, "`FORMAT` of the output: text or json")
	fs.DurationVar(&c.timeout, "timeout", 10*time.Second, "how long to wait for Kafka and for Redis, a `DURATION`")
	fs.Float64Var(&c.rate, "expected-rate", 0, "keyed events a second, a `NUMBER`: is Redis' memory enough for them?")
	fs.Usage = func() {
		_, _ = io.WriteString(errOut, checkUsage)
		fs.PrintDefaults()
	}
	if err := parseFlags(fs, args, errOut); err != nil {
		return err
	}
	switch {
	case c.file == "":
		return usageError("say which configuration file to check: gateway check -c gateway.yaml")
	case c.format != formatText && c.format != formatJSON:
		return usageError(fmt.Sprintf("--format is text or json, not %q", c.format))
	case c.timeout <= 0:
		return usageError("--timeout must be more than 0; write for example --timeout 10s")
	case !(c.rate >= 0) || c.rate > 1e9: // NaN is neither
		return usageError("--expected-rate is a number of events a second; write for example --expected-rate 500")
	}
	return nil
}

// findings looks at each area, whatever was found in those before it.
func (c *checker) findings(ctx context.Context) []preflight.Finding {
	cfg, wrong, list := c.configuration()
	set, found := c.schemas(cfg, wrong)
	list = append(list, found...)

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
	looking.Wait()
	return slices.Concat(list, kafka, redis)
}
