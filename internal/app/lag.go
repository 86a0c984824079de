package app

import (
	"context"
	"log/slog"
	"regexp"

	"eventgateway/internal/config"
	"eventgateway/internal/kafka"
	"eventgateway/internal/lag"
	"eventgateway/internal/redis"
)

// LagConfig translates the lag section of a valid configuration.
func LagConfig(cfg *config.Config) lag.Config {
	return lag.Config{Include: lagPatterns(cfg.Lag.Include), Exclude: lagPatterns(cfg.Lag.Exclude)}
}

// buildLag makes what watches consumer groups, unless lag.interval is 0.
func (a *App) buildLag() {
	if a.cfg.Lag.Interval == 0 || a.relayOnly {
		return
	}
	if choice, err := kafka.ChooseClient(kafka.ClientAuto, connection(a.cfg)); err != nil || choice.Client != kafka.ClientFranz {
		a.logger.Warn("consumer lag is not watched: this kafka cannot be asked for all groups", "reason", choice.Reason)
		return
	}
	source := LagSource(a.cfg, a.logger)
	a.stages.add("kafka client for consumer lag", func(context.Context) error {
		source.Close()
		return nil
	})
	lease := redis.NewLease(a.rdb, a.lagLease, lag.LeaseTime)
	what := LagConfig(a.cfg)
	what.Partitions = a.cfg.Lag.Partitions
	a.lag = lag.NewCollector(lag.CollectorConfig{Interval: a.cfg.Lag.Interval, MaxSeries: a.cfg.Lag.MaxSeries},
		lag.New(what, source), lease, a.logger, a.registry)
}

// lagLease is the key of the lease that one gateway of an installation has.
func (a *App) lagLease() string {
	if tag := a.installationTag(); tag != "" {
		return "gw:" + tag + ":lag"
	}
	return ""
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
