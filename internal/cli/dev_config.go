package cli

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/dev"
)

type devFlags struct {
	file, listen, admin, kafka, schemas, dataDir string
	verbose                                      bool
}

const (
	devListen = "127.0.0.1:8080"
	devAdmin  = "127.0.0.1:9090"
)

func (f *devFlags) define(cmd *cobra.Command) {
	configFlag(cmd, &f.file, "configuration `FILE`; default: none")
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "", "`ADDRESS` of the API; default: that of the file, else "+devListen)
	flags.StringVar(&f.admin, "admin-listen", "", "`ADDRESS` of health and metrics; default: that of the file, else "+devAdmin)
	flags.StringVar(&f.kafka, "kafka-listen", "127.0.0.1:9092", "`ADDRESS` of the embedded Kafka")
	flags.StringVar(&f.schemas, "schemas", "", "`DIR` of event types; default: that of the file, else ./schemas if it exists, else the samples")
	flags.StringVar(&f.dataDir, "data-dir", "", "`DIR` that keeps published records across restarts; default: in memory")
	flags.BoolVar(&f.verbose, "verbose", false, "log everything, not only warnings")
}

// config is the file's configuration without the sections that the embedded services
// replace, and a line that names those. The folder of event types is "" unless the
// file or a flag names one.
func (f *devFlags) config(environ []string) (cfg *config.Config, ignored string, err error) {
	cfg = config.Defaults()
	if f.file != "" {
		cfg, err = loadPart(f.file, environ, func(wrong *config.Error) bool {
			undecided := wrong.Path == "auth" && wrong.Source == "" // then everybody may publish to it
			return undecided || inSections(wrong.Path, "kafka", "redis") && wrong.Path != "kafka.delivery_timeout"
		})
		if err == nil {
			err = app.CheckWebhooks(cfg)
		}
		if err == nil {
			err = app.CheckSubscriptions(cfg)
		}
		if err != nil {
			return nil, "", wrapConfig(err)
		}
		ignored = replaceServices(cfg)
	}
	f.setAddresses(cfg)
	switch {
	case f.schemas != "":
		cfg.Schemas.Dir = f.schemas
	case cfg.Source("schemas.dir") == "":
		cfg.Schemas.Dir = ""
	}
	if cfg.Source("log.format") == "" {
		cfg.Log.Format = config.LogText
	}
	if cfg.Source("log.level") == "" {
		cfg.Log.Level = config.LogWarn
	}
	if f.verbose {
		cfg.Log.Level = config.LogDebug
	}
	return cfg, ignored, nil
}

func wrapConfig(err error) error {
	var wrong config.Errors
	if errors.As(err, &wrong) && !strings.HasPrefix(err.Error(), "the configuration") {
		return fmt.Errorf("the configuration cannot be used:\n%w", err)
	}
	return err
}

// setAddresses takes addresses from the flags, else the file, else listens on this
// machine only.
func (f *devFlags) setAddresses(cfg *config.Config) {
	choose := func(set *string, path, given, otherwise string) {
		switch {
		case given != "":
			*set = given
		case cfg.Source(path) == "":
			*set = otherwise
		}
	}
	choose(&cfg.HTTP.Listen, "http.listen", f.listen, devListen)
	choose(&cfg.Admin.Listen, "admin.listen", f.admin, devAdmin)
	if _, port, err := net.SplitHostPort(cfg.HTTP.Listen); cfg.HTTP.PublicURL == "" && err == nil && port != "0" {
		cfg.HTTP.PublicURL = schemeOf(cfg) + "://" + reachable(cfg.HTTP.Listen)
	}
}

// replaceServices puts defaults in the place of the sections that the embedded
// services replace, and returns a line that names those.
func replaceServices(cfg *config.Config) string {
	var sections []string
	if cfg.Given("kafka") {
		sections = append(sections, "kafka (but delivery_timeout)")
	}
	if cfg.Given("redis") {
		sections = append(sections, "redis")
	}
	defaults := config.Defaults()
	defaults.Kafka.DeliveryTimeout = cfg.Kafka.DeliveryTimeout
	cfg.Kafka, cfg.Redis = defaults.Kafka, defaults.Redis
	if sections == nil {
		return ""
	}
	return "\nNot used of the configuration file, because Kafka and Redis are embedded: " + strings.Join(sections, ", ") + ".\n"
}

// embed points a configuration at the embedded services.
func embed(cfg *config.Config, schemas string, services *dev.Services) error {
	if cfg.Auth.IsZero() {
		cfg.Auth.None = true
	}
	cfg.SoleWriter = true
	cfg.Kafka.Brokers = []string{services.KafkaAddr()}
	cfg.Kafka.CreateTopics = config.CreateTopics{Enabled: true, Partitions: devPartitions, Replication: 1}
	cfg.Redis.Addresses = []string{services.RedisAddr()}
	cfg.Schemas.Dir = schemas
	if err := cfg.Validate(); err != nil {
		return usageError(err.Error())
	}
	return nil
}

// printWebhooks prints the URL of each source, and a command line that tries it.
func printWebhooks(out io.Writer, cfg *config.Config, file, base string) {
	if len(cfg.Webhooks) == 0 {
		return
	}
	fmt.Fprint(out, "\nWebhooks, each with a line that sends a sample delivery:\n\n")
	program := programName()
	for _, w := range cfg.Webhooks {
		url := base + "/v1/webhooks/" + w.Name
		fmt.Fprintf(out, "  %s   (%s)\n", url, w.Scheme)
		line := fmt.Sprintf("%[1]s webhooks sample %[2]s 2>/dev/null | %[1]s webhooks send %[3]s - -c %[4]s", program, w.Scheme, w.Name, quoteShell(file))
		if header, ok := sampleHeaders[w.Scheme]; ok {
			line += " --header " + quoteShell(header)
		}
		fmt.Fprintf(out, "  %s --url %s\n\n", line, url)
	}
}

// programName is how a shell in this folder starts this program.
func programName() string {
	if len(os.Args) == 0 {
		return "gateway"
	}
	if own, err := os.Executable(); err == nil {
		found, err := exec.LookPath("gateway")
		if err == nil && sameFile(own, found) {
			return "gateway"
		}
	}
	return quoteShell(os.Args[0])
}

func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}
