package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/webhook"
)

const webhooksUsage = `gateway webhooks send SOURCE FILE -c FILE     sign a delivery as the provider would, and post it
gateway webhooks verify SOURCE FILE -c FILE   why is this saved request not believed?
gateway webhooks sample SCHEME                a sample delivery, to send

gateway webhooks VERB --help lists a verb's flags. docs/webhooks.md explains them.
`

// runWebhooks is `gateway webhooks`.
func runWebhooks(ctx context.Context, args []string, out, errOut io.Writer) error {
	if len(args) == 0 {
		return usageError("say what to do: gateway webhooks send, verify or sample; see gateway webhooks --help")
	}
	switch args[0] {
	case "send":
		return runWebhooksSend(ctx, args[1:], out, errOut)
	case "verify":
		return runWebhooksVerify(args[1:], out, errOut)
	case "sample":
		return runWebhooksSample(args[1:], out, errOut)
	case "-h", "-help", "--help", "help":
		_, _ = io.WriteString(errOut, webhooksUsage)
		return flag.ErrHelp
	}
	return usageError(fmt.Sprintf("there is no %q; there are gateway webhooks send, verify and sample", args[0]))
}

// webhookFlags are those that send and verify share.
type webhookFlags struct {
	verb         string
	source, file string
	config       string
	headers      http.Header
	at           time.Time
}

func (f *webhookFlags) parse(fs *flag.FlagSet, args []string, usage string, errOut io.Writer) error {
	f.headers, f.at = http.Header{}, time.Now()
	fs.StringVar(&f.config, "c", "", "configuration `FILE`")
	fs.Func("header", "`\"NAME: VALUE\"` of a header; may be repeated", f.header)
	fs.Func("at", "`TIME` instead of now: RFC 3339, Unix seconds, or from now, as in -10m", f.time)
	fs.Usage = func() {
		_, _ = io.WriteString(errOut, usage)
		fs.PrintDefaults()
	}
	names, err := parseFlagsAndNames(fs, args, 2, errOut)
	if err != nil {
		return err
	}
	example := "gateway webhooks " + f.verb + " stripe delivery.json -c gateway.yaml"
	switch {
	case len(names) == 0:
		return usageError("name a source of the configuration, and a file: " + example)
	case len(names) == 1:
		return usageError("name the file with the delivery, or - for the standard input: " + example)
	case f.config == "":
		return usageError("say which configuration file to use: " + example)
	}
	f.source, f.file = names[0], names[1]
	return nil
}

func (f *webhookFlags) header(text string) error {
	name, value, ok := strings.Cut(text, ":")
	if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, " \t\r\n") {
		return errors.New(`write it as "X-GitHub-Event: issues"`)
	}
	f.headers.Add(name, strings.Trim(value, " \t"))
	return nil
}

func (f *webhookFlags) time(text string) error {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		f.at = at
		return nil
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		f.at = time.Unix(seconds, 0)
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("write it as 2026-11-23T09:15:30Z, 1764000000 or -10m")
	}
	f.at = time.Now().Add(d)
	return nil
}

// load returns the configuration and the source in it. Of the rest, only where the
// gateway listens and the event types need be right.
func (f *webhookFlags) load(environ []string) (*config.Config, config.Webhook, error) {
	at := -1
	unused := func(wrong *config.Error) bool {
		path := wrong.Path
		if path == "webhooks" || inSections(path, "http.listen", "schemas") {
			return false
		}
		return at < 0 || !inSections(path, fmt.Sprintf("webhooks[%d]", at))
	}
	cfg, err := loadPart(f.config, environ, unused)
	if err != nil {
		return nil, config.Webhook{}, err
	}
	var names []string
	for i, w := range cfg.Webhooks {
		names = append(names, w.Name)
		if w.Name == f.source && at < 0 {
			at = i
		}
	}
	switch {
	case at < 0 && len(names) == 0:
		return nil, config.Webhook{}, fmt.Errorf("%s has no webhook sources; add one under webhooks: docs/webhooks.md has an example for each scheme", f.config)
	case at < 0:
		return nil, config.Webhook{}, fmt.Errorf("%s has no webhook source %q; it has %s", f.config, f.source, strings.Join(names, ", "))
	}
	if cfg, err = loadPart(f.config, environ, unused); err != nil {
		return nil, config.Webhook{}, err
	}
	if err := app.CheckWebhook(cfg, at); err != nil {
		return nil, config.Webhook{}, fmt.Errorf("webhooks[%d] (%s) of the configuration cannot be used:\n%w", at, f.source, err)
	}
	return cfg, cfg.Webhooks[at], nil
}

// maxDelivery bounds the file of a delivery, in bytes: as much as any gateway takes.
const maxDelivery = 100 << 20

func readDelivery(file string) (data []byte, err error) {
	in := os.Stdin
	if file != "-" {
		if in, err = os.Open(file); err != nil { //nolint:gosec // whoever runs the command may read the file
			return nil, fmt.Errorf("read delivery: %w", err)
		}
		defer func() { err = errors.Join(err, in.Close()) }()
	}
	data, err = io.ReadAll(io.LimitReader(in, maxDelivery+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read delivery: %w", err)
	case len(data) > maxDelivery:
		return nil, fmt.Errorf("%s: larger than %d MiB, as no gateway takes it", file, maxDelivery>>20)
	}
	return data, nil
}

// mediaTypeOf is what a provider would call such a body.
func mediaTypeOf(body []byte) string {
	text := strings.TrimLeft(string(body[:min(len(body), 1000)]), " \t\r\n")
	if strings.Contains(text, "=") && !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") {
		return "application/x-www-form-urlencoded"
	}
	return "application/json"
}

// newSource is a source of a configuration that has been tried.
func newSource(cfg webhook.Config) (*webhook.Source, error) {
	source, err := webhook.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("the source's configuration cannot be used:\n%w", err)
	}
	return source, nil
}
