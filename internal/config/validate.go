package config

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	// maxBodyLimit: each record is held in memory several times, and Kafka is not made
	// for larger ones.
	maxBodyLimit = 100 * MiB
	// A request waits this long for its response. Below a second, every election of a
	// partition's leader would make outcomes unknown.
	minDeliveryTimeout, maxDeliveryTimeout = time.Second, time.Hour
	// LeaseMargin is how much longer than the delivery timeout a lease lasts at least:
	// time for the claim before a delivery and the settling after it (design section 7).
	LeaseMargin = 3 * time.Second
)

// transactionalIDPrefix leaves room for what follows it in a topic's name.
var transactionalIDPrefix = regexp.MustCompile(`^[A-Za-z0-9._-]{1,200}$`)

var installation = regexp.MustCompile(`^[A-Za-z0-9._-]{0,100}$`)

// Validate reports everything that is wrong with the values, as [Errors].
func (c *Config) Validate() error {
	errs := &collector{}
	c.validate(errs)
	return errs.err()
}

// minMemory is less than any gateway does with.
const minMemory = 128 * MiB

// validate adds its errors to those of decoding, and skips the keys that have one.
func (c *Config) validate(errs *collector) {
	v := validator{c: c, errs: errs, known: &collector{list: slices.Clone(errs.list)}}
	v.http()
	v.browsersAndProxies()
	v.auth()
	v.kafka()
	v.redis()
	v.check(c.Schemas.Dir != "", "schemas.dir", "is empty", "name the folder of the event types, for example schemas")
	v.idempotency()
	v.webhooks()
	v.outboxes()
	v.check(v.c.Memory.Limit == 0 || v.c.Memory.Limit >= minMemory, "memory.limit", "must be at least "+minMemory.String(), "write for example 512MiB, or 0 for the container's limit")
	v.subscriptions()
	v.lag()
	oneOf(v, "log.format", c.Log.Format, LogJSON, LogText)
	oneOf(v, "log.level", c.Log.Level, LogDebug, LogInfo, LogWarn, LogError)
}

type validator struct {
	c     *Config
	errs  *collector
	known *collector // errors from before validation
}

// check adds an error at path unless ok is true or decoding found an error there: then
// the value is not the one that was meant.
func (v validator) check(ok bool, path, problem, fix string) {
	if !ok && !v.known.has(path) {
		v.errs.add(path, v.origin(path).source, problem, fix)
	}
}

func (v validator) origin(path string) origin { return v.c.origin(path) }

func (v validator) show(path, value string) string { return v.origin(path).show(value) }

func oneOf[T ~string](v validator, path string, value T, allowed ...T) {
	names := make([]string, len(allowed))
	for i, one := range allowed {
		names[i] = string(one)
	}
	v.check(slices.Contains(allowed, value), path, v.show(path, string(value))+" is not one of its values", "write one of "+strings.Join(names, ", "))
}

func (v validator) kafka() {
	k := v.c.Kafka
	v.addresses("kafka.brokers", k.Brokers)
	oneOf(v, "kafka.client", k.Client, KafkaClientAuto, KafkaClientFranz, KafkaClientLibrdkafka)
	oneOf(v, "kafka.guarantee", k.Guarantee, GuaranteeIdempotent, GuaranteeTransactional)
	v.transactions()
	v.check(k.DeliveryTimeout >= minDeliveryTimeout, "kafka.delivery_timeout", "must be at least "+minDeliveryTimeout.String(), "write for example 20s")
	v.check(k.DeliveryTimeout <= maxDeliveryTimeout, "kafka.delivery_timeout", "must be at most 1h: a request waits this long for its answer", "write for example 20s")
	// Kafka's protocol has 32 bits for the one and 16 for the other.
	v.check(k.CreateTopics.Partitions >= 1 && k.CreateTopics.Partitions <= math.MaxInt32, "kafka.create_topics.partitions", "must be at least 1 and fit 32 bits", "write for example 12")
	v.check(k.CreateTopics.Replication >= 1 && k.CreateTopics.Replication <= math.MaxInt16, "kafka.create_topics.replication", "must be at least 1 and fit 16 bits", "write 3, or 1 for a single broker")
	for _, name := range slices.Sorted(maps.Keys(k.Properties)) {
		if f := refuseProperty(name, k.Properties[name]); f != nil {
			v.check(false, PropertyPath(name), f.problem, f.fix)
		}
	}
}

// transactions checks what only the transactional guarantee needs: a transaction must
// be able to last as long as a delivery, and must be over when the lease of the key
// whose record is in it ends.
func (v validator) transactions() {
	k, lease := v.c.Kafka, v.c.Idempotency.Lease
	v.check(transactionalIDPrefix.MatchString(k.TransactionalIDPrefix), "kafka.transactional_id_prefix",
		v.show("kafka.transactional_id_prefix", k.TransactionalIDPrefix)+" is not 1 to 200 letters, digits, dots, underscores and hyphens",
		"write a name that no other installation on this Kafka has, for example orders-gateway")
	v.check(k.TransactionalIDPrefix != "i" && !strings.HasPrefix(k.TransactionalIDPrefix, "i-"), "kafka.transactional_id_prefix",
		"begins like the ids of producers that are not transactional", "write another name, for example orders-gateway")
	if k.Guarantee != GuaranteeTransactional {
		return
	}
	fix := fmt.Sprintf("write at least %s and less than %s", k.DeliveryTimeout, lease)
	v.check(k.TransactionTimeout >= k.DeliveryTimeout || v.known.has("kafka.delivery_timeout"), "kafka.transaction_timeout",
		fmt.Sprintf("%s is less than kafka.delivery_timeout (%s): Kafka would abort transactions whose records may still be delivered", k.TransactionTimeout, k.DeliveryTimeout), fix)
	v.check(k.TransactionTimeout < lease || v.known.has("idempotency.lease"), "kafka.transaction_timeout",
		fmt.Sprintf("%s is not less than idempotency.lease (%s): a key could change hands while a transaction with its record is open", k.TransactionTimeout, lease), fix)
}

func (v validator) redis() {
	v.resolveRedisURLs()
	r := v.c.Redis
	v.addresses("redis.addresses", r.Addresses)
	v.check(!r.Cluster || r.Master == "", "redis.cluster", "is given with redis.master, which is for Sentinel", "remove one of them")
	v.check(r.Master == strings.TrimSpace(r.Master), "redis.master", "begins or ends with a space", "write the name as the sentinels have it")
	v.check(r.Username == "" || r.Password != "" || v.known.has("redis.password"), "redis.username",
		"is given without redis.password, and would not be used", "give the password too")

	t := r.TLS
	v.check((t.Cert == "") == (t.Key == ""), "redis.tls", "has one of cert and key", "give both, or neither")
	named := t.CA + t.Cert + t.Key + t.ServerName
	v.check(t.Enabled || named == "", "redis.tls", "has keys but is not enabled", "write enabled: true, or remove them")
}

func (v validator) idempotency() {
	i, delivery := v.c.Idempotency, v.c.Kafka.DeliveryTimeout
	// With a delivery timeout out of bounds the sum would not help, or overflow.
	judge := !v.known.has("kafka.delivery_timeout") && delivery >= minDeliveryTimeout && delivery <= maxDeliveryTimeout
	least := delivery + LeaseMargin
	v.check(!judge || i.Lease >= least, "idempotency.lease",
		fmt.Sprintf("%s is less than kafka.delivery_timeout (%s) plus %s: a key could change hands while its record is on the way", i.Lease, delivery, LeaseMargin),
		fmt.Sprintf("write at least %s", least))
	v.check(i.TTL >= i.Lease || v.known.has("idempotency.lease"), "idempotency.ttl",
		fmt.Sprintf("%s is less than idempotency.lease (%s): a key would be forgotten while it is held", i.TTL, i.Lease), "write for example 24h")
	oneOf(v, "idempotency.on_store_failure", i.OnStoreFailure, StoreFailureReject, StoreFailurePublish)
	oneOf(v, "idempotency.on_store_loss", i.OnStoreLoss, StoreFailureReject, StoreFailurePublish)
	v.check(installation.MatchString(i.Installation), "idempotency.installation",
		v.show("idempotency.installation", i.Installation)+" is not at most 100 letters, digits, dots, underscores and hyphens",
		"write a name, for example orders-production, or leave it out: then it is the id of the Kafka cluster")
}
