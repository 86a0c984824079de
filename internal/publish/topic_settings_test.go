package publish

import (
	"bytes"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

// cachedTopics is a cache that nobody runs: tests call refresh.
type cachedTopics struct {
	*topics
	log     bytes.Buffer
	changes []map[string]topic
}

func cacheTopics(t *testing.T, cluster *kfake.Cluster, names ...string) *cachedTopics {
	t.Helper()
	c := &cachedTopics{}
	logger := slog.New(slog.NewTextHandler(&c.log, nil))
	client, err := kafka.NewClient(kafka.Connection{Brokers: cluster.ListenAddrs()}, slog.New(slog.DiscardHandler), func(librdkafka.Error) {})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	c.topics = newTopics(client.Admin, func(known map[string]topic) {
		c.changes = append(c.changes, known)
		if before := c.known.Load(); before != nil {
			require.False(t, equalTopics(*before, known), "called without a change")
		}
	}, TopicCreation{}, logger)
	c.want(names)
	return c
}

func (c *cachedTopics) get(t *testing.T, name string) topic {
	t.Helper()
	found, result := c.lookup(name)
	require.Equal(t, topicFound, result)
	return found
}

// later makes the settings due, as if time had passed since they were asked for.
func (c *settingsCache) later(passed time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.known {
		k.asked, k.due = k.asked.Add(-passed), k.due.Add(-passed)
	}
}

func seedTopic(t *testing.T, cluster *kfake.Cluster, name string, settings map[string]string) {
	t.Helper()
	require.NoError(t, cluster.CreateTopic(name, 2, settings))
}

func TestSettingsAreLearnedByTopic(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	seedTopic(t, cluster, "small", map[string]string{"max.message.bytes": "20000", "min.insync.replicas": "2"})
	seedTopic(t, cluster, "compacted", map[string]string{"cleanup.policy": "compact"})
	c := cacheTopics(t, cluster, "small", "compacted")
	require.NoError(t, c.refresh(t.Context()))
	require.Equal(t, 20000, c.get(t, "small").maxBytes)
	require.Equal(t, 2, c.get(t, "small").minInSync)
	require.False(t, c.get(t, "small").compacted)
	require.Greater(t, c.get(t, "compacted").maxBytes, 20000, "each topic has its own limit")
	require.True(t, c.get(t, "compacted").compacted)
	require.Len(t, c.changes, 1)
	require.Equal(t, 20000, c.changes[0]["small"].maxBytes, "settings are known before lookups see the topic")

	require.NoError(t, c.refresh(t.Context()))
	require.Len(t, c.changes, 1)
	setTopic(t, cluster, "compacted", "cleanup.policy", "delete")
	require.NoError(t, c.refresh(t.Context()))
	require.True(t, c.get(t, "compacted").compacted, "not asked yet")
	c.settings.later(settingsInterval)
	require.NoError(t, c.refresh(t.Context()))
	require.False(t, c.get(t, "compacted").compacted)
	require.Len(t, c.changes, 2)
}

func TestSettingsStayWhenTheQuestionFails(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	seedTopic(t, cluster, "small", map[string]string{"max.message.bytes": "20000"})
	var failing atomic.Bool
	var asked atomic.Int64
	cluster.ControlKey(int16(kmsg.DescribeConfigs), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked.Add(1)
		return nil, errors.New("cut"), failing.Load()
	})
	c := cacheTopics(t, cluster, "small")
	require.NoError(t, c.refresh(t.Context()))
	failing.Store(true)
	c.settings.later(settingsInterval)
	before := asked.Load()
	require.NoError(t, c.refresh(t.Context()), "metadata was answered")
	require.Greater(t, asked.Load(), before)
	require.Equal(t, 20000, c.get(t, "small").maxBytes)
	before = asked.Load()
	require.NoError(t, c.refresh(t.Context()))
	require.Equal(t, before, asked.Load(), "not asked again at once")

	failing.Store(false)
	setTopic(t, cluster, "small", "max.message.bytes", "30000")
	c.settings.later(settingsRetry)
	require.NoError(t, c.refresh(t.Context()))
	require.Equal(t, 30000, c.get(t, "small").maxBytes, "asked again soon")
}

func TestSettingsThatAreNotShown(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	for _, name := range []string{"hidden", "later", "shown"} {
		seedTopic(t, cluster, name, map[string]string{"max.message.bytes": "20000"})
	}
	hide := func(name string) { // the topic of a config request is its resource
		cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Resource: name, Err: kerr.TopicAuthorizationFailed, Count: -1})
	}
	hide("hidden")
	c := cacheTopics(t, cluster, "hidden", "later", "shown")
	require.NoError(t, c.refresh(t.Context()))
	require.Equal(t, defaultTopicBytes, c.get(t, "hidden").maxBytes)
	require.Equal(t, 20000, c.get(t, "shown").maxBytes, "other topics are not concerned")
	hide("later")
	for range 2 {
		c.settings.later(settingsInterval)
		require.NoError(t, c.refresh(t.Context()))
	}
	require.Equal(t, 20000, c.get(t, "later").maxBytes, "what was known stays")
	require.Equal(t, 2, bytes.Count(c.log.Bytes(), []byte("does not show the settings")), "said once of each topic: %s", &c.log)
	require.Contains(t, c.log.String(), "level=INFO")
}

func TestSettingsOfManyTopicsAreAskedForInBatches(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	var names []string
	for i := range settingsBatch + 1 {
		names = append(names, "t"+milliseconds(time.Duration(i)*time.Millisecond))
		seedTopic(t, cluster, names[i], nil)
	}
	var asked atomic.Int64
	cluster.ControlKey(int16(kmsg.DescribeConfigs), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked.Add(1)
		return nil, nil, false
	})
	c := cacheTopics(t, cluster, names...)
	require.NoError(t, c.refresh(t.Context()))
	require.EqualValues(t, 2, asked.Load())
	require.Len(t, *c.known.Load(), len(names))
}

func TestSettingsAreLearnedAgainAfterARefusal(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t", "other"))
	c := cacheTopics(t, cluster, "t", "other")
	require.NoError(t, c.refresh(t.Context()))
	receive(t, c.wake, "the request of want")
	setTopic(t, cluster, "t", "max.message.bytes", "2000")
	setTopic(t, cluster, "other", "max.message.bytes", "2000")
	c.relearn("t")
	require.Empty(t, c.wake, "it was asked a moment ago")
	c.settings.later(settingsRetry)
	c.relearn("unknown")
	require.Empty(t, c.wake)
	c.relearn("t")
	require.Len(t, c.wake, 1)
	require.NoError(t, c.refresh(t.Context()))
	require.Equal(t, 2000, c.get(t, "t").maxBytes)
	require.NotEqual(t, 2000, c.get(t, "other").maxBytes, "only the topic is asked")
}

func TestSettingsOfATopicMadeAnew(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	seedTopic(t, cluster, "t", map[string]string{"max.message.bytes": "2000"})
	c := cacheTopics(t, cluster, "t")
	require.NoError(t, c.refresh(t.Context()))
	require.NoError(t, cluster.DeleteTopic("t"))
	require.NoError(t, c.refresh(t.Context()))
	_, result := c.lookup("t")
	require.Equal(t, noSuchTopic, result)
	seedTopic(t, cluster, "t", map[string]string{"max.message.bytes": "3000"})
	require.NoError(t, c.refresh(t.Context()))
	require.Equal(t, 3000, c.get(t, "t").maxBytes)
}

func TestSettingsFromWhatKafkaTells(t *testing.T) {
	t.Parallel()
	const forever = "9223372036854775807" // Kafka's default of most bounds
	former := topicSettings{maxBytes: 5, minInSync: 2, compacted: true, timestamps: timestampBounds{before: bound{true, time.Hour}}}
	hour, minute := bound{true, time.Hour}, bound{true, time.Minute}
	for name, c := range map[string]struct {
		told map[string]string
		want topicSettings
	}{
		"nothing": {nil, topicSettings{maxBytes: 5, minInSync: 2}},
		"sizes":   {map[string]string{"max.message.bytes": "7", "min.insync.replicas": "1"}, topicSettings{maxBytes: 7, minInSync: 1}},
		"compacted and deleted": {
			map[string]string{"cleanup.policy": "delete, compact"}, topicSettings{maxBytes: 5, minInSync: 2, compacted: true},
		},
		"deleted": {map[string]string{"cleanup.policy": "delete"}, topicSettings{maxBytes: 5, minInSync: 2}},
		"Kafka 2.2": {
			map[string]string{"message.timestamp.type": "CreateTime", "message.timestamp.difference.max.ms": "60000"},
			topicSettings{maxBytes: 5, minInSync: 2, timestamps: timestampBounds{minute, minute}},
		},
		"Kafka 3.6, the old one set": {
			map[string]string{
				"message.timestamp.before.max.ms": forever, "message.timestamp.after.max.ms": "3600000", "message.timestamp.difference.max.ms": "60000",
			},
			topicSettings{maxBytes: 5, minInSync: 2, timestamps: timestampBounds{before: minute, after: hour}},
		},
		"Kafka 4": {
			map[string]string{"message.timestamp.before.max.ms": forever, "message.timestamp.after.max.ms": "3600000"},
			topicSettings{maxBytes: 5, minInSync: 2, timestamps: timestampBounds{after: hour}},
		},
		"zero is a bound": {
			map[string]string{"message.timestamp.before.max.ms": "0"},
			topicSettings{maxBytes: 5, minInSync: 2, timestamps: timestampBounds{before: bound{set: true}}},
		},
		"the broker's clock": {
			map[string]string{"message.timestamp.type": "LogAppendTime", "message.timestamp.after.max.ms": "3600000"},
			topicSettings{maxBytes: 5, minInSync: 2},
		},
	} {
		told := map[string]librdkafka.ConfigEntryResult{}
		for k, v := range c.told {
			told[k] = librdkafka.ConfigEntryResult{Value: v}
		}
		require.Equal(t, c.want, former.with(told), name)
	}
}

func TestRecordWithoutKeyIsNotGivenToACompactedTopic(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	seedTopic(t, cluster, "c", map[string]string{"cleanup.policy": "compact"})
	var produced atomic.Int64
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		produced.Add(1)
		return nil, nil, false
	})
	p := start(t, cluster.ListenAddrs(), []string{"c"})
	keyless := event.Record{Placement: p.place(t, "c", nil), Value: []byte("x"), Timestamp: time.Now()}
	requireRefused(t, event.LogUnavailable, func() error { _, err := p.Publish(t.Context(), keyless); return err })
	require.Zero(t, produced.Load())
	_, err := p.publish(t, "c", "{}")
	require.NoError(t, err, "a record with a key")
	// The next refusal notices that the operator has put it right.
	setTopic(t, cluster, "c", "cleanup.policy", "delete")
	p.topics.settings.later(settingsRetry)
	require.Eventually(t, func() bool { _, err := p.Publish(t.Context(), keyless); return err == nil }, patience, tick)
}
