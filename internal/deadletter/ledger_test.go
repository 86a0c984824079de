package deadletter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/kafka"
)

// dead is a dead letter of a subscription, of the event at an offset.
func dead(at int64, origin string, more ...kafka.RecordHeader) *kafka.Record {
	return &kafka.Record{Topic: "dlt", Offset: at, Timestamp: writtenAt, Key: []byte("k"), Value: []byte("v"), Headers: append([]kafka.RecordHeader{
		header("ce_type", "orders.placed"), header("gw_claim", "c"), header("gw_dead_subscription", "s"), header("gw_dead_topic", "orders"), header("gw_dead_partition", "1"), header("gw_dead_offset", origin),
		header("gw_dead_timestamp", "2026-11-30T09:00:00Z"), header("gw_dead_reason", "attempts"), header("gw_dead_rounds", "1"),
	}, more...)}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	p := Place{"orders.a_b-c", 3, 1 << 40}
	parsed, err := ParsePlace(p.String())
	require.NoError(t, err)
	require.Equal(t, p, parsed)
	for _, wrong := range []string{"", "a", "a/b/c", "a/1", "/1/2", "a/-1/2", "a/1/-2", "a/1/2/3", "a/99999999999/1"} {
		_, err := ParsePlace(wrong)
		require.ErrorContains(t, err, "write topic/partition/offset", wrong)
	}
}

func TestLedger(t *testing.T) {
	t.Parallel()
	first, second, other := Describe(dead(1, "10")), Describe(dead(2, "10")), Describe(dead(3, "11"))
	l := NewLedger()
	state := func(letter *Letter) State { s, _ := l.Of(letter); return s }
	require.Equal(t, Waiting, state(&first))
	require.Equal(t, Waiting, state(&first), "asked again")
	require.Equal(t, Duplicate, state(&second), "the same failure was written twice")
	require.Equal(t, Waiting, state(&other))

	m := markOf(&first, Replayed, "tester", writtenAt)
	m.To = &Place{"orders", 1, 50}
	require.NoError(t, l.Learn(first.Place.String(), m.encode()))
	got, mark := l.Of(&first)
	require.Equal(t, IsDone, got)
	require.Equal(t, m, *mark)
	require.Equal(t, IsDone, state(&second), "its twin was replayed")
	require.Equal(t, Waiting, state(&other))

	round2 := Describe(dead(4, "10", header("gw_dead_rounds", "2")))
	require.Equal(t, Waiting, state(&round2), "it failed again after the replay")

	anew := first
	anew.Written, anew.OriginTime = writtenAt.Add(time.Minute), writtenAt
	require.Equal(t, Waiting, state(&anew), "another record at the same place: the topic was made anew")

	require.NoError(t, l.Learn(first.Place.String(), nil))
	require.Equal(t, Waiting, state(&first))

	require.Error(t, l.Learn("nonsense", nil))
	require.ErrorContains(t, l.Learn("dlt/0/1", []byte("{}")), "another version")
	require.ErrorContains(t, l.Learn("dlt/0/1", []byte("[")), "dlt/0/1")
}

func TestFilter(t *testing.T) {
	t.Parallel()
	l := Describe(dead(1, "10", header("gw_dead_status", "503")))
	for name, c := range map[string]struct {
		filter Filter
		want   bool
	}{
		"all":               {Filter{}, true},
		"since then":        {Filter{Since: writtenAt}, true},
		"since later":       {Filter{Since: writtenAt.Add(time.Nanosecond)}, false},
		"until then":        {Filter{Until: writtenAt}, false},
		"until later":       {Filter{Until: writtenAt.Add(time.Nanosecond)}, true},
		"consumer":          {Filter{Consumer: "s"}, true},
		"other consumer":    {Filter{Consumer: "t"}, false},
		"type pattern":      {Filter{Type: "orders.*"}, true},
		"other type":        {Filter{Type: "orders"}, false},
		"key":               {Filter{Key: "k"}, true},
		"other key":         {Filter{Key: "k2"}, false},
		"reason":            {Filter{Reason: "*temp*"}, true},
		"other reason":      {Filter{Reason: "refused"}, false},
		"status":            {Filter{Status: "503"}, true},
		"status class":      {Filter{Status: "5xx"}, true},
		"other class":       {Filter{Status: "4xx"}, false},
		"place":             {Filter{Places: []Place{{"x", 1, 2}, l.Place}}, true},
		"other place":       {Filter{Places: []Place{{"dlt", 0, 2}}}, false},
		"all but one hold":  {Filter{Type: "orders.*", Key: "k", Status: "4xx"}, false},
		"no key":            {Filter{Key: "*"}, true},
		"pattern in middle": {Filter{Type: "o*d*d"}, true},
	} {
		require.Equal(t, c.want, c.filter.Takes(&l), name)
	}
	l.Key, l.Status = nil, 0
	require.False(t, (&Filter{Key: "*"}).Takes(&l), "it has no key")
	require.False(t, (&Filter{Status: "5xx"}).Takes(&l))
	for _, ok := range []string{"503", "5xx", "40x"} {
		require.True(t, ValidStatus(ok), ok)
	}
	for _, wrong := range []string{"", "xxx", "5x", "5033", "6xx", "5yy"} {
		require.False(t, ValidStatus(wrong), wrong)
	}
}

func names(r *kafka.Record) map[string]string {
	m := map[string]string{}
	for _, h := range r.Headers {
		m[h.Key] = string(h.Value)
	}
	return m
}

func TestCopies(t *testing.T) {
	t.Parallel()
	topics := func(name string) string {
		if name == "s" || name == "u" {
			return "replays." + name
		}
		return ""
	}
	now := writtenAt.Add(time.Hour)
	r := dead(7, "10", header("other", "kept"), header("gw_replay_of", "old"), header("kafka_dlt-exception-message", "long"))
	l := Describe(r)

	to := Target{Kind: ToSubscription, ReplayTopic: topics}
	require.Empty(t, to.Obstacle(&l))
	require.Equal(t, "subscription s", to.Words(&l))
	c := to.Copy(r, &l, now)
	require.Equal(t, "replays.s", c.Topic)
	require.Equal(t, ByKey, c.Partition)
	require.Equal(t, map[string]string{
		"ce_type": "orders.placed", "other": "kept", "gw_dead_rounds": "1", "gw_replay_of": "dlt/0/7", "gw_replay_time": "2026-11-30T11:00:00Z",
		"gw_dead_topic": "orders", "gw_dead_partition": "1", "gw_dead_offset": "10", "gw_dead_timestamp": "2026-11-30T09:00:00Z",
	}, names(c))

	to.Name = "u"
	require.Equal(t, "replays.u", to.Copy(r, &l, now).Topic)
	to.Name = "none"
	require.Equal(t, obstacleForeign, to.Obstacle(&l))

	to = Target{Kind: ToTopic}
	c = to.Copy(r, &l, now)
	require.Equal(t, "orders", c.Topic)
	require.Equal(t, ByKey, c.Partition, "the gateway chooses by key")
	require.Equal(t, map[string]string{"ce_type": "orders.placed", "other": "kept", "gw_dead_rounds": "1", "gw_replay_of": "dlt/0/7", "gw_replay_time": "2026-11-30T11:00:00Z"}, names(c))
	r.Key = nil
	require.Equal(t, int32(1), to.Copy(r, &l, now).Partition, "where it was")

	spring := letterRecord("k", "v", header("kafka_dlt-original-topic", "orders"), bigInt("kafka_dlt-original-partition", 5), bigLong("kafka_dlt-original-offset", 4), header("http_x", "kept"))
	l = Describe(spring)
	c = to.Copy(spring, &l, now)
	require.Equal(t, int32(5), c.Partition, "others may choose in their own way")
	require.Equal(t, map[string]string{"http_x": "kept", "gw_dead_rounds": "1", "gw_replay_of": "dlt/2/7", "gw_replay_time": "2026-11-30T11:00:00Z"}, names(c))
	require.Equal(t, obstacleNoSubscription, (&Target{Kind: ToSubscription, ReplayTopic: topics}).Obstacle(&l))

	hook := Describe(letterRecord("", "v", header("gw_problem", "x")))
	require.Equal(t, obstacleUnvalidated, to.Obstacle(&hook))
	require.Empty(t, (&Target{Kind: ToDoor}).Obstacle(&hook))
	unknown := Describe(letterRecord("", "v"))
	require.Equal(t, obstacleNoOrigin, to.Obstacle(&unknown))
	require.Empty(t, (&Target{Kind: ToTopic, Name: "x"}).Obstacle(&unknown))
	pointer := Describe(letterRecord("", "", header("__dlq.errors.topic", "orders")))
	require.Equal(t, obstacleNotCopied, to.Obstacle(&pointer))
}
