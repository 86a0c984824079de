package app

import (
	"log/slog"
	"regexp"

	"eventgateway/internal/config"
	"eventgateway/internal/kafka"
	"eventgateway/internal/lag"
)

// LagConfig translates the lag section of a valid configuration.
func LagConfig(cfg *config.Config) lag.Config {
	return lag.Config{Include: lagPatterns(cfg.Lag.Include), Exclude: lagPatterns(cfg.Lag.Exclude)}
}

// LagSource asks the Kafka of a configuration. It must be closed.
func LagSource(cfg *config.Config, logger *slog.Logger) *kafka.Survey {
	return connection(cfg).Survey(logger)
}

func lagPatterns(texts []string) (list []*regexp.Regexp) {
	for _, text := range texts {
		if re, err := lag.Pattern(text); err == nil {
			list = append(list, re)
		}
	}
	return list
}
