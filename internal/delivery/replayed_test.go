package delivery

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

// replayOf is a copy of a dead letter of the event at an offset of orders[1].
func replayOf(key, offset string) *kgo.Record {
	r := record(key, `{}`)
	r.Topic = ReplayTopic("test")
	for name, value := range map[string]string{
		event.DeadTopic: "orders", event.DeadPartition: "1", event.DeadOffset: offset, event.DeadTimestamp: "2026-11-30T09:00:00Z",
		event.DeadRounds: "1", event.ReplayOf: "orders.test.dlt/0/3", event.ReplayTime: "2026-11-30T10:00:00Z",
	} {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	return r
}

func (w *world) makeReplayTopic() {
	w.t.Helper()
	_, err := kadm.NewClient(w.client).CreateTopic(w.t.Context(), 2, 1, nil, ReplayTopic("test"))
	require.NoError(w.t, err)
}

// TestReplaysAreReadWhenTheirTopicIsMade: a subscription that runs learns of its topic for
// replays, delivers an event as it was before it became a dead letter, and gives it up to the
// dead-letter topic of its first topic, in another round.
func TestReplaysAreReadWhenTheirTopicIsMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.start(w.config(func(c *Config) { c.Types = []string{"some.other"} }))
	w.eventually("it has joined", func() bool {
		groups, err := kadm.NewClient(w.client).DescribeGroups(t.Context(), Group("test"))
		return err == nil && len(groups[Group("test")].Members) == 1
	})
	w.answers(func(c call) int {
		if c.Key == "poison" {
			return http.StatusUnprocessableEntity
		}
		return http.StatusNoContent
	})
	w.makeReplayTopic()
	w.write(replayOf("good", "17"), replayOf("poison", "18"))
	require.NoError(t, WritePause(t.Context(), w.table(), "test", PauseState{ReplayTopic: time.Now()}))
	w.eventually("both are attempted", func() bool { return len(w.of("good")) == 1 && len(w.dead()) == 1 })
	require.Equal(t, "00000000000000000017", w.of("good")[0].Event["sequence"], "as before, and although its type is not wanted any more")
	require.Equal(t, "orders-1-17", w.of("good")[0].Event["id"])
	letter := w.dead()[0]
	require.Equal(t, "orders.test.dlt", letter.Topic)
	require.Equal(t, "orders", headerOf(letter, event.DeadTopic))
	require.Equal(t, "18", headerOf(letter, event.DeadOffset))
	require.Equal(t, "2", headerOf(letter, event.DeadRounds))
	require.Empty(t, headerOf(letter, event.ReplayOf))
}

func TestMembersStayAwayForAWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.start(w.config())
	members := func() int {
		groups, err := kadm.NewClient(w.client).DescribeGroups(t.Context(), Group("test"))
		if err != nil {
			return -1
		}
		return len(groups[Group("test")].Members)
	}
	w.write(record("a", "1"))
	w.eventually("it delivers", func() bool { return len(w.of("a")) == 1 && w.committed(0).base == 1 })
	require.NoError(t, WritePause(t.Context(), w.table(), "test", PauseState{AwayUntil: time.Now().Add(time.Hour)}))
	w.eventually("it leaves", func() bool { return members() == 0 })
	w.write(record("a", "2"))
	commitAs(t, w, 0, "")
	require.Len(t, w.of("a"), 1)
	require.NoError(t, WritePause(t.Context(), w.table(), "test", PauseState{}))
	w.eventually("it is back, and begins where it was set", func() bool { return len(w.of("a")) == 3 })
}

func TestOriginal(t *testing.T) {
	t.Parallel()
	c := &Config{Name: "test", Topics: []string{"orders", "others"}}
	plain := &kafka.Record{Topic: "orders", Headers: []kgo.RecordHeader{{Key: event.DeadTopic, Value: []byte("x")}}}
	require.Same(t, plain, c.original(plain), "only what was replayed")
	from := c.original(replayOf("k", "5"))
	require.Equal(t, "orders", from.Topic)
	require.Equal(t, int32(1), from.Partition)
	require.Equal(t, int64(5), from.Offset)
	require.Equal(t, time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC), from.Timestamp)
	broken := replayOf("k", "x")
	broken.Offset = 9
	require.Equal(t, int64(9), c.original(broken).Offset)
	require.Equal(t, "orders.test.dlt", c.DeadLetters("webhooks.github.dead-letter"), "of a topic that it does not read")
	require.Equal(t, "others.test.dlt", c.DeadLetters("others"))
}

func TestFinished(t *testing.T) {
	t.Parallel()
	p := progress{base: 10, finished: []int64{12, 15}, failures: []failure{{offset: 11, attempts: 2, first: time.Unix(5, 0)}}}
	end, is := Finished(kafka.Committed{Offset: 10, Metadata: p.encode()})
	require.Equal(t, int64(16), end)
	for offset, want := range map[int64]bool{0: true, 9: true, 10: false, 11: false, 12: true, 13: false, 15: true, 16: false} {
		require.Equal(t, want, is(offset), offset)
	}
	end, is = Finished(kafka.Committed{Offset: -1})
	require.LessOrEqual(t, end, int64(0), "nothing is committed")
	require.False(t, is(0))
	end, _ = Finished(kafka.Committed{Offset: 7, Metadata: "of another"})
	require.Equal(t, int64(7), end)
}
