package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	eventgateway "eventgateway"
	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/redis"
)

// runServe is `gateway serve`: the gateway on real Kafka and Redis.
func runServe(ctx context.Context, args []string, _, errOut io.Writer) error {
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	file := fs.String("c", "", "configuration `FILE`")
	listen := fs.String("listen", "", "public `ADDRESS`, instead of http.listen")
	adminListen := fs.String("admin-listen", "", "admin `ADDRESS`, instead of admin.listen")
	if err := parseFlags(fs, args, errOut); err != nil {
		return err
	}
	if *file == "" {
		return usageError("say which configuration file to use: gateway serve -c gateway.yaml")
	}
	cfg, err := config.Load(*file, os.Environ())
	if err != nil {
		return fmt.Errorf("the configuration cannot be used:\n%w", err)
	}
	if err := setFlags(cfg, map[string]*string{"http.listen": listen, "admin.listen": adminListen}); err != nil {
		return err
	}
	addProcessor()
	logger := newLogger(cfg.Log, errOut)
	redis.RouteLogs(logger)
	gateway, err := app.New(cfg, eventgateway.OpenAPI, logger)
	if err != nil {
		return err
	}
	fitCollector()
	return gateway.Run(ctx)
}

// setFlags puts flags that were given over the configuration.
func setFlags(cfg *config.Config, flags map[string]*string) error {
	for path, value := range flags {
		if *value == "" {
			continue
		}
		if err := cfg.Set(path, "flag", *value); err != nil {
			return usageError(err.Error())
		}
	}
	if err := cfg.Validate(); err != nil {
		return usageError(err.Error())
	}
	return nil
}

func newLogger(cfg config.Log, out io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.Level.Slog()}
	if cfg.Format == config.LogText {
		return slog.New(slog.NewTextHandler(out, opts))
	}
	return slog.New(slog.NewJSONHandler(out, opts))
}
