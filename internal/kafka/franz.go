package kafka

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// What the gateway chooses for franz-go where no property says otherwise.
const (
	// franzSocketTimeout bounds every request but produce, whose own timeout comes on
	// top: a broker that has died in silence must be noticed well within a delivery.
	franzSocketTimeout = time.Second
	// franzDialTimeout bounds TCP and TLS together. A broker has one worker in franz-go,
	// which also dials.
	franzDialTimeout = 2 * time.Second
	// franzIdleTimeout is below the 10 minutes after which brokers close a connection, so
	// that no request meets one that is being closed.
	franzIdleTimeout = 9 * time.Minute
	// franzMetadataMaxAge is how long a leader that moved without an error may stay
	// unnoticed; franzMetadataMinAge is the pause before a partition is tried again after
	// an error that concerns its leader.
	franzMetadataMaxAge = 30 * time.Second
	franzMetadataMinAge = 100 * time.Millisecond
	// franzClientID is librdkafka's default: quotas by client id then hold for both.
	franzClientID = "rdkafka"
)

// Untranslated is a property that only librdkafka has, or whose value only it can use.
type Untranslated struct {
	Name   string // as the operator wrote it
	Reason string
}

// PropertyError is a value that neither client could use. It never shows the value,
// which may be a secret.
type PropertyError struct{ Name, Problem, Fix string }

func (e PropertyError) Error() string {
	return "kafka.properties." + e.Name + ": " + e.Problem + "; " + e.Fix
}

// PropertyErrors are all that is wrong with the properties, ordered by name.
type PropertyErrors []PropertyError

func (e PropertyErrors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

func (e PropertyErrors) sorted() PropertyErrors {
	return slices.SortedStableFunc(slices.Values(e), func(a, b PropertyError) int { return cmp.Compare(a.Name, b.Name) })
}

// FranzOptions translates the connection for a producer of franz-go; later options
// override them. missing names what only librdkafka can do: with it, opts are not what
// the operator asked for. The error is a [PropertyErrors]. Files are read anew by each
// call, and each call has a token source of its own.
func (c Connection) FranzOptions() (opts []kgo.Opt, missing []Untranslated, err error) {
	t := newTranslation(c.Properties)
	oldest, youngest := t.metadataAges()
	opts = []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(cmp.Or(t.text("client.id"), franzClientID)),
		kgo.Rack(t.text("client.rack")),
		kgo.ProducerLinger(t.linger()),
		kgo.RequestTimeoutOverhead(t.socketTimeout()),
		kgo.ConnIdleTimeout(t.idleTimeout()),
		kgo.MetadataMaxAge(oldest), kgo.MetadataMinAge(youngest),
		kgo.Dialer(newSilentHosts(t.dialer().dial).dial),
		kgo.DisableClientMetrics(),
	}
	opts = append(opts, compressed(t.compression())...)
	if size, given := t.responseLimit(); given {
		opts = append(opts, kgo.BrokerMaxReadBytes(size), kgo.FetchMaxBytes(size))
	}
	if t.sasl {
		opts = append(opts, t.login()...)
	}
	t.fixed()
	slices.SortStableFunc(t.missing, func(a, b Untranslated) int { return cmp.Compare(a.Name, b.Name) })
	return opts, t.missing, t.err()
}

// compressed are the options for a codec. All clients share the compressor:
// ProducerBatchCompression alone is a list that each client which is created writes to.
func compressed(codec kgo.CompressionCodec) []kgo.Opt {
	c, err := kgo.DefaultCompressor(codec)
	if c == nil || err != nil { // none; a codec of kgo's own is never wrong
		return []kgo.Opt{kgo.ProducerBatchCompression()}
	}
	return []kgo.Opt{kgo.ProducerBatchCompression(codec), kgo.WithCompressor(c)}
}

// translation gathers what is found on the way through the properties.
type translation struct {
	given   map[string]property // by the plain name of the property
	tls     bool
	sasl    bool
	missing []Untranslated
	wrong   PropertyErrors
}

type property struct{ name, value string } // as the operator wrote them

// aliases are librdkafka's second names.
var aliases = map[string]string{ //nolint:gosec // names of properties, no credentials
	"sasl.mechanism":                                    "sasl.mechanisms",
	"queue.buffering.max.ms":                            "linger.ms",
	"compression.codec":                                 "compression.type",
	"topic.compression.type":                            "compression.type",
	"topic.compression.codec":                           "compression.type",
	"topic.compression.level":                           "compression.level",
	"sasl.oauthbearer.client.credentials.client.id":     "sasl.oauthbearer.client.id",
	"sasl.oauthbearer.client.credentials.client.secret": "sasl.oauthbearer.client.secret",
}

func newTranslation(properties map[string]string) *translation {
	t := &translation{given: make(map[string]property, len(properties))}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		plain, value := cmp.Or(aliases[name], name), properties[name]
		first, twice := t.given[plain]
		switch ofTopics := plain == "compression.type" && strings.HasPrefix(name, "topic."); {
		case twice && ofTopics && !strings.HasPrefix(first.name, "topic."):
			// The value for topics overrides the client's, unless it inherits it.
			if !inherits(value) {
				t.given[plain] = property{name: name, value: value}
			}
		case !twice:
			t.given[plain] = property{name: name, value: value}
		case first.value != value:
			// librdkafka takes whichever comes last, and a map has no order.
			t.fault(name, "is another name of "+first.name+", with another value", "keep one of them")
		}
	}
	protocol := t.oneOf("security.protocol", "plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
	t.tls, t.sasl = strings.HasSuffix(protocol, "ssl"), strings.HasPrefix(protocol, "sasl_")
	t.findLacking()
	return t
}

// findLacking reports the given properties that franz-go does not have at all. Those of a
// protocol that is not spoken have no effect in librdkafka either.
func (t *translation) findLacking() {
	for _, plain := range slices.Sorted(maps.Keys(t.given)) {
		if t.used(plain) && !expressible[plain] && tuning[plain] == "" {
			t.lack(plain, cmp.Or(lacking[plain], "franz-go has no counterpart"))
		}
	}
}

// used reports whether a property has an effect with the protocol that is spoken.
func (t *translation) used(plain string) bool {
	switch {
	case strings.HasPrefix(plain, "ssl."), strings.HasPrefix(plain, "enable.ssl."):
		return t.tls
	case strings.HasPrefix(plain, "sasl.kerberos."):
		return false // the mechanism itself is reported
	case strings.HasPrefix(plain, "sasl.oauthbearer."), strings.HasPrefix(plain, "https."):
		return t.sasl && t.given["sasl.mechanisms"].value == "OAUTHBEARER"
	case strings.HasPrefix(plain, "sasl."):
		return t.sasl
	}
	return true
}

// name is how the operator wrote a property.
func (t *translation) name(plain string) string { return cmp.Or(t.given[plain].name, plain) }

// lack notes that only librdkafka can do what a property asks for.
func (t *translation) lack(plain, reason string) {
	if one := (Untranslated{Name: t.name(plain), Reason: reason}); !slices.Contains(t.missing, one) {
		t.missing = append(t.missing, one)
	}
}

// fault notes that no client could use a value.
func (t *translation) fault(plain, problem, fix string) {
	if one := (PropertyError{Name: t.name(plain), Problem: problem, Fix: fix}); !slices.Contains(t.wrong, one) {
		t.wrong = append(t.wrong, one)
	}
}

func (t *translation) err() error {
	if len(t.wrong) == 0 {
		return nil
	}
	return t.wrong.sorted()
}
