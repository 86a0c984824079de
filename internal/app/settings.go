package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"eventgateway/internal/config"
	"eventgateway/internal/idempotency"
	"eventgateway/internal/publish"
	"eventgateway/internal/redis"
)

func producerConfig(cfg *config.Config) publish.Config {
	return publish.Config{
		Brokers:         cfg.Kafka.Brokers,
		Properties:      cfg.Kafka.Properties,
		DeliveryTimeout: cfg.Kafka.DeliveryTimeout,
		InFlightLimit:   cfg.HTTP.InFlightLimit.Bytes(),
		MaxEventBytes:   int(cfg.HTTP.BodyLimit.Bytes()),
		CreateTopics: publish.CreateTopics{
			Enabled:     cfg.Kafka.CreateTopics.Enabled,
			Partitions:  cfg.Kafka.CreateTopics.Partitions,
			Replication: cfg.Kafka.CreateTopics.Replication,
		},
		Lease:                 quiesceLease(cfg),
		Transactional:         cfg.Kafka.Guarantee == config.GuaranteeTransactional,
		TransactionalIDPrefix: cfg.Kafka.TransactionalIDPrefix,
		TransactionTimeout:    cfg.Kafka.TransactionTimeout,
	}
}

// quiesceLease is how long to wait for what others may have under way.
func quiesceLease(cfg *config.Config) time.Duration {
	if cfg.SoleWriter {
		return 0
	}
	return cfg.Idempotency.Lease
}

// storeConfig is how claims are kept, by a gateway and by a rebuild by hand.
func storeConfig(cfg *config.Config) idempotency.Config {
	return idempotency.Config{
		TTL: cfg.Idempotency.TTL, Lease: cfg.Idempotency.Lease,
		Transactional: cfg.Kafka.Guarantee == config.GuaranteeTransactional,
	}
}

func redisConfig(cfg config.Redis) (redis.Config, error) {
	client := redis.Config{
		Addresses: cfg.Addresses, Master: cfg.Master,
		Username: cfg.Username, Password: cfg.Password.Reveal(),
	}
	if !cfg.TLS.Enabled {
		return client, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.TLS.ServerName}
	if cfg.TLS.CA != "" {
		pem, err := os.ReadFile(cfg.TLS.CA)
		if err != nil {
			return client, fmt.Errorf("read redis.tls.ca: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return client, errors.New("read redis.tls.ca: no PEM certificate in " + cfg.TLS.CA)
		}
	}
	if cfg.TLS.Cert != "" {
		pair, err := tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key)
		if err != nil {
			return client, fmt.Errorf("read redis.tls.cert: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	client.TLS = t
	return client, nil
}
