package publish

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"eventgateway/internal/event"
)

// shareBook is what readers of one log share.
type shareBook struct {
	mu     sync.Mutex
	topics map[string]event.TopicReplay
	owner  map[string]string // of topics' only partitions
	at     map[string]int64
}

// shareOf is a reader's view of the book.
type shareOf struct {
	*shareBook
	reader string
	// takes limits the partitions that the reader takes.
	takes int
}

func newShareBook() *shareBook {
	return &shareBook{topics: map[string]event.TopicReplay{}, owner: map[string]string{}, at: map[string]int64{}}
}

func (s *shareOf) Fixed(topic string) ([]event.SpanReplay, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.topics[topic]
	return t.Spans, ok
}

func (s *shareOf) Fix(_ context.Context, topic event.TopicReplay) ([]event.SpanReplay, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.topics[topic.Topic]; !ok {
		s.topics[topic.Topic] = topic
	}
	return s.topics[topic.Topic].Spans, nil
}

func (s *shareOf) Take(_ context.Context, topic string, _ int32) (event.Turn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owner[topic] == "" && s.takes > 0 {
		s.takes--
		s.owner[topic] = s.reader
	}
	return event.Turn{At: s.at[topic], Mine: s.owner[topic] == s.reader}, nil
}

// note notes what was visited, as a rebuild does once that is written.
func (s *shareOf) note(topics []event.TopicReplay) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range topics {
		if len(t.Spans) > 0 && s.owner[t.Topic] == s.reader {
			s.at[t.Topic] = max(s.at[t.Topic], t.Spans[0].At)
		}
	}
}

// Two processes read a log together: each reads what it takes, and both end when all is read.
func TestReplayIsShared(t *testing.T) {
	withClients(t, func(t *testing.T, with option) {
		t.Parallel()
		cluster := startKafka(t, kfake.SeedTopics(1, "a", "b", "c"))
		names := []string{"a", "b", "c"}
		r := start(t, cluster.ListenAddrs(), names, with)
		r.SetTypes(map[string][]string{"a": {"t"}, "b": {"t"}, "c": {"t"}})
		began := time.Now()
		for i, topic := range names {
			rig := recoveryRig{r, topic}
			_ = r.place(t, topic, nil)
			for n := range 4 {
				rig.write(t, rig.claimed(byte(10*i+n+1), 0))
			}
		}
		helper := start(t, cluster.ListenAddrs(), names, with)
		helper.SetTypes(map[string][]string{"a": {"other"}, "b": {"other"}, "c": {"other"}}) // an older schema
		book := newShareBook()
		mine, theirs := &shareOf{shareBook: book, reader: "first", takes: 1}, &shareOf{shareBook: book, reader: "second", takes: 2}
		var seen [2]sync.Map
		var visits atomic.Int32
		visitor := func(at int) func(event.LogEntry) error {
			return func(e event.LogEntry) error {
				visits.Add(1)
				seen[at].Store(e.Receipt.Topic, true)
				return nil
			}
		}
		var first sync.WaitGroup
		var last []event.TopicReplay
		first.Go(func() {
			err := r.Replay(t.Context(), began.Add(-time.Second), false, visitor(0), func(topics []event.TopicReplay) {
				last = topics
				mine.note(topics)
			}, mine)
			require.NoError(t, err)
		})
		require.Eventually(t, func() bool {
			book.mu.Lock()
			defer book.mu.Unlock()
			return len(book.topics) == 3 && mine.takes == 0
		}, patience, 5*time.Millisecond)
		var topics []event.TopicReplay
		for _, name := range names {
			topics = append(topics, book.topics[name])
			require.Equal(t, []string{"t"}, book.topics[name].Types)
		}
		require.NoError(t, helper.HelpReplay(t.Context(), began.Add(-time.Second), topics, visitor(1), theirs.note, theirs))
		first.Wait()
		require.EqualValues(t, 12, visits.Load(), "each record once, also those of a type that the helper does not know")
		count := func(at int) (n int) {
			seen[at].Range(func(any, any) bool { n++; return true })
			return n
		}
		require.Equal(t, 1, count(0))
		require.Equal(t, 2, count(1))
		for _, topic := range last {
			require.True(t, topic.Done)
			require.Empty(t, topic.Waiting)
			require.Equal(t, topic.Total, topic.Read)
		}
	})
}

// A reading that was interrupted goes on where it was.
func TestReplayGoesOn(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "a"))
	r := start(t, cluster.ListenAddrs(), []string{"a"})
	rig := recoveryRig{r, "a"}
	_ = r.place(t, "a", nil)
	began := time.Now()
	for n := range 6 {
		rig.write(t, rig.claimed(byte(n+1), 0))
	}
	book := newShareBook()
	book.topics["a"] = event.TopicReplay{Topic: "a", Spans: []event.SpanReplay{{From: 0, To: 5, At: 3}}}
	share := &shareOf{shareBook: book, reader: "first", takes: 1}
	book.at["a"] = 3
	var offsets []int64
	var last []event.TopicReplay
	require.NoError(t, r.Replay(t.Context(), began.Add(-time.Second), false, func(e event.LogEntry) error {
		offsets = append(offsets, e.Receipt.Offset)
		return nil
	}, func(topics []event.TopicReplay) { last = topics }, share))
	require.Equal(t, []int64{3, 4}, offsets, "and to the end that was fixed")
	require.EqualValues(t, 5, last[0].Read)
	require.EqualValues(t, 5, last[0].Total)
}

// A topic that is deleted while it is read has nothing more to read.
func TestReplayOfADeletedTopicEnds(t *testing.T) {
	withClients(t, func(t *testing.T, with option) {
		cluster := startKafka(t, kfake.SeedTopics(1, "a"))
		r := start(t, cluster.ListenAddrs(), []string{"a"}, with)
		book := newShareBook()
		book.topics["a"] = event.TopicReplay{Topic: "a", Spans: []event.SpanReplay{{From: 0, To: 5}}}
		share := &shareOf{shareBook: book, reader: "first", takes: 1}
		require.NoError(t, cluster.DeleteTopic("a"))
		var last []event.TopicReplay
		require.NoError(t, r.Replay(t.Context(), time.Now(), true, func(event.LogEntry) error { return nil }, func(topics []event.TopicReplay) { last = topics }, share))
		require.True(t, last[0].Done)
		require.EqualValues(t, 5, last[0].Read)
	})
}
