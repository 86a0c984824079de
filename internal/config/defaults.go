package config

import "time"

// Defaults is the configuration before any source is read. It is not valid as it
// stands: Auth has no default.
func Defaults() *Config {
	return &Config{
		HTTP: HTTP{
			Listen:         "0.0.0.0:8080",
			BodyLimit:      900 * KiB, // below the 1 MB that brokers take by default, with room for headers
			InFlightLimit:  256 * MiB,
			ReadTimeout:    10 * time.Second,
			MaxConnections: 10_000, // per address none: behind a proxy all come from one
			CORS:           HTTPCORS{Origins: []string{}}, TrustedProxies: []string{},
		},
		Admin: Admin{Listen: "127.0.0.1:9090"},
		Kafka: Kafka{
			Brokers:               []string{"127.0.0.1:9092"},
			Guarantee:             GuaranteeIdempotent,
			TransactionalIDPrefix: "gateway",
			TransactionTimeout:    20 * time.Second,
			DeliveryTimeout:       10 * time.Second,
			CreateTopics:          CreateTopics{Partitions: 12, Replication: 3},
			Properties:            Properties{},
		},
		Redis:   Redis{Addresses: []string{"127.0.0.1:6379"}},
		Schemas: Schemas{Dir: "schemas", Watch: true},
		Idempotency: Idempotency{
			TTL:            24 * time.Hour,
			Lease:          30 * time.Second,
			OnStoreFailure: StoreFailureReject,
			OnStoreLoss:    StoreFailureReject,
		},
		Log:     Log{Format: LogJSON, Level: LogInfo},
		origins: map[string]origin{},
	}
}
