package preflight

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ledBy returns n partitions that a broker leads.
func ledBy(broker, n int) (list []PartitionFacts) {
	for id := range n {
		list = append(list, PartitionFacts{ID: id, Led: true, Leader: broker, Replicas: 3, InSync: 3})
	}
	return list
}

// TestClient: the findings about the client that writes, word for word.
func TestClient(t *testing.T) {
	t.Parallel()
	const (
		franz     = "franz-go writes the records: franz-go can express all of kafka.properties"
		librd     = "librdkafka writes the records: kafka.client is librdkafka"
		commonOne = "TLS with b:9092: x509: certificate relies on legacy Common Name field"
		remedy    = "let franz-go write (kafka.client: auto or franz, without properties that only librdkafka has), or give the topics fewer partitions, or write kafka.guarantee: transactional"
	)
	franzFacts := func(c ClientFacts) ClientFacts {
		c.Name, c.Reason = "franz-go", "franz-go can express all of kafka.properties"
		return c
	}
	slow := func(trip time.Duration) ClientFacts {
		return ClientFacts{Name: "librdkafka", Reason: "kafka.client is librdkafka", RoundTrip: trip}
	}
	for name, c := range map[string]struct {
		facts  ClientFacts
		topics [][]PartitionFacts
		want   []Finding
	}{
		"franz-go reaches all": {franzFacts(ClientFacts{Reached: 3}), nil, []Finding{
			{OK, "kafka.client", "", franz, ""},
			{OK, "kafka.client.reach", "", "franz-go reaches 3 brokers", ""},
		}},
		"certificates without names": {
			franzFacts(ClientFacts{Reached: 1, Failures: []ClientFailure{{"b:9092", NoTLS, commonOne}, {"c:9092", NoTLS, "TLS with c:9092: the same"}}}), nil,
			[]Finding{
				{OK, "kafka.client", "", franz, ""},
				{
					Error, "kafka.client.reach", "b:9092, c:9092",
					"librdkafka reaches these brokers and franz-go, which writes, does not, so events get 504: " + commonOne,
					"give the broker a certificate that has its name or address as a subject alternative name (Go ignores the common name), and let it speak TLS 1.2 or 1.3 with ECDHE; or write kafka.client: librdkafka",
				},
				{OK, "kafka.client.reach", "", "franz-go reaches 1 broker", ""},
			},
		},
		"a login and a silence": {
			franzFacts(ClientFacts{Failures: []ClientFailure{{"a:9092", NoLogin, "refused"}, {"b:9092", NoAnswer, "timed out"}}}), nil,
			[]Finding{
				{OK, "kafka.client", "", franz, ""},
				{
					Error, "kafka.client.reach", "a:9092", "librdkafka reaches this broker and franz-go, which writes, does not, so events get 504: refused",
					"correct sasl.mechanisms, sasl.username and sasl.password in kafka.properties, or write kafka.client: librdkafka",
				},
				{
					Error, "kafka.client.reach", "b:9092", "librdkafka reaches this broker and franz-go, which writes, does not, so events get 504: timed out",
					"check again; if franz-go still fails, write kafka.client: librdkafka",
				},
			},
		},
		"no time left": {franzFacts(ClientFacts{Unasked: 2}), nil, []Finding{
			{OK, "kafka.client", "", franz, ""},
			{Warning, "kafka.client.reach", "", "there was no time to see whether franz-go, which writes, reaches 2 brokers", "check again with a longer --timeout"},
		}},
		"librdkafka with transactions": {
			ClientFacts{Name: "librdkafka", Reason: "kafka.client is librdkafka"},
			[][]PartitionFacts{ledBy(1, 600)},
			[]Finding{{OK, "kafka.client", "", "librdkafka writes the records: kafka.client is librdkafka", ""}},
		},
		"librdkafka, no topic yet": {slow(time.Second), nil, []Finding{{OK, "kafka.client", "", librd, ""}}},
		"librdkafka, just short enough": {slow(500 * time.Microsecond), [][]PartitionFacts{ledBy(1, 100)}, []Finding{
			{OK, "kafka.client", "", librd, ""},
			{OK, "kafka.client.wait", "", "broker 1 leads 100 partitions and answers in 0.50 ms: an event waits at most about 50.00 ms for the others", ""},
		}},
		"librdkafka, one partition": {slow(time.Second), [][]PartitionFacts{ledBy(1, 1)}, []Finding{{OK, "kafka.client", "", librd, ""}}},
		"librdkafka, the busiest of several brokers and topics": {
			slow(500 * time.Microsecond),
			[][]PartitionFacts{ledBy(3, 60), append(ledBy(2, 90), PartitionFacts{ID: 90}), ledBy(3, 60)},
			[]Finding{
				{OK, "kafka.client", "", librd, ""},
				{
					Warning, "kafka.client.wait", "", "broker 3 leads 120 partitions and answers in 0.50 ms. librdkafka puts one partition into a request and has one request per broker in flight, " +
						"so the broker takes at most 2,000 requests a second, and an event may wait 60.00 ms, plus the time that replication takes", remedy,
				},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts, needs := goodFacts()
			facts.Client = &c.facts
			for _, list := range c.topics {
				topic, need := goodTopic()
				topic.Partitions = list
				facts.Topics, needs.Topics = append(facts.Topics, topic), append(needs.Topics, need)
			}
			var found []Finding
			for _, f := range judge(t, facts, needs) {
				if strings.HasPrefix(f.Check, "kafka.client") {
					found = append(found, f)
				}
			}
			require.Equal(t, c.want, found)
		})
	}
}

func TestBusiestLeaderIsTheFirstOfEquals(t *testing.T) {
	t.Parallel()
	k := kafka{facts: KafkaFacts{Topics: []TopicFacts{{Partitions: append(ledBy(7, 4), ledBy(2, 4)...)}}}}
	for range 20 { // the order of a map changes
		broker, partitions := k.busiestLeader()
		require.Equal(t, 2, broker)
		require.Equal(t, 4, partitions)
	}
}
