package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"eventgateway/internal/config"
)

// loadConfig reads a configuration of which every key must be right.
func loadConfig(file string, environ []string) (*config.Config, error) {
	cfg, err := config.Load(file, environ)
	if err != nil {
		return nil, fmt.Errorf("the configuration cannot be used:\n%w", err)
	}
	return cfg, nil
}

// loadPart reads a configuration of which a command uses only a part. Mistakes in
// keys that unused reports are left out of the error, and those keys have their
// defaults.
func loadPart(file string, environ []string, unused func(wrong *config.Error) bool) (*config.Config, error) {
	cfg, err := config.Examine(file, environ)
	var wrong config.Errors
	if !errors.As(err, &wrong) {
		return cfg, err
	}
	var left config.Errors
	for _, one := range wrong {
		if cfg == nil || !unused(one) {
			left = append(left, one)
		}
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("the configuration cannot be used:\n%w", left)
	}
	return cfg, nil
}

// inSections reports whether a key is one of these sections or in one.
func inSections(path string, sections ...string) bool {
	for _, section := range sections {
		if rest, ok := strings.CutPrefix(path, section); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

func newLogger(cfg config.Log, out io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.Level.Slog()}
	if cfg.Format == config.LogText {
		return slog.New(newSampledLog(slog.NewTextHandler(out, opts)))
	}
	return slog.New(newSampledLog(slog.NewJSONHandler(out, opts)))
}
