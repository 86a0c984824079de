package publish

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

// oldRig is a partition with records of the past, which are written as they are, and the
// claim 1, whose lease ended twelve hours ago and is called L below.
type oldRig struct {
	recoveryRig
	cluster *kfake.Cluster
	writer  *kgo.Client
	ended   time.Time
}

func startOldRig(t *testing.T, with ...option) oldRig {
	t.Helper()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	r := oldRig{
		recoveryRig: recoveryRig{start(t, cluster.ListenAddrs(), []string{"t"}, with...), "t"},
		cluster:     cluster, ended: time.Now().Add(-12 * time.Hour).Truncate(time.Millisecond),
	}
	var err error
	r.writer, err = kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	t.Cleanup(r.writer.Close)
	_ = r.place(t, "t", nil)
	return r
}

var part0 = kafka.Partition{Topic: "t"}

// oldRecord is a record that is stamped so much later than L.
type oldRecord struct {
	after    time.Duration
	claim    byte // 0: without a claim
	stranger bool // not written by a gateway
	typeName string
}

// append writes each record in a batch of its own.
func (r oldRig) append(t *testing.T, records ...oldRecord) {
	t.Helper()
	for _, o := range records {
		rec := r.claimed(o.claim, 0)
		out := &kgo.Record{Topic: "t", Key: rec.Key, Value: rec.Value, Timestamp: r.ended.Add(o.after)}
		for _, h := range rec.Headers {
			switch {
			case h.Name == event.HeaderVersion && o.stranger, o.claim == 0 && (h.Name == event.HeaderClaim || h.Name == event.HeaderFingerprint):
				continue
			case h.Name == event.HeaderType && o.typeName != "":
				h.Value = o.typeName
			}
			out.Headers = append(out.Headers, kgo.RecordHeader{Key: h.Name, Value: []byte(h.Value)})
		}
		require.NoError(t, r.writer.ProduceSync(t.Context(), out).FirstErr())
	}
}

func (r oldRig) abandoned() event.AbandonedClaim {
	return event.AbandonedClaim{
		Owner: idempotentPrefix + "gone", Topic: "t", Partitions: []int32{0},
		From: r.ended.Add(-30 * time.Second), LeaseEnded: r.ended,
	}
}

// A search for an old claim ends at the first record that was surely appended after the
// claim's lease. A record of the claim behind it, which no gateway would write, shows
// whether the search has read on.
func TestOldClaimIsDecidedEarly(t *testing.T) {
	t.Parallel()
	behind := oldRecord{after: time.Hour, claim: 1}
	first := oldRecord{after: -time.Hour}
	tests := []struct {
		name    string
		records []oldRecord
		found   bool
		offset  int64
	}{
		{"a record with a claim", []oldRecord{first, {after: stampMargin, claim: 2}, behind}, false, 0},
		{"a record without a claim", []oldRecord{first, {after: stampMargin}, behind}, false, 0},
		{"not stamped late enough", []oldRecord{first, {after: stampMargin - time.Second}, behind}, true, 2},
		{"written by a stranger", []oldRecord{first, {after: stampMargin, claim: 2, stranger: true}, behind}, true, 2},
		{"copied from another topic", []oldRecord{first, {after: stampMargin, claim: 2, typeName: "of another topic"}, behind}, true, 2},
		{"later stamps come before earlier ones", []oldRecord{{after: stampMargin - 1}, {after: -20 * time.Second, claim: 1}, {after: stampMargin}}, true, 1},
		{"the claim itself has the late stamp", []oldRecord{first, {after: stampMargin, claim: 1}}, true, 1},
		{"the key was used before the claim", []oldRecord{first, {after: -2 * time.Minute, claim: 1}, {after: time.Second}}, false, 0},
		{"a stranger's stamp in the future comes first", []oldRecord{{after: 48 * time.Hour, stranger: true}, {after: 0, claim: 1}}, true, 1},
	}
	forClients(t, func(t *testing.T, with option) {
		t.Parallel()
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				r := startOldRig(t, with)
				r.SetTypes(map[string][]string{"t": {"t"}})
				r.append(t, tt.records...)
				receipt, found, err := r.Find(t.Context(), claimOf(1), r.abandoned())
				require.NoError(t, err)
				require.Equal(t, tt.found, found)
				require.Equal(t, tt.offset, receipt.Offset)
			})
		}
	})
}

// What the broker has stamped is proof, whoever wrote it.
func TestBrokersStampIsProof(t *testing.T) {
	t.Parallel()
	for _, stamped := range []bool{true, false} {
		s := newSearch(claimOf(1), event.AbandonedClaim{LeaseEnded: time.Now().Add(-time.Hour)}, false)
		p := newPass(&Reader{}, part0, []*search{s})
		err := p.visit(&logRecord{timestamp: time.Now(), stamped: stamped})
		require.Equal(t, stamped, s.over)
		if stamped {
			require.ErrorIs(t, err, errStop)
		}
	}
}

// The wait for replication is for partitions that nobody else writes to.
func TestWaitOnlyWhereNobodyWrites(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		records []oldRecord
		decided bool
	}{
		"quiet":         {[]oldRecord{{after: time.Second}}, false},
		"others write":  {[]oldRecord{{after: time.Second}, {after: time.Hour}}, true},
		"nothing there": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startOldRig(t)
			r.append(t, tt.records...)
			s := newSearch(claimOf(1), r.abandoned(), false)
			r.recoverGroup(t.Context(), group{searches: []*search{s}}, part0, map[*search]time.Duration{s: time.Minute})
			require.True(t, s.over)
			require.Nil(t, s.found)
			if tt.decided {
				require.NoError(t, s.err)
			} else {
				require.Equal(t, errUndecided{time.Minute}, s.err)
			}
		})
	}
}

// A read that failed is continued by the next search, not begun again.
func TestRecoveryContinues(t *testing.T) {
	t.Parallel()
	r := startOldRig(t)
	r.scan.franz.bytes = 1 // one batch at a time
	for range 6 {
		r.append(t, oldRecord{after: time.Second})
	}
	var mu sync.Mutex
	var offsets []int64
	broken := true
	r.cluster.ControlKey(kmsg.Fetch.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.cluster.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		asked := req.(*kmsg.FetchRequest)
		offset := asked.Topics[0].Partitions[0].FetchOffset
		offsets = append(offsets, offset)
		if !broken || offset < 4 {
			return nil, nil, false
		}
		resp := asked.ResponseKind().(*kmsg.FetchResponse)
		topic, part := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
		topic.Topic, part.ErrorCode = "t", kerr.OffsetOutOfRange.Code
		topic.Partitions = append(topic.Partitions, part)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	_, _, err := r.Find(t.Context(), claimOf(1), r.abandoned())
	require.ErrorIs(t, err, errTruncated)
	mu.Lock()
	require.Equal(t, []int64{0, 1, 2, 3, 4}, offsets)
	broken, offsets = false, nil
	mu.Unlock()

	_, found, err := r.Find(t.Context(), claimOf(1), r.abandoned())
	require.NoError(t, err)
	require.False(t, found)
	mu.Lock()
	require.Equal(t, []int64{4, 5}, offsets)
	offsets = nil
	mu.Unlock()

	r.append(t, oldRecord{claim: 1})
	for range 2 { // what was found is not looked for again
		_, found, err = r.Find(t.Context(), claimOf(1), r.abandoned())
		require.NoError(t, err)
		require.True(t, found)
	}
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, []int64{6}, offsets)
}

// Nobody reads what lies between an old claim and a new one.
func TestSearchesFarApartAreReadApart(t *testing.T) {
	t.Parallel()
	now := time.Now()
	made := func(ago time.Duration, fenced bool) *search {
		return newSearch(claimOf(1), event.AbandonedClaim{From: now.Add(-ago), LeaseEnded: now.Add(-ago + 30*time.Second)}, fenced)
	}
	yesterday, too, noon := made(20*time.Hour, false), made(20*time.Hour-time.Minute, false), made(6*time.Hour, false)
	young, fenced, old := made(time.Minute, false), made(time.Minute, true), made(6*time.Hour, true)
	groups := groupsOf([]*search{old, young, noon, fenced, too, yesterday}, now)
	var got [][]*search
	for _, g := range groups {
		got = append(got, g.searches)
	}
	require.Len(t, got, 4)
	require.Equal(t, []*search{yesterday, too}, got[0])
	require.Equal(t, []*search{noon}, got[1])
	require.ElementsMatch(t, []*search{young, fenced}, got[2])
	require.Equal(t, []*search{old}, got[3])
}

// The memory of searches is bounded, and forgets the oldest.
func TestRecoveryMemoryIsBounded(t *testing.T) {
	t.Parallel()
	var m recoveryMemory
	made := make([]*search, memoriesKept+1)
	for i := range made {
		made[i] = newSearch(event.ClaimID{byte(i), byte(i >> 8)}, event.AbandonedClaim{}, true)
		m.keep(made[i], part0, int64(i), nil)
		m.keep(made[i], part0, int64(i), nil)
	}
	kept := slices.DeleteFunc(made, func(s *search) bool { _, ok := m.recall(s, part0); return !ok })
	require.Len(t, kept, memoriesKept)
	require.Len(t, m.order, memoriesKept)
	other := *kept[0]
	other.from = other.from.Add(time.Second) // of a later use of the key
	_, ok := m.recall(&other, part0)
	require.False(t, ok)
}
