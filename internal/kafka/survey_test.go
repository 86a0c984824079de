package kafka

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// surveyed is an embedded broker, a client that writes, and a survey.
func surveyed(t *testing.T) (*kfake.Cluster, *kgo.Client, *Survey) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(2), kfake.SeedTopics(3, "orders"))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic("orders"))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	survey := Connection{Brokers: cluster.ListenAddrs()}.Survey(slog.New(slog.DiscardHandler))
	t.Cleanup(survey.Close)
	return cluster, client, survey
}

func commitAt(t *testing.T, client *kgo.Client, group string, offsets map[int32]int64) {
	t.Helper()
	all := kadm.Offsets{}
	for n, at := range offsets {
		all.AddOffset("orders", n, at, -1)
	}
	done, err := kadm.NewClient(client).CommitOffsets(t.Context(), group, all)
	require.NoError(t, err)
	require.NoError(t, done.Error())
}

func TestSurveyOfGroups(t *testing.T) {
	t.Parallel()
	cluster, client, survey := surveyed(t)
	commitAt(t, client, "empty", map[int32]int64{0: 3, 2: 5})
	member, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumerGroup("stable"), kgo.ConsumeTopics("orders"))
	require.NoError(t, err)
	t.Cleanup(member.Close)
	require.NoError(t, client.ProduceSync(t.Context(), &kgo.Record{Value: []byte("x")}).FirstErr())
	require.NotEmpty(t, member.PollFetches(t.Context()).Records())

	groups, unanswered, err := survey.Groups(t.Context())
	require.NoError(t, err)
	require.Empty(t, unanswered)
	require.Len(t, groups, 2)
	byName := map[string]ListedGroup{}
	for _, g := range groups {
		byName[g.Name] = g
		require.Equal(t, GroupClassic, g.Type)
	}
	members := survey.Members(t.Context(), groups)
	require.Equal(t, 0, members["empty"].Members)
	require.NoError(t, members["stable"].Err)
	require.Equal(t, 1, members["stable"].Members)
	require.Len(t, members["stable"].Assigned, 3)
	require.Contains(t, members["stable"].Assigned[Partition{"orders", 1}], "127.0.0.1")

	commits := survey.Commits(t.Context(), append(groups, ListedGroup{Name: "never", Type: GroupClassic}))
	require.Empty(t, commits["never"].Commits)
	require.NoError(t, commits["never"].Err)
	at := map[Partition]int64{}
	for _, c := range commits["empty"].Commits {
		require.NoError(t, c.Err)
		at[c.Partition] = c.Offset
	}
	require.Equal(t, map[Partition]int64{{"orders", 0}: 3, {"orders", 2}: 5}, at)

	bounds := survey.Bounds(t.Context(), []Partition{{"orders", 0}, {"orders", 9}, {"missing", 0}})
	require.Equal(t, Bounds{End: 1, Stable: 1, Leader: bounds[Partition{"orders", 0}].Leader}, bounds[Partition{"orders", 0}])
	require.True(t, Missing(bounds[Partition{"orders", 9}].Err))
	require.True(t, Missing(bounds[Partition{"missing", 0}].Err))
}

// produceBatch writes records in one batch; value sizes and times are the caller's.
func produceBatch(t *testing.T, client *kgo.Client, n, size int, first time.Time, step time.Duration) {
	t.Helper()
	records := make([]*kgo.Record, n)
	for i := range records {
		value := make([]byte, size)
		_, _ = rand.Read(value)
		records[i] = &kgo.Record{Value: value, Timestamp: first.Add(time.Duration(i) * step)}
	}
	require.NoError(t, client.ProduceSync(t.Context(), records...).FirstErr())
}

func waitingAt(ctx context.Context, survey *Survey, budget int64, offsets ...int64) []Waiting {
	p := Partition{"orders", 0}
	b := survey.Bounds(ctx, []Partition{p})[p]
	positions := make([]Position, len(offsets))
	for i, at := range offsets {
		positions[i] = Position{Partition: p, Offset: at, Until: b.Stable, Leader: b.Leader}
	}
	return survey.Waiting(ctx, positions, budget)
}

func TestSurveyOfWaitingRecords(t *testing.T) {
	t.Parallel()
	_, client, survey := surveyed(t)
	first := time.UnixMilli(1_800_000_000_000)
	produceBatch(t, client, 10, 10, first, 0)                           // 0 to 9: one time
	produceBatch(t, client, 10, 10, first.Add(time.Hour), time.Minute)  // 10 to 19: far apart, has to be decoded
	produceBatch(t, client, 5, 20<<10, first.Add(3*time.Hour), 0)       // 20 to 24: larger than what is asked for
	produceBatch(t, client, 1, 10, first.Add(4*time.Hour), time.Second) // 25
	want := map[int64]time.Duration{
		0: 0, 9: 0, 10: time.Hour, 13: time.Hour + 3*time.Minute, 19: time.Hour + 9*time.Minute, 20: 3 * time.Hour, 22: 3 * time.Hour, 25: 4 * time.Hour,
	}
	var offsets []int64
	for at := range want {
		offsets = append(offsets, at) // in any order
	}
	for i, w := range waitingAt(t.Context(), survey, 1<<30, offsets...) {
		require.NoError(t, w.Err)
		require.Equal(t, offsets[i], w.Offset)
		require.Equal(t, first.Add(want[offsets[i]]).UTC(), w.Time.UTC(), offsets[i])
	}
	found := waitingAt(t.Context(), survey, 1, 0, 10)
	require.NoError(t, found[0].Err)
	require.Equal(t, int64(0), found[0].Offset)
	found = waitingAt(t.Context(), survey, 0, 0)
	require.ErrorIs(t, found[0].Err, ErrBudget)
	require.Equal(t, int64(-1), found[0].Offset)
}

// Records of aborted transactions and markers do not wait for anybody.
func TestSurveyOfTransactions(t *testing.T) {
	t.Parallel()
	cluster, _, survey := surveyed(t)
	writer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.TransactionalID("tx"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic("orders"))
	require.NoError(t, err)
	t.Cleanup(writer.Close)
	transact := func(end kgo.TransactionEndTry, n int) {
		require.NoError(t, writer.BeginTransaction())
		produceBatch(t, writer, n, 10, time.Now(), 0)
		require.NoError(t, writer.EndTransaction(t.Context(), end))
	}
	transact(kgo.TryCommit, 2) // 0, 1, marker 2
	transact(kgo.TryAbort, 3)  // 3 to 5, marker 6
	found := waitingAt(t.Context(), survey, 1<<30, 0, 2, 3, 5)
	require.Equal(t, int64(0), found[0].Offset)
	for _, w := range found[1:] {
		require.NoError(t, w.Err)
		require.Equal(t, int64(-1), w.Offset)
		require.Equal(t, int64(7), w.Clear)
	}
	transact(kgo.TryCommit, 1) // 7, marker 8
	for _, w := range waitingAt(t.Context(), survey, 1<<30, 2, 4, 7) {
		require.NoError(t, w.Err)
		require.Equal(t, int64(7), w.Offset)
	}
}

func TestBatchHeaders(t *testing.T) {
	t.Parallel()
	wire := func(change func(*kmsg.RecordBatch)) []byte {
		b := kmsg.RecordBatch{FirstOffset: 100, Length: 49 + 4, Magic: 2, LastOffsetDelta: 9, NumRecords: 10, FirstTimestamp: 1000, MaxTimestamp: 1100, ProducerID: 7, Records: []byte("x123")}
		change(&b)
		return b.AppendTo(nil)
	}
	aborted := &kmsg.FetchResponseTopicPartition{AbortedTransactions: []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 7}}}
	for name, tc := range map[string]struct {
		change func(*kmsg.RecordBatch)
		plain  bool
		sure   bool
		millis int64
	}{
		"usual":               {func(*kmsg.RecordBatch) {}, true, true, 1000},
		"far apart":           {func(b *kmsg.RecordBatch) { b.MaxTimestamp = 5000 }, true, false, 0},
		"time of the append":  {func(b *kmsg.RecordBatch) { b.Attributes, b.MaxTimestamp = attrLogAppendTime, 5000 }, true, true, 5000},
		"marker":              {func(b *kmsg.RecordBatch) { b.Attributes = attrControl }, false, true, 1000},
		"compacted":           {func(b *kmsg.RecordBatch) { b.NumRecords = 3 }, false, true, 1000},
		"with delete horizon": {func(b *kmsg.RecordBatch) { b.Attributes = attrDeleteHorizon }, false, true, 1000},
		"perhaps aborted":     {func(b *kmsg.RecordBatch) { b.Attributes = attrTransactional }, false, true, 1000},
		"another's":           {func(b *kmsg.RecordBatch) { b.Attributes, b.ProducerID = attrTransactional, 8 }, true, true, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, ok := readBatch(wire(tc.change))
			require.True(t, ok)
			require.Equal(t, []int64{100, 109}, []int64{b.base, b.last})
			require.Equal(t, tc.plain, b.plain(aborted))
			when, sure := b.timeOf(103)
			require.Equal(t, tc.sure, sure)
			if sure {
				require.Equal(t, tc.millis, when.UnixMilli())
			}
		})
	}
	whole := wire(func(*kmsg.RecordBatch) {})
	for n := range whole {
		_, ok := readBatch(whole[:n])
		require.False(t, ok)
	}
	_, ok := readBatch(wire(func(b *kmsg.RecordBatch) { b.Magic = 1 }))
	require.False(t, ok)
	_, ok = readBatch(wire(func(b *kmsg.RecordBatch) { b.Length = -1 }))
	require.False(t, ok)
}

func TestSurveyWithoutKafka(t *testing.T) {
	t.Parallel()
	survey := Connection{Brokers: []string{"127.0.0.1:1"}}.Survey(slog.New(slog.DiscardHandler))
	_, _, err := survey.Groups(t.Context())
	require.Error(t, err)
	survey.Close()
	survey.Close()

	kerberos := Connection{Brokers: []string{"127.0.0.1:1"}, Properties: map[string]string{"security.protocol": "sasl_plaintext", "sasl.mechanisms": "GSSAPI"}}.Survey(slog.New(slog.DiscardHandler))
	t.Cleanup(kerberos.Close)
	_, _, err = kerberos.Groups(t.Context())
	require.ErrorContains(t, err, "kafka.properties.sasl.mechanisms")
	g := []ListedGroup{{Name: "a", Type: GroupClassic}}
	require.Error(t, kerberos.Commits(t.Context(), g)["a"].Err)
	require.Error(t, kerberos.Members(t.Context(), g)["a"].Err)
	require.Error(t, kerberos.Bounds(t.Context(), []Partition{{"a", 0}})[Partition{"a", 0}].Err)
	require.Error(t, kerberos.Waiting(t.Context(), []Position{{}}, 1)[0].Err)
}

// Hundreds of groups cost as many requests as one.
func TestSurveyBatchesItsQuestions(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "orders"))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	for i := range 200 {
		commitAt(t, client, fmt.Sprintf("g%d", i), map[int32]int64{0: 0, 1: 0, 2: 0})
	}
	survey := Connection{Brokers: cluster.ListenAddrs()}.Survey(slog.New(slog.DiscardHandler))
	t.Cleanup(survey.Close)
	var mu sync.Mutex
	asked := map[kmsg.Key]int{}
	for _, key := range []kmsg.Key{kmsg.ListGroups, kmsg.OffsetFetch, kmsg.DescribeGroups, kmsg.ListOffsets, kmsg.FindCoordinator} {
		cluster.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
			mu.Lock()
			defer mu.Unlock()
			asked[key]++
			cluster.KeepControl()
			return nil, nil, false
		})
	}
	for range 2 {
		groups, _, err := survey.Groups(t.Context())
		require.NoError(t, err)
		require.Len(t, groups, 200)
		for i := range groups {
			groups[i].State = "" // as if they had members
		}
		require.Len(t, survey.Members(t.Context(), groups), 200)
		commits := survey.Commits(t.Context(), groups)
		require.Len(t, commits["g199"].Commits, 3)
		survey.Bounds(t.Context(), []Partition{{"orders", 0}, {"orders", 1}, {"orders", 2}})
	}
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, map[kmsg.Key]int{kmsg.ListGroups: 2, kmsg.OffsetFetch: 2, kmsg.DescribeGroups: 2, kmsg.ListOffsets: 6, kmsg.FindCoordinator: 1}, asked)
}
