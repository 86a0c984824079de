package app

import (
	"errors"

	"eventgateway/internal/config"
	"eventgateway/internal/kafka"
)

// KafkaClient decides which client writes records, and why. The error is
// [config.Errors], with every property that is wrong.
func KafkaClient(cfg *config.Config) (kafka.ClientChoice, error) {
	connection := kafka.Connection{Brokers: cfg.Kafka.Brokers, Properties: cfg.Kafka.Properties}
	choice, err := kafka.ChooseClient(kafka.ClientName(cfg.Kafka.Client), connection)
	var wrong kafka.PropertyErrors
	switch {
	case err == nil:
		return choice, nil
	case !errors.As(err, &wrong):
		const path = "kafka.client"
		return choice, config.Errors{{Path: path, Problem: err.Error(), Fix: "write auto", Source: cfg.Source(path)}}
	}
	errs := make(config.Errors, len(wrong))
	for i, w := range wrong {
		path := config.PropertyPath(w.Name)
		errs[i] = &config.Error{Path: path, Problem: w.Problem, Fix: w.Fix, Source: cfg.Source(path)}
	}
	return choice, errs
}

// CheckConfig reports what is wrong with a configuration that is valid by itself: what
// only the packages can judge that use it. The error is [config.Errors].
func CheckConfig(cfg *config.Config) error {
	var all, wrong config.Errors
	_, err := KafkaClient(cfg)
	for _, err := range []error{err, CheckWebhooks(cfg), CheckSubscriptions(cfg)} {
		if errors.As(err, &wrong) {
			all = append(all, wrong...)
		}
	}
	if len(all) > 0 {
		return all
	}
	return nil
}
