package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	eventgateway "eventgateway"
	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/outbox"
	"eventgateway/internal/redis"
)

type outboxSchema struct {
	file, name string
	wal        bool
	options    outbox.SchemaOptions
}

func outboxSchemaCommand() *cobra.Command {
	s := outboxSchema{}
	cmd := &cobra.Command{
		Use: "schema [NAME] [-c FILE]", Short: "print the SQL that makes the tables of an outbox", Args: atMost(1),
		Long: `Prints the SQL that makes the tables of an outbox: the table, dead rows and state, the
trigger that wakes the gateway, a function to insert rows, the gateway's user and
its grants and, for the reader wal, the publication. It changes nothing: read it,
and run it as the owner of the service's tables.

With -c, names are those of the outbox NAME of the configuration file.`,
		Example: "  gateway outbox schema | psql shop\n  gateway outbox schema shop -c gateway.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				s.name = args[0]
			}
			return s.run(cmd.OutOrStdout())
		},
	}
	configFlag(cmd, &s.file, "configuration `FILE`; default: none")
	flags := cmd.Flags()
	flags.BoolVar(&s.wal, "wal", false, "for the reader wal; with -c the file says so")
	flags.BoolVar(&s.options.Partitioned, "partitioned", false, "a table with partitions, which can be dropped when they are empty")
	s.options.PayloadType = "jsonb"
	flags.Func("payload", "`TYPE` of the payload: jsonb, json, text or bytea; default jsonb", oneOf(&s.options.PayloadType, "jsonb", "json", "text", "bytea"))
	flags.StringVar(&s.options.Role, "role", "gateway_outbox", "`NAME` of the gateway's user")
	return cmd
}

func (s *outboxSchema) run(out io.Writer) error {
	o := config.NewOutbox(s.name)
	if s.name == "" {
		o.Name = "outbox"
	}
	if s.wal {
		o.Read = config.OutboxWAL
	}
	cfg := config.Defaults()
	if s.file != "" {
		var err error
		if cfg, err = loadPart(s.file, os.Environ(), func(wrong *config.Error) bool {
			return !inSections(wrong.Path, "outbox") || strings.HasSuffix(wrong.Path, "dsn")
		}); err != nil {
			return wrapConfig(err)
		}
		if o, err = chooseOutbox(cfg, s.name); err != nil {
			return err
		}
	}
	text, err := outbox.Schema(app.OutboxConfig(cfg, o), s.options)
	if err == nil {
		_, err = io.WriteString(out, text)
	}
	return err
}

// chooseOutbox returns the outbox of a name, or, without a name, the only one.
func chooseOutbox(cfg *config.Config, name string) (config.Outbox, error) {
	if len(cfg.Outbox) == 0 {
		return config.Outbox{}, usageError(cfg.File + " has no outbox; add one under outbox: docs/outbox.md shows how")
	}
	if name == "" && len(cfg.Outbox) == 1 {
		return cfg.Outbox[0], nil
	}
	names := make([]string, len(cfg.Outbox))
	for i, o := range cfg.Outbox {
		names[i] = o.Name
	}
	at := slices.Index(names, name)
	switch {
	case at >= 0:
		return cfg.Outbox[at], nil
	case name == "":
		return config.Outbox{}, usageError("say which outbox: " + strings.Join(names, ", "))
	}
	return config.Outbox{}, usageError(fmt.Sprintf("there is no outbox %q; there are %s", name, strings.Join(names, ", ")))
}

func outboxRunCommand() *cobra.Command {
	var f serveFlags
	var acceptGap bool
	cmd := &cobra.Command{
		Use: "run -c FILE", Short: "relay the rows of outboxes to Kafka, without serving the API", Args: atMost(0),
		Long: `Relays the rows of all outboxes of the configuration to Kafka, as gateway serve does beside
the API, until SIGINT or SIGTERM. The admin listener has health and metrics. Several may
run at the same time, here or as part of gateway serve: one of them is active.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runOutbox(cmd.Context(), f, acceptGap, cmd.ErrOrStderr())
		},
	}
	configFlag(cmd, &f.file, "configuration `FILE`")
	cmd.Flags().StringVar(&f.admin, "admin-listen", "", "admin `ADDRESS`, instead of admin.listen")
	cmd.Flags().BoolVar(&acceptGap, "accept-gap", false, "go on when messages may be lost, because their replication slot is")
	return cmd
}

func runOutbox(ctx context.Context, f serveFlags, acceptGap bool, errOut io.Writer) error {
	if f.file == "" {
		return missingConfig("gateway outbox run -c gateway.yaml")
	}
	cfg, err := loadConfig(f.file, os.Environ())
	if err != nil {
		return err
	}
	if len(cfg.Outbox) == 0 {
		return usageError(f.file + " has no outbox; add one under outbox: docs/outbox.md shows how")
	}
	if err := setFlags(cfg, map[string]string{"admin.listen": f.admin}); err != nil {
		return err
	}
	addProcessor()
	logger := newLogger(cfg.Log, errOut)
	redis.RouteLogs(logger)
	relay, err := app.NewRelay(cfg, eventgateway.OpenAPI, logger)
	if err != nil {
		return err
	}
	if acceptGap {
		relay.AcceptGap()
	}
	boundCollector()
	return relay.Run(ctx)
}
