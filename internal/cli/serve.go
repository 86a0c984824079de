package cli

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	eventgateway "eventgateway"
	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/redis"
)

type serveFlags struct{ file, listen, admin string }

func serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use: "serve -c FILE", Short: "the gateway on real Kafka and Redis", GroupID: groupRun, Args: atMost(0),
		Long: `Runs the gateway on the Kafka and Redis of its configuration, until SIGINT or SIGTERM
stops it in order. gateway check says beforehand what is wrong.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runServe(cmd.Context(), f, cmd.ErrOrStderr()) },
	}
	configFlag(cmd, &f.file, "configuration `FILE`")
	cmd.Flags().StringVar(&f.listen, "listen", "", "public `ADDRESS`, instead of http.listen")
	cmd.Flags().StringVar(&f.admin, "admin-listen", "", "admin `ADDRESS`, instead of admin.listen")
	return cmd
}

func runServe(ctx context.Context, f serveFlags, errOut io.Writer) error {
	if f.file == "" {
		return missingConfig("gateway serve -c gateway.yaml")
	}
	cfg, err := loadConfig(f.file, os.Environ())
	if err != nil {
		return err
	}
	if err := setFlags(cfg, map[string]string{"http.listen": f.listen, "admin.listen": f.admin}); err != nil {
		return err
	}
	addProcessor()
	logger := newLogger(cfg.Log, errOut)
	redis.RouteLogs(logger)
	memory := fitMemory(cfg, logger)
	gateway, err := app.New(cfg, eventgateway.OpenAPI, logger)
	if err != nil {
		return err
	}
	fitCollector(memory, logger)
	return gateway.Run(ctx)
}

// setFlags puts flags that were given over the configuration.
func setFlags(cfg *config.Config, flags map[string]string) error {
	for path, value := range flags {
		if value == "" {
			continue
		}
		if err := cfg.Set(path, "flag", value); err != nil {
			return usageError(err.Error())
		}
	}
	if err := cfg.Validate(); err != nil {
		return usageError(err.Error())
	}
	return nil
}
