package config

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The rules below follow the property list of librdkafka 2.x. The gateway refuses
// properties that it sets itself, that would break its guarantee, that load code or run
// commands, that a file cannot set, and that weaken TLS. Everything else passes;
// librdkafka itself refuses what it does not know.

const leaveOut = "leave it out"

// refusedProperties are refused whatever their value.
var refusedProperties = map[string]fault{
	"bootstrap.servers":    {"has a key of its own", "use kafka.brokers"},
	"metadata.broker.list": {"has a key of its own", "use kafka.brokers"},
	"message.timeout.ms":   {"has a key of its own", "use kafka.delivery_timeout"},
	"delivery.timeout.ms":  {"has a key of its own", "use kafka.delivery_timeout"},
	"request.timeout.ms":   {"follows from the delivery timeout", "use kafka.delivery_timeout"},

	"acks":                                  {"is always all: a 2xx means that every in-sync replica has the event", "leave it out; set min.insync.replicas on the topic"},
	"request.required.acks":                 {"is always all: a 2xx means that every in-sync replica has the event", "leave it out; set min.insync.replicas on the topic"},
	"enable.idempotence":                    {"is always on: without it a retry inside the client writes twice", leaveOut},
	"max.in.flight":                         {"is set so that order and idempotence hold", leaveOut},
	"max.in.flight.requests.per.connection": {"is set so that order and idempotence hold", leaveOut},
	"retries":                               {"is not what ends an attempt: the delivery timeout is", "use kafka.delivery_timeout"},
	"message.send.max.retries":              {"is not what ends an attempt: the delivery timeout is", "use kafka.delivery_timeout"},
	"retry.backoff.ms":                      {"is set so that a refusal can be told from a retry", leaveOut},
	"retry.backoff.max.ms":                  {"is set so that a refusal can be told from a retry", leaveOut},
	"queuing.strategy":                      {"is always fifo: order per entity rests on it", leaveOut},
	"enable.gapless.guarantee":              {"would let one failed record stop the producer for all", leaveOut},
	"partitioner":                           {"has no effect: the gateway chooses the partition itself, by murmur2 as Java producers do", leaveOut},
	"transactional.id":                      {"is made by the gateway, one for each producer", "use kafka.guarantee and kafka.transactional_id_prefix"},
	"transaction.timeout.ms":                {"has a key of its own", "use kafka.transaction_timeout"},

	"message.max.bytes":                      {"is set by the gateway from what it accepts", "use http.body_limit, and max.message.bytes on the topic"},
	"batch.size":                             {"is set by the gateway, so that a batch never exceeds a topic's limit", "use batch.num.messages or linger.ms"},
	"queue.buffering.max.messages":           {"is set by the gateway, so that no accepted event is refused by a full queue", "use http.in_flight_limit"},
	"queue.buffering.max.kbytes":             {"is set by the gateway, so that no accepted event is refused by a full queue", "use http.in_flight_limit"},
	"queue.buffering.backpressure.threshold": {"is set by the gateway", "use linger.ms"},

	"delivery.report.only.error": {"would hide the acknowledgement that the answer waits for", leaveOut},
	"produce.offset.report":      {"is always on: the receipt has the offset", leaveOut},
	"allow.auto.create.topics":   {"is always off: asking for a topic must not create it", "use kafka.create_topics"},
	"statistics.interval.ms":     {"makes statistics that nobody reads", "use /metrics of the admin listener"},
	"log.queue":                  {"is set by the gateway, whose log librdkafka's lines go to", "use log_level or debug"},

	"api.version.request":     {"would turn off the protocol versions that idempotence and headers need", leaveOut},
	"api.version.fallback.ms": {"would turn off the protocol versions that idempotence and headers need", leaveOut},
	"broker.version.fallback": {"would turn off the protocol versions that idempotence and headers need", leaveOut},

	"plugin.library.paths":                 {"loads code into the gateway", leaveOut},
	"ssl.providers":                        {"loads code into the gateway", leaveOut},
	"interceptors":                         {"can only be set by a program", leaveOut},
	"opaque":                               {"can only be set by a program", leaveOut},
	"ssl.certificate.verify_cb":            {"can only be set by a program", "use ssl.ca.location"},
	"default.topic.config":                 {"is a second way to set properties", "write the property itself"},
	"internal.termination.signal":          {"would take a signal away from the gateway", leaveOut},
	"sasl.kerberos.kinit.cmd":              {"runs a shell command, and Kerberos (GSSAPI) is not built into the gateway", "leave it out; use SCRAM-SHA-512, PLAIN or OAUTHBEARER, or a client certificate"},
	"enable.sasl.oauthbearer.unsecure.jwt": {"makes tokens that nobody signed", "use sasl.oauthbearer.method: oidc"},
}

// consumerProperties have no effect on a producer.
var consumerProperties = regexp.MustCompile(`^((group|fetch|offset\.store|auto\.commit|queued|share)\..*|` +
	`auto\.offset\.reset|check\.crcs|consume\.callback\.max\.messages|coordinator\.query\.interval\.ms|` +
	`enable\.auto\.commit|enable\.auto\.offset\.store|enable\.partition\.eof|heartbeat\.interval\.ms|isolation\.level|` +
	`max\.partition\.fetch\.bytes|max\.poll\.interval\.ms|max\.poll\.records|partition\.assignment\.strategy|session\.timeout\.ms)$`)

// shellSafe is what may go into the kinit command that librdkafka builds from
// its Kerberos properties.
var shellSafe = regexp.MustCompile(`^[A-Za-z0-9._/@:-]*$`)

// refuseProperty returns the reason why a librdkafka property may not be set, or nil.
func refuseProperty(name, value string) *fault {
	// Both spellings reach the same property: librdkafka strips the one prefix,
	// its Go client the other.
	plain := strings.TrimPrefix(strings.TrimPrefix(name, "{topic}."), "topic.")
	if f, ok := refusedProperties[plain]; ok {
		return &f
	}
	switch {
	case strings.HasPrefix(name, "{topic}."):
		return &fault{"is a second way to set " + quote(plain), "write the property without the prefix"}
	case plain == "":
		return &fault{"is a property without a name", "remove it"}
	case strings.HasPrefix(plain, "go."):
		return &fault{"configures the Go client, which the gateway does itself", leaveOut}
	case strings.HasPrefix(plain, "test."):
		return &fault{"replaces the brokers by pretended ones", leaveOut}
	case strings.HasPrefix(plain, "ssl.engine."):
		return &fault{"loads code into the gateway", leaveOut}
	case strings.HasSuffix(plain, ".callback"), plain != "log_level" && strings.Contains(plain, "_"):
		// Callbacks and handles; names that a file can set have dots.
		return &fault{"can only be set by a program", leaveOut}
	case consumerProperties.MatchString(plain):
		return &fault{"is for consumers, and this configures the producer", leaveOut}
	}
	return refuseValue(plain, value)
}

// refuseValue refuses properties that are dangerous with some values only.
func refuseValue(name, value string) *fault {
	switch {
	case name == "enable.ssl.certificate.verification" && value != "true":
		return &fault{"must stay true: anybody could be the broker", "name the authority that signed its certificate with ssl.ca.location"}
	case name == "ssl.endpoint.identification.algorithm" && value != "https":
		return &fault{"must stay https: any holder of a certificate could be the broker", "use certificates with the brokers' names"}
	case strings.HasPrefix(name, "sasl.kerberos.") && !shellSafe.MatchString(value):
		return &fault{"has characters with a meaning for the shell that runs kinit", "use letters, digits and . _ / @ : - only"}
	}
	return nil
}

// decodeNode reads a mapping of texts, numbers and booleans.
func (p *Properties) decodeNode(d *decoder, path string, n *yaml.Node) {
	d.pairs(path, n, func(name string, _, node *yaml.Node) {
		at := join(path, shownKey(name))
		text, o, ok := d.text(at, node, true)
		if !ok {
			return
		}
		if node.ShortTag() == "!!bool" && node.Style == 0 {
			text = strings.ToLower(text) // YAML has True and TRUE, librdkafka wants true
		}
		(*p)[name] = text
		d.cfg.origins[at] = o
	})
}
