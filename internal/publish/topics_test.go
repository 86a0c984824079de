package publish

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

func TestMissingTopicIsRefusedAtOnceAndNotMade(t *testing.T) {
	t.Parallel()
	// Even a cluster that makes topics for whoever asks is not made to.
	cluster := startKafka(t, kfake.SeedTopics(1, "there"), kfake.AllowAutoTopicCreation())
	p := start(t, cluster.ListenAddrs(), []string{"missing", "there"}, func(c *Config) { c.DeliveryTimeout = 2 * time.Second })
	p.place(t, "there", nil)
	requireRefused(t, event.LogUnavailable, func() error {
		_, err := p.Place("missing", []byte("k"), 0)
		return err
	})
	_, down := p.Reached()
	require.False(t, down, "a missing topic does not make Kafka down")
	_, err := p.publish(t, "there", "{}")
	require.NoError(t, err, "other types are not concerned")
	// A record that got past Place, because the topic was just deleted, does not
	// create it either.
	_, err = p.Publish(context.Background(), event.Record{
		Placement: event.Placement{Topic: "missing", Owner: p.current().id}, Value: []byte("x"), Timestamp: time.Now(),
	})
	require.Error(t, err)
	require.NotContains(t, topicNames(t, cluster), "missing")
}

func TestTopicThatIsNotWantedIsUnknown(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "there", "other"))
	p := start(t, cluster.ListenAddrs(), []string{"there"})
	p.place(t, "there", nil)
	_, err := p.Place("other", nil, 0)
	requireError(t, err, event.LogUnavailable, event.NotWritten)
	p.SetTopics([]string{"there", "other"})
	p.place(t, "other", nil)
}

func TestTopicAppearsLater(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "there"))
	p := start(t, cluster.ListenAddrs(), []string{"there", "later"})
	p.place(t, "there", nil)
	_, err := p.Place("later", nil, 0)
	requireError(t, err, event.LogUnavailable, event.NotWritten)
	require.False(t, p.Complete())
	require.NoError(t, cluster.CreateTopic("later", 2, nil))
	_, err = p.publish(t, "later", "{}")
	require.NoError(t, err)
	require.Eventually(t, p.Complete, patience, tick)
}

func TestTopicsAreMadeIfTheConfigurationSaysSo(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(2, "there"))
	p := start(t, cluster.ListenAddrs(), []string{"there", "made", "too"}, func(c *Config) {
		c.CreateTopics = TopicCreation{Enabled: true, Partitions: 5, Replication: 1}
	})
	_, err := p.publish(t, "made", "{}")
	require.NoError(t, err)
	p.place(t, "too", nil)
	names := topicNames(t, cluster)
	require.Equal(t, 5, names["made"])
	require.Equal(t, 5, names["too"])
	require.Equal(t, 2, names["there"], "what is there stays as it is")
}

func TestPartitionsThatAreAddedAreUsed(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"})
	p.place(t, "t", nil)
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = "t", 3
	ask(t, cluster, &kmsg.CreatePartitionsRequest{Topics: []kmsg.CreatePartitionsRequestTopic{topic}, TimeoutMillis: 5000})

	p.topics.refreshSoon() // or refreshInterval later
	var place event.Placement
	require.Eventually(t, func() bool {
		var err error
		place, err = p.Place("t", nil, 2)
		require.NoError(t, err)
		return place.Partition == 2
	}, patience, tick)
	at, err := p.Publish(context.Background(), event.Record{Placement: place, Value: []byte("x"), Timestamp: time.Now()})
	require.NoError(t, err)
	require.Equal(t, event.Position{Partition: 2}, at)
}

func TestTopicThatIsDeletedIsNoticed(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(4, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, func(c *Config) { c.DeliveryTimeout = 2 * time.Second })
	_, err := p.publish(t, "t", "{}")
	require.NoError(t, err)
	require.NoError(t, cluster.DeleteTopic("t"))
	place, err := p.Place("t", nil, 3)
	require.NoError(t, err, "not noticed yet")
	_, err = p.Publish(context.Background(), event.Record{Placement: place, Value: []byte("x"), Timestamp: time.Now()})
	require.Error(t, err)
	// That failure, not the next refresh in refreshInterval, tells the others.
	require.Eventually(t, func() bool {
		_, err := p.Place("t", nil, 3)
		return err != nil
	}, refreshInterval/2, tick)
}

func TestFailuresOfATopicAskForMetadata(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code librdkafka.ErrorCode
		asks bool
	}{
		{librdkafka.ErrMsgTimedOut, true},
		{librdkafka.ErrUnknownPartition, true},
		{librdkafka.ErrUnknownTopicOrPart, true},
		{librdkafka.ErrTopicAuthorizationFailed, true},
		{librdkafka.ErrMsgSizeTooLarge, false},
		{librdkafka.ErrQueueFull, false},
	} {
		t.Run(c.code.String(), func(t *testing.T) {
			t.Parallel()
			for _, firstTry := range []bool{true, false} { // refused, or unknown after a second try
				p := idle(t)
				require.Empty(t, p.topics.wake)
				p.monitor.failed(deliveryError(report{err: librdkafka.NewError(c.code, "", false), firstTry: firstTry}, true))
				require.Equal(t, c.asks, len(p.topics.wake) == 1, "first try: %v", firstTry)
			}
		})
	}
}

func TestRecordOverTheTopicsLimit(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	limit := "20000"
	require.NoError(t, cluster.CreateTopic("small", 1, map[string]string{"max.message.bytes": limit}))
	p := start(t, cluster.ListenAddrs(), []string{"small"})
	place := p.place(t, "small", []byte("k"))
	var wg sync.WaitGroup
	neighbours := make([]error, 40)
	for i := range neighbours {
		wg.Go(func() { _, neighbours[i] = p.publish(t, "small", strings.Repeat("x", 15000)) })
	}
	requireRefused(t, event.EventTooLarge, func() error {
		_, err := p.Publish(context.Background(), event.Record{Placement: place, Value: make([]byte, 20001), Timestamp: time.Now()})
		requireError(t, err, event.EventTooLarge, event.NotWritten)
		require.ErrorContains(t, err, limit)
		return err
	})
	requireEnds(t, "records to be written", wg.Wait)
	for _, err := range neighbours {
		require.NoError(t, err)
	}
	require.Len(t, records(t, cluster, "small", len(neighbours)), len(neighbours))
	// Headers and key count, too.
	_, err := p.Publish(context.Background(), event.Record{
		Placement: place, Value: make([]byte, 10000), Key: make([]byte, 5000),
		Headers: []event.Header{{Name: "h", Value: strings.Repeat("v", 5000)}}, Timestamp: time.Now(),
	})
	requireError(t, err, event.EventTooLarge, event.NotWritten)
}

// What the estimate lets through at the limit, the broker takes.
func TestRecordAtTheTopicsLimit(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	require.NoError(t, cluster.CreateTopic("small", 1, map[string]string{"max.message.bytes": "20000"}))
	p := start(t, cluster.ListenAddrs(), []string{"small"})
	r := event.Record{
		Placement: p.place(t, "small", []byte("k")), Key: []byte("k"), Timestamp: time.Now(),
		Headers: []event.Header{{Name: "a", Value: "1"}, {Name: "b", Value: strings.Repeat("v", 300)}},
	}
	r.Value = make([]byte, 20000-recordSize(r))
	require.Equal(t, 20000, recordSize(r))
	_, err := p.Publish(context.Background(), r)
	require.NoError(t, err)
	r.Value = append(r.Value, 0)
	_, err = p.Publish(context.Background(), r)
	requireError(t, err, event.EventTooLarge, event.NotWritten)
}

// The limit was lowered behind the gateway's back: the broker says so.
func TestBrokerRefusesTheSize(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"})
	p.place(t, "t", nil)
	setTopic(t, cluster, "t", "max.message.bytes", "2000")
	publishUntil(t, p, "t", func(err error) bool { return err == nil })
	place := p.place(t, "t", nil)
	require.Eventually(t, func() bool {
		_, err := p.Publish(context.Background(), event.Record{Placement: place, Value: make([]byte, 5000), Timestamp: time.Now()})
		var e *event.Error
		require.ErrorAs(t, err, &e)
		return e.Kind == event.EventTooLarge && e.Outcome == event.NotWritten // unless it took long
	}, patience, tick)
	_, err := p.publish(t, "t", "{}")
	require.NoError(t, err)
}

func setTopic(t *testing.T, cluster *kfake.Cluster, topic, name, value string) {
	t.Helper()
	config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	config.Name, config.Value = name, &value
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	resource.Configs = append(resource.Configs, config)
	ask(t, cluster, &kmsg.IncrementalAlterConfigsRequest{Resources: []kmsg.IncrementalAlterConfigsRequestResource{resource}})
}

// Batches for a topic that takes small ones are small, those for others are not, and no
// producer is replaced for that (issue R7).
func TestSmallTopicLimitConcernsNoOtherTopic(t *testing.T) {
	withClients(t, testSmallTopicLimitConcernsNoOtherTopic)
}

func testSmallTopicLimitConcernsNoOtherTopic(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "usual"))
	require.NoError(t, cluster.CreateTopic("tiny", 1, map[string]string{"max.message.bytes": "2000"}))
	p := start(t, cluster.ListenAddrs(), []string{"tiny", "usual"}, with)
	tiny, usual := p.place(t, "tiny", nil), p.place(t, "usual", nil)
	value := []byte(strings.Repeat("x", 500))
	for _, place := range []event.Placement{tiny, usual} {
		var waits []func() (event.Position, error)
		for range 100 {
			waits = append(waits, p.PublishAsync(t.Context(), event.Record{Placement: place, Key: []byte("k"), Value: value, Timestamp: time.Now()}))
		}
		for _, wait := range waits {
			_, err := wait()
			require.NoError(t, err, place.Topic)
		}
	}
	if !p.plain().franz {
		require.NotEqual(t, usual.Owner, tiny.Owner)
		require.Equal(t, defaultBatchBytes, p.current().client.(*librdkafkaClient).producer.batchBytes)
	}
	require.Equal(t, int32(2000), p.plain().largestBatch("tiny"))
	require.Greater(t, p.plain().largestBatch("usual"), int32(defaultBatchBytes)-1)
	require.Zero(t, p.metric(t, "gateway_kafka_producer_replacements_total"))

	// A limit that shrinks later holds for what is placed after the gateway knows it.
	setTopic(t, cluster, "usual", "max.message.bytes", "1800")
	require.Eventually(t, func() bool {
		p.topics.relearn("usual")
		found, _ := p.topics.lookup("usual")
		return found.maxBytes == 1800
	}, patience, tick)
	usual = p.place(t, "usual", nil)
	var waits []func() (event.Position, error)
	for range 20 {
		waits = append(waits, p.PublishAsync(t.Context(), event.Record{Placement: usual, Key: []byte("k"), Value: value, Timestamp: time.Now()}))
	}
	for _, wait := range waits {
		_, err := wait()
		require.NoError(t, err)
	}
}

func TestTopicLimitThatMayNotBeAskedFor(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	p := start(t, cluster.ListenAddrs(), []string{"t"})
	_, err := p.publish(t, "t", "{}")
	require.NoError(t, err)
	require.Equal(t, defaultTopicBytes, p.plain().routes.Load().smallest)
}

func TestKafkaThatWasNeverThere(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"127.0.0.1:1"}, []string{"t"})
	for range 3 {
		requireRefused(t, event.LogUnavailable, func() error {
			_, err := p.Place("t", []byte("k"), 0)
			return err
		})
	}
	require.Eventually(t, func() bool { _, down := p.Reached(); return down }, patience, tick)
	last, _ := p.Reached()
	require.True(t, last.IsZero())
	require.Zero(t, p.metric(t, "gateway_kafka_up"))
}

func TestKafkaGoesAndComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"), kfake.DataDir(dir))
	require.NoError(t, err)
	addrs := first.ListenAddrs()
	p := start(t, addrs, []string{"t"}, func(c *Config) { c.DeliveryTimeout = 5 * time.Second })
	_, err = p.publish(t, "t", "{}")
	require.NoError(t, err)
	require.InDelta(t, 1, p.metric(t, "gateway_kafka_up"), 0)
	first.Close()

	require.Eventually(t, func() bool { _, down := p.Reached(); return down }, patience, tick, "the loss must be noticed without traffic")
	requireRefused(t, event.LogUnavailable, func() error {
		_, err := p.Place("t", []byte("k"), 0)
		return err
	})

	_, port, err := net.SplitHostPort(addrs[0])
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	startKafka(t, kfake.Ports(number), kfake.SeedTopics(1, "t"), kfake.DataDir(dir))
	_, err = p.publish(t, "t", "{}") // waits until the topic is known again
	require.NoError(t, err)
	_, down := p.Reached()
	require.False(t, down)
}

func TestOnlyOwnTopicsAreAskedForAndNotTooOften(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "own", "foreign"))
	var (
		mu       sync.Mutex
		requests [][]string // nil asks for all topics
	)
	cluster.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		var names []string
		if topics := req.(*kmsg.MetadataRequest).Topics; topics != nil {
			names = []string{}
			for _, t := range topics {
				names = append(names, *t.Topic)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		requests = append(requests, names)
		return nil, nil, false
	})
	seen := func() [][]string { mu.Lock(); defer mu.Unlock(); return slices.Clone(requests) }
	p := start(t, cluster.ListenAddrs(), []string{"own"})
	_, err := p.publish(t, "own", "{}")
	require.NoError(t, err)

	before := len(seen())
	const storm = 3 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), storm)
	defer cancel()
	backoff.Poll(ctx, time.Millisecond, func() bool { p.topics.refreshSoon(); return false }) // as refused requests do
	inStorm := len(seen()) - before
	require.GreaterOrEqual(t, inStorm, 3, "asked at all")
	// One at once, four while the pauses grow, then one a second, which jitter may halve.
	require.LessOrEqual(t, inStorm, 5+2*int(storm/mostRefreshPause))
	for _, names := range seen() {
		require.NotNil(t, names, "of the whole cluster")
		require.NotContains(t, names, "foreign")
	}
}

func TestTopicsAreDivided(t *testing.T) {
	t.Parallel()
	failed := func(code librdkafka.ErrorCode) error { return librdkafka.NewError(code, "", false) }
	described := []kafka.PartitionState{{Leader: 1, Replicas: []int32{1, 2}, InSync: []int32{1}}, {Leader: -1, Replicas: []int32{2, 1}}, {Leader: 3, Replicas: []int32{3, 2}}}
	c := newTopics(nil, nil, TopicCreation{}, slog.New(slog.DiscardHandler))
	before := topic{partitions: 9}
	c.known.Store(&map[string]topic{"failed": before, "deleted": before, "hidden": before})
	present, absent := c.divide([]kafka.TopicState{
		{Name: "there", Partitions: described},
		{Name: "failed", Err: failed(librdkafka.ErrLeaderNotAvailable)},
		{Name: "deleted", Err: failed(librdkafka.ErrUnknownTopicOrPart)},
		{Name: "hidden", Err: failed(librdkafka.ErrTopicAuthorizationFailed)},
		{Name: "new", Err: failed(librdkafka.ErrLeaderNotAvailable)},
		{Name: "empty"},
	})
	require.Equal(t, absentTopics{missing: []string{"deleted"}, hidden: []string{"hidden"}, unclear: []string{"new", "empty"}}, absent)
	require.Len(t, present, 2)
	require.Equal(t, before, present["failed"], "it stays as it was")
	there := present["there"]
	require.EqualValues(t, 3, there.partitions)
	require.Equal(t, []int32{1, -1, 3}, there.leaders)
	require.Equal(t, []int{1, 0, 0}, there.inSync)
	require.Equal(t, there.replicaSets[0], there.replicaSets[1], "in whatever order")
	require.NotEqual(t, there.replicaSets[0], there.replicaSets[2])
	require.Len(t, there.acked, 3)
}

func TestReplicaSetsOfACluster(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.NumBrokers(4), kfake.SeedTopics(200, "t")) // leaders are drawn at random
	c := cacheTopics(t, cluster, "t")
	require.NoError(t, c.refresh(t.Context()))
	found := c.get(t, "t")
	sets := map[uint64]string{}
	for number := range found.partitions {
		require.Equal(t, cluster.LeaderFor("t", number), found.leaders[number])
		require.Positive(t, found.inSync[number])
		leader := strconv.Itoa(int(found.leaders[number]))
		if other, ok := sets[found.replicaSets[number]]; ok {
			require.Equal(t, other, leader) // kfake derives a partition's replicas from its leader
		}
		sets[found.replicaSets[number]] = leader
	}
	require.Len(t, sets, 4)

	require.NoError(t, cluster.MoveTopicPartition("t", 0, (found.leaders[0]+1)%4))
	require.NoError(t, c.refresh(t.Context()))
	require.Equal(t, (found.leaders[0]+1)%4, c.get(t, "t").leaders[0])
	require.Len(t, c.changes, 2)
}
