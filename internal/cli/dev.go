package cli

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	eventgateway "eventgateway"
	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/dev"
	"eventgateway/internal/redis"
)

// devPartitions is more than one, so that entity keys matter as in production.
const devPartitions = 6

func devCommand() *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use: "dev [-c FILE]", Short: "everything embedded, nothing to install", GroupID: groupRun, Args: atMost(0),
		Long: `Runs the gateway with an embedded Kafka and Redis: there is nothing to install. With
-c it takes a configuration file, with webhooks and limits for example, in which auth
may be left out. The embedded Kafka and Redis replace its sections kafka and redis;
only kafka.delivery_timeout is kept.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDev(cmd.Context(), f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f.define(cmd)
	return cmd
}

func runDev(ctx context.Context, f devFlags, out, errOut io.Writer) error {
	cfg, ignored, err := f.config(os.Environ())
	if err != nil {
		return err
	}
	dir, cleanUp, err := devSchemas(cfg.Schemas.Dir)
	if err != nil {
		return err
	}
	defer cleanUp()
	addProcessor()
	services, err := dev.Start(dev.Config{KafkaListen: f.kafka, DataDir: f.dataDir})
	if err != nil {
		return fmt.Errorf("%w; stop what holds the port, or choose another with --kafka-listen", err)
	}
	defer services.Close()
	if err := embed(cfg, dir, services); err != nil {
		return err
	}
	logger := newLogger(cfg.Log, errOut)
	redis.RouteLogs(logger)
	memory := fitMemory(cfg, logger)
	gateway, err := app.New(cfg, eventgateway.OpenAPI, logger)
	if err != nil {
		return err
	}
	fitCollector(memory, logger)
	stopped := make(chan error, 1)
	go func() { stopped <- gateway.Run(ctx) }()
	// Wait until the first pasted curl line finds its topic, and Redis knows what the
	// log has from earlier runs.
	ready, cancel := context.WithTimeout(ctx, 10*time.Second)
	gateway.AwaitReady(ready)
	cancel()
	if ctx.Err() == nil {
		base := schemeOf(cfg) + "://" + reachable(gateway.Addr())
		printBanner(out, gateway, services, dir, base, !cfg.Auth.None)
		printWebhooks(out, cfg, f.file, base)
		fmt.Fprint(out, ignored, "\nPublished records show up here:\n\n")
	}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() {
		if err := dev.Watch(watching, services.KafkaAddr(), out); err != nil {
			fmt.Fprintln(errOut, "gateway dev:", err)
		}
	})
	err = <-stopped
	stop()
	watch.Wait()
	return err
}

const devBanner = `The event gateway runs, with an embedded Kafka and Redis. Ctrl-C stops it.

  open this     %[1]s/   (event types from %[4]s, reloaded on change)
  try the API   %[1]s/docs
  metrics       http://%[2]s/metrics
  Kafka         %[3]s   (kcat -b %[3]s -t %[5]s -C, or any driver)
`

const devCurl = `
Publish an event (send it twice: the second answer is a replay of the first):

  curl -i %[1]s/v1/events/%[2]s \%[4]s
    -H 'Content-Type: application/json' -H 'Idempotency-Key: my-first-event' \
    -d '%[3]s'
`

func printBanner(out io.Writer, gateway *app.App, services *dev.Services, schemas, base string, authenticated bool) {
	eventType, data := gateway.Sample("orders.placed")
	fmt.Fprintf(out, devBanner, base, reachable(gateway.AdminAddr()), services.KafkaAddr(), schemas, eventType)
	if eventType != "" {
		quoted := strings.ReplaceAll(string(data), "'", `'\''`)
		authorization := ""
		if authenticated {
			authorization = "\n    -H \"Authorization: Bearer $GATEWAY_KEY\" \\"
		}
		fmt.Fprintf(out, devCurl, base, eventType, quoted, authorization)
	}
}

func schemeOf(cfg *config.Config) string {
	if cfg.HTTP.TLS.Enabled() {
		return "https"
	}
	return "http"
}

// reachable is the listen address as a client on this machine can use it.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// devSchemas returns the folder to load: the one that was named, ./schemas, or a
// temporary copy of the samples, which cleanUp removes.
func devSchemas(named string) (dir string, cleanUp func(), err error) {
	nothing := func() {}
	if named != "" {
		return named, nothing, nil
	}
	if info, err := os.Stat("schemas"); err == nil && info.IsDir() {
		return "schemas", nothing, nil
	}
	tmp, err := os.MkdirTemp("", "gateway-schemas-")
	if err != nil {
		return "", nil, fmt.Errorf("make folder for sample event types: %w", err)
	}
	cleanUp = func() { _ = os.RemoveAll(tmp) }
	samples, err := fs.Sub(eventgateway.Schemas, "schemas")
	if err == nil {
		err = os.CopyFS(tmp, samples)
	}
	if err != nil {
		cleanUp()
		return "", nil, fmt.Errorf("unpack sample event types: %w", err)
	}
	return tmp, cleanUp, nil
}
