package cli

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/webhook"
)

// webhookFlags are the flags and arguments that send and verify share.
type webhookFlags struct {
	source, file string
	config       string
	headers      http.Header
	at           time.Time
}

func (f *webhookFlags) define(cmd *cobra.Command) {
	f.headers, f.at = http.Header{}, time.Now()
	configFlag(cmd, &f.config, "configuration `FILE`")
	cmd.Flags().Func("header", "`\"NAME: VALUE\"` of a header; may be repeated", f.header)
	cmd.Flags().Func("at", "`TIME` instead of now: RFC 3339, Unix seconds, or from now, as in -10m", f.time)
}

// setArgs takes SOURCE and FILE.
func (f *webhookFlags) setArgs(cmd *cobra.Command, args []string) error {
	example := cmd.CommandPath() + " stripe delivery.json -c gateway.yaml"
	switch {
	case len(args) == 0:
		return usageError("name a source of the configuration, and a file: " + example)
	case len(args) == 1:
		return usageError("name the file with the delivery, or - for the standard input: " + example)
	case f.config == "":
		return missingConfig(example)
	}
	f.source, f.file = args[0], args[1]
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

// load returns the configuration and the source in it. In the rest of the
// configuration only http.listen and schemas must be right.
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

// newSource is a source of a configuration that has been checked.
func newSource(cfg webhook.Config) (*webhook.Source, error) {
	source, err := webhook.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("the source's configuration cannot be used:\n%w", err)
	}
	return source, nil
}
