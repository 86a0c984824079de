package idempotency

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestProgress(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		topics []event.TopicReplay
		want   Progress
	}{
		{"nothing yet", nil, Progress{}},
		{
			"a topic that waits has no total",
			[]event.TopicReplay{{Topic: "a", Read: 100, Total: 400}, {Topic: "b", Waiting: []string{"b: no leader"}}},
			Progress{Read: 100, Total: 400, Topics: 2, Waiting: []string{"b: no leader"}, Rate: 10},
		},
		{
			"an empty topic is done",
			[]event.TopicReplay{{Topic: "a", Read: 100, Total: 400}, {Topic: "b", Done: true}},
			Progress{Read: 100, Total: 400, Topics: 2, Done: 1, Rate: 10, Left: 30 * time.Second},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tally := Tally{Topics: tt.topics}
			require.Equal(t, tt.want, tally.Progress(10*time.Second))
		})
	}
}

func TestProgressIsLoggedNowAndThen(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	lines := progressLog{logger: slog.New(slog.NewTextHandler(&log, nil))}
	tally := Tally{Topics: []event.TopicReplay{{Topic: "a", Read: 150, Total: 300}}}
	begun := time.Now()
	lines.see(t.Context(), Tally{}, begun.Add(-time.Hour)) // nothing is read yet
	for second := range 31 {
		lines.see(t.Context(), tally, begun.Add(time.Duration(second)*time.Second))
	}
	require.Equal(t, 2, strings.Count(log.String(), "rebuilding the idempotency store"))
	require.Contains(t, log.String(), "offsets_per_second=10 seconds_left=15")
}

// A partition that cannot be read is left to others now and then: a broker may be silent to
// one gateway alone.
func TestStuckPartitionIsLetGo(t *testing.T) {
	t.Parallel()
	s := (&Rebuilder{}).newSharedReplay(testKeys, "token")
	begun := time.Now()
	require.True(t, s.keeps("p a 1", "a[1]: no leader", begun))
	require.True(t, s.keeps("p a 1", "", begun.Add(stuckFor)), "it was read meanwhile")
	require.True(t, s.keeps("p a 1", "a[1]: no leader", begun.Add(stuckFor)))
	require.True(t, s.keeps("p a 1", "a[1]: no leader", begun.Add(2*stuckFor-1)))
	require.False(t, s.keeps("p a 1", "a[1]: no leader", begun.Add(2*stuckFor)))
	require.Equal(t, begun.Add(2*stuckFor+letGo), s.left["p a 1"])
	require.True(t, s.keeps("p a 1", "a[1]: no leader", begun.Add(2*stuckFor+letGo)), "and has its time again")
}

func TestReturnedTypes(t *testing.T) {
	t.Parallel()
	topic := func(done bool, types ...string) event.TopicReplay {
		return event.TopicReplay{Done: done, Types: types}
	}
	tests := map[string]struct {
		topics []event.TopicReplay
		want   string
	}{
		"nothing is known":          {nil, ""},
		"one is done":               {[]event.TopicReplay{topic(true, "A"), topic(false, "B")}, "*\nA\n-B\n"},
		"a past topic is not":       {[]event.TopicReplay{topic(true, "A"), topic(false, "A", "B"), topic(true, "C")}, "*\nC\n-A\n-B\n"},
		"whatever the order":        {[]event.TopicReplay{topic(false, "A"), topic(true, "A")}, "*\n-A\n"},
		"dead letters are not":      {[]event.TopicReplay{topic(true, "A"), topic(false, event.AnyType)}, "A\n-*\n"},
		"dead letters of several":   {[]event.TopicReplay{topic(true, event.AnyType), topic(false, event.AnyType)}, "-*\n"},
		"a topic that may have any": {[]event.TopicReplay{topic(true, "A"), topic(false)}, ""},
		"a topic that had any":      {[]event.TopicReplay{topic(true, "A"), topic(true)}, "*\nA\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, progressLinesOf(tt.topics))
		})
	}
}

// TestReturnedTypesAreAnnounced: readiness counts a type as taken when Redis takes it, not as
// soon as its topics are read.
func TestReturnedTypesAreAnnounced(t *testing.T) {
	t.Parallel()
	watch := rebuildWatch{gauges: newProgressGauges(promauto.With(prometheus.NewRegistry()))}
	read := Tally{Topics: []event.TopicReplay{{Topic: "a", Types: []string{"A"}, Done: true}}}
	watch.seeUnannounced(read, time.Now())
	require.False(t, watch.now().Returned("A"))
	watch.see(read, time.Now())
	require.True(t, watch.now().Returned("A"))
	watch.seeUnannounced(read, time.Now())
	require.False(t, watch.now().Returned("A"))
}

func TestClaimKinds(t *testing.T) {
	t.Parallel()
	var kinds claimKinds
	claims := []event.Claim{
		{Type: "a"},
		{Type: "b"},
		{Type: "a"},
		{Type: "a", Delivery: true, TypesBegin: "shop."},
		{},
		{Type: "x\n-y"},
		{Type: "*"},
		{Type: "-a"},
		{Type: "any", Delivery: true},
	}
	places := []int{0, 1, 0, 2, 3, 4, 5, 6, 7}
	for i := range claims {
		require.Equal(t, places[i], kinds.place(&claims[i]), i)
	}
	var texts []string
	for _, arg := range kinds.appendTo(nil) {
		texts = append(texts, *arg.(*string))
	}
	require.Equal(t, []string{"a", "b", "*shop.", "", "", "", "", "*"}, texts)
}

// A topic is done when Redis says so of each of its partitions, also while this reader has
// not begun with it.
func TestMergeWithOtherReaders(t *testing.T) {
	t.Parallel()
	s := (&Rebuilder{}).newSharedReplay(testKeys, "token")
	require.NoError(t, s.takeTopic("a", `{"types":["A"],"spans":[[0,10,20],[3,0,40]]}`))
	require.NoError(t, s.takeTopic("empty", `{"types":["A"]}`))
	merged := func(a event.TopicReplay) event.TopicReplay {
		a.Topic = "a"
		return s.merge([]event.TopicReplay{a})[0]
	}
	resumed := merged(event.TopicReplay{})
	require.False(t, resumed.Done)
	require.EqualValues(t, 0, resumed.Read)
	require.EqualValues(t, 50, resumed.Total)
	s.places["p a 0"], s.places["p a 3"] = sharedPlace{at: 20}, sharedPlace{at: 39}
	resumed = merged(event.TopicReplay{Spans: []event.SpanReplay{{Partition: 0, From: 10, To: 20, At: 12}, {Partition: 3, To: 40, At: 40}}})
	require.False(t, resumed.Done, "what is visited here is not noted yet")
	require.EqualValues(t, 50, resumed.Read)
	s.places["p a 3"] = sharedPlace{at: 40}
	require.True(t, merged(event.TopicReplay{}).Done)
	require.True(t, s.merge([]event.TopicReplay{{Topic: "empty"}})[0].Done)
	require.False(t, s.merge([]event.TopicReplay{{Topic: "not fixed"}})[0].Done)
}
