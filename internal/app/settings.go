package app

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"eventgateway/internal/auth"
	"eventgateway/internal/config"
	"eventgateway/internal/idempotency"
	"eventgateway/internal/intake"
	"eventgateway/internal/kafka"
	"eventgateway/internal/preflight"
	"eventgateway/internal/publish"
	"eventgateway/internal/rate"
	"eventgateway/internal/redis"
)

func producerConfig(cfg *config.Config) publish.Config {
	return publish.Config{
		Brokers:               cfg.Kafka.Brokers,
		Properties:            cfg.Kafka.Properties,
		Client:                kafka.ClientName(cfg.Kafka.Client),
		DeliveryTimeout:       cfg.Kafka.DeliveryTimeout,
		InFlightLimit:         cfg.HTTP.InFlightLimit.Bytes(),
		MaxEventBytes:         int(cfg.HTTP.BodyLimit.Bytes()),
		CreateTopics:          topicCreation(cfg),
		Lease:                 quiesceLease(cfg),
		Transactional:         cfg.Kafka.Guarantee == config.GuaranteeTransactional,
		TransactionalIDPrefix: cfg.Kafka.TransactionalIDPrefix,
		TransactionTimeout:    cfg.Kafka.TransactionTimeout,
		RememberTopics:        true,
		Registered:            true,
		Window:                cfg.Idempotency.TTL,
	}
}

// topicCreation says how the gateway creates missing topics: so that they pass
// `gateway check`.
func topicCreation(cfg *config.Config) publish.TopicCreation {
	create := cfg.Kafka.CreateTopics
	data := int(cfg.HTTP.BodyLimit.Bytes())
	if slices.ContainsFunc(cfg.Webhooks, func(w config.Webhook) bool { return w.DeadLetters() != "" }) {
		data += intake.HeaderLimit // the request's headers are kept beside the body
	}
	return publish.TopicCreation{
		Enabled: create.Enabled, Partitions: create.Partitions, Replication: create.Replication,
		Retention: preflight.KafkaNeeds{KeyWindow: cfg.Idempotency.TTL}.Retention(), MaxRecord: data + preflight.HeaderRoom,
	}
}

// quiesceLease is how long other gateways may still have records in flight.
func quiesceLease(cfg *config.Config) time.Duration {
	if cfg.SoleWriter {
		return 0
	}
	return cfg.Idempotency.Lease
}

// knownInstallation names what a gateway's keys in Redis belong to. It is empty until
// Kafka has answered, unless the configuration names it.
func knownInstallation(cfg *config.Config, producer *publish.Log) string {
	if name := cfg.Idempotency.Installation; name != "" {
		return name
	}
	return producer.ClusterID()
}

func (a *App) installation() string { return knownInstallation(a.cfg, a.producer) }

// installationOf is the same for a command. It asks Kafka if it has to.
func installationOf(ctx context.Context, cfg *config.Config) (string, error) {
	if cfg.Idempotency.Installation != "" {
		return cfg.Idempotency.Installation, nil
	}
	id, err := publish.ClusterID(ctx, producerConfig(cfg))
	if err != nil {
		return "", fmt.Errorf("keys in redis carry the id of the kafka cluster, unless idempotency.installation names the installation: %w", err)
	}
	return id, nil
}

// generationsOf counts the states of the claims. A sole writer needs no count: nobody else
// has anything in flight, so that a rebuild waits for nobody.
func generationsOf(cfg *config.Config, producer *publish.Log) idempotency.Generations {
	if m := producer.Membership(); m != nil && !cfg.SoleWriter {
		return m
	}
	return nil
}

// storeConfig says how claims are kept, by a gateway and by a rebuild by hand.
func storeConfig(cfg *config.Config, installation func() string, generations idempotency.Generations) idempotency.Config {
	return idempotency.Config{
		Installation: installation, Generations: generations, DeliveryTimeout: cfg.Kafka.DeliveryTimeout,
		TTL: cfg.Idempotency.TTL, Lease: cfg.Idempotency.Lease,
		Transactional: cfg.Kafka.Guarantee == config.GuaranteeTransactional,
	}
}

func redisConfig(cfg config.Redis) (redis.Config, error) {
	client := redis.Config{
		Addresses: cfg.Addresses, Cluster: cfg.Cluster, Master: cfg.Master,
		Username: cfg.Username, Password: cfg.Password.Reveal(),
	}
	var err error
	client.TLS, err = redisTLS(cfg.TLS)
	return client, err
}

// clientsOf lists the clients of a valid configuration.
func clientsOf(a config.Auth) []auth.Client {
	clients := make([]auth.Client, 0, len(a.Clients))
	for _, c := range a.Clients {
		client := auth.Client{Name: c.Name, Certificates: c.Certificates, Events: c.Events}
		for _, k := range c.Keys {
			hash, _ := auth.ParseHash(k.Hash)
			expires, _ := k.ExpiresAt()
			client.Keys = append(client.Keys, auth.Key{Hash: hash, Expires: expires})
		}
		clients = append(clients, client)
	}
	return clients
}

// limitsOf lists the rates of a valid configuration.
func limitsOf(a config.Auth) rate.Limits {
	limits := rate.Limits{Clients: map[string]rate.Limit{}, Tokens: tokenLimits(a, a)}
	for _, c := range a.Clients {
		limits.Clients[c.Name] = rate.Limit(c.Rate)
	}
	return limits
}

// tokensOf lists the issuers of a valid configuration.
func tokensOf(a config.Auth) []auth.TokenConfig {
	var list []auth.TokenConfig
	for i, j := range a.JWT {
		client, events := j.Claims()
		list = append(list, auth.TokenConfig{
			Issuer: j.Issuer, Audience: j.Audience, Required: j.Required, KeysURL: j.JWKSURL,
			ClientClaim: client, ClientPrefix: a.JWT.Prefix(i), EventsClaim: events,
		})
	}
	return list
}

// tokenLimits lists the rates of the issuers that this process accepts, as the file says
// now. An issuer that was removed is accepted until a restart, at its former rate.
func tokenLimits(running, now config.Auth) map[string]rate.Limit {
	limits := map[string]rate.Limit{}
	for i, j := range running.JWT {
		limit := j.Rate
		if at := slices.IndexFunc(now.JWT, func(k config.AuthJWT) bool { return k.Issuer == j.Issuer }); at >= 0 {
			limit = now.JWT[at].Rate
		}
		limits[running.JWT.Prefix(i)] = rate.Limit(limit)
	}
	return limits
}

// prefixes lists the address ranges of a valid configuration.
func prefixes(texts []string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		if p, err := netip.ParsePrefix(text); err == nil {
			list = append(list, p)
		}
	}
	return list
}
