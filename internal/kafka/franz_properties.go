package kafka

// The three tables say what franz-go makes of librdkafka's properties. What is in none
// of them has no counterpart, or is refused by internal/config because the gateway sets
// it.

// expressible are the properties that franz-go can express, perhaps not with each value.
var expressible = map[string]bool{
	"client.id":                                     true,
	"client.rack":                                   true,
	"linger.ms":                                     true,
	"compression.type":                              true,
	"compression.level":                             true,
	"socket.timeout.ms":                             true,
	"socket.connection.setup.timeout.ms":            true,
	"socket.keepalive.enable":                       true,
	"socket.nagle.disable":                          true,
	"socket.send.buffer.bytes":                      true,
	"socket.receive.buffer.bytes":                   true,
	"socket.max.fails":                              true,
	"connections.max.idle.ms":                       true,
	"broker.address.family":                         true,
	"client.dns.lookup":                             true,
	"receive.message.max.bytes":                     true,
	"metadata.max.age.ms":                           true,
	"topic.metadata.refresh.interval.ms":            true,
	"topic.metadata.refresh.fast.interval.ms":       true,
	"topic.metadata.refresh.sparse":                 true,
	"enable.metrics.push":                           true,
	"security.protocol":                             true,
	"enable.ssl.certificate.verification":           true,
	"ssl.endpoint.identification.algorithm":         true,
	"ssl.ca.location":                               true,
	"ssl.ca.pem":                                    true,
	"ssl.certificate.location":                      true,
	"ssl.certificate.pem":                           true,
	"ssl.key.location":                              true,
	"ssl.key.pem":                                   true,
	"ssl.key.password":                              true,
	"ssl.cipher.suites":                             true,
	"ssl.curves.list":                               true,
	"sasl.mechanisms":                               true,
	"sasl.username":                                 true,
	"sasl.password":                                 true,
	"sasl.oauthbearer.method":                       true,
	"sasl.oauthbearer.client.id":                    true,
	"sasl.oauthbearer.client.secret":                true,
	"sasl.oauthbearer.scope":                        true,
	"sasl.oauthbearer.extensions":                   true,
	"sasl.oauthbearer.token.endpoint.url":           true,
	"sasl.oauthbearer.grant.type":                   true,
	"sasl.oauthbearer.metadata.authentication.type": true,
	"https.ca.location":                             true,
	"https.ca.pem":                                  true,
}

// tuning are properties that say nothing about what is written, and how. They hold for
// librdkafka where it still reads and administers, and do not make it the client that
// writes. Each has the reason.
var tuning = map[string]string{ //nolint:gosec // names of properties, no credentials
	"log_level":                       "how much librdkafka says; what is shown of franz-go follows log.level",
	"debug":                           "which of its parts librdkafka explains; if it also changed the client, it would hide what the operator looks for",
	"log.thread.name":                 "the form of librdkafka's lines",
	"log.connection.close":            "whether librdkafka logs a connection that the broker closes; franz-go does at debug only",
	"enable.random.seed":              "how librdkafka seeds its random numbers",
	"message.copy.max.bytes":          "how librdkafka lays records out in memory",
	"sticky.partitioning.linger.ms":   "the gateway chooses partitions itself, with either client",
	"broker.address.ttl":              "franz-go asks for the address at each connection",
	"socket.blocking.max.ms":          "librdkafka ignores it",
	"topic.metadata.refresh.fast.cnt": "librdkafka ignores it",
	"reconnect.backoff.jitter.ms":     "librdkafka ignores it",
	"api.version.request.timeout.ms":  "franz-go bounds this request by socket.timeout.ms, as it does every other",
	"sasl.oauthbearer.config":         "librdkafka uses it for unsigned tokens and for metadata authentication only, and both are refused or reported",
	"sasl.oauthbearer.sub.claim.name": "which claim librdkafka looks at in the token; the broker decides",
	"ssl.ca.certificate.stores":       "Windows only",
}

// lacking says of some properties why only librdkafka has them.
var lacking = map[string]string{ //nolint:gosec // names of properties, no credentials
	"ssl.keystore.location":             "Go's standard library does not read PKCS#12; give the certificate and the key as PEM",
	"ssl.keystore.password":             "Go's standard library does not read PKCS#12; give the certificate and the key as PEM",
	"ssl.crl.location":                  "Go's TLS does not look into revocation lists",
	"ssl.sigalgs.list":                  "Go's TLS chooses signature algorithms itself",
	"reconnect.backoff.ms":              "franz-go has one pause before every retry, and the gateway sets it",
	"reconnect.backoff.max.ms":          "franz-go has one pause before every retry, and the gateway sets it",
	"batch.num.messages":                "franz-go bounds a batch by its bytes only",
	"topic.metadata.propagation.max.ms": "franz-go counts the answers that a topic is unknown, and not their time",
	"topic.blacklist":                   "franz-go asks for the topics that are written only, and hides none",
}
