package lag

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"eventgateway/internal/kafka"
)

const tick = 5 * time.Second

func TestMeasures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.log(orders, 0, 100)
	w.at(70)
	p := w.one(0)
	require.Equal(t, []any{known(30), known(30), knownAge(30 * time.Second)}, []any{p.Records, p.Undelivered, p.Age})
	require.Equal(t, "10.0.0.1", p.Host)
	w.at(100)
	p = w.one(tick)
	require.Equal(t, []any{known(0), known(0), knownAge(0), OK}, []any{p.Records, p.Undelivered, p.Age, p.State})
}

// Markers and aborted records are offsets that no reader gets.
func TestUndeliveredBeginsAtTheFirstRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bounds[orders] = kafka.Bounds{Stable: 10, End: 12}
	w.at(4)
	p := w.one(0)
	require.Equal(t, []any{known(8), known(0), knownAge(0), OK}, []any{p.Records, p.Undelivered, p.Age, p.State})
	require.Equal(t, []kafka.Position{{Partition: orders, Offset: 4, Until: 10}}, w.asked)

	require.Equal(t, known(0), w.one(tick).Undelivered)
	require.Empty(t, w.asked, "it is known that there is none")

	w.bounds[orders] = kafka.Bounds{Stable: 20, End: 20}
	w.records[orders] = []kafka.Waiting{{Offset: 15, Time: w.now}}
	p = w.one(tick)
	require.Equal(t, []any{known(16), known(5), knownAge(tick)}, []any{p.Records, p.Undelivered, p.Age})
	require.Equal(t, []kafka.Position{{Partition: orders, Offset: 10, Until: 20}}, w.asked, "from where it is known that there is none")

	p = w.one(tick)
	require.Equal(t, knownAge(2*tick), p.Age)
	require.Empty(t, w.asked, "the record still waits")
	w.at(12)
	require.Equal(t, known(5), w.one(tick).Undelivered)
	require.Empty(t, w.asked, "it is the first after 12, too")
	w.at(4) // somebody has set the group back
	w.one(tick)
	require.Equal(t, []kafka.Position{{Partition: orders, Offset: 4, Until: 20}}, w.asked)
}

func TestStates(t *testing.T) {
	t.Parallel()
	steps := func(n int, do func(w *world, i int)) func(*world) Partition {
		return func(w *world) (p Partition) {
			for i := range n {
				do(w, i)
				p = w.one(tick)
			}
			return p
		}
	}
	for name, tc := range map[string]struct {
		want State
		run  func(w *world) Partition
	}{
		"keeps up": {OK, steps(30, func(w *world, _ int) { w.grow(orders, 10); w.at(w.bounds[orders].End) })},
		"behind, at the same distance": {OK, steps(30, func(w *world, _ int) {
			w.grow(orders, 10)
			w.at(w.bounds[orders].End - 50)
		})},
		"waves are no trend": {OK, steps(30, func(w *world, i int) {
			w.grow(orders, 10)
			w.at(w.bounds[orders].End - []int64{50, 10, 90, 0, 70}[i%5])
		})},
		"more and more waits":                       {Rising, steps(12, func(w *world, i int) { w.grow(orders, 10); w.at(100 + int64(5*i)) })},
		"less and less waits":                       {Falling, steps(12, func(w *world, i int) { w.grow(orders, 1); w.at(5 + int64(6*i)) })},
		"nothing is committed":                      {Stuck, steps(26, func(w *world, _ int) { w.at(50) })},
		"nothing is committed for less than that":   {OK, steps(20, func(w *world, _ int) { w.at(50) })},
		"nothing is committed, more and more waits": {Rising, steps(20, func(w *world, _ int) { w.grow(orders, 1); w.at(50) })},
		"an idle topic is not stuck":                {OK, steps(60, func(w *world, _ int) { w.at(100) })},
		"a slow topic is not stuck": {OK, steps(60, func(w *world, i int) { // a record each minute, read within 30 s
			if i%12 == 0 {
				w.grow(orders, 1)
			}
			if i%12 == 6 {
				w.at(w.bounds[orders].End)
			}
			if i == 0 {
				w.at(100)
			}
		})},
		"the topic was made anew": {Ahead, func(w *world) Partition {
			w.at(100)
			w.one(tick)
			w.log(orders, 0, 10)
			return w.one(tick)
		}},
		"retention was faster": {Lost, func(w *world) Partition {
			w.at(5)
			w.log(orders, 20, 100)
			return w.one(tick)
		}},
		"a member reads it, nothing is committed": {NoCommit, func(w *world) Partition { return w.one(tick) }},
		"records come, and nothing is committed": {Stuck, steps(30, func(w *world, i int) {
			if i == 1 {
				w.grow(orders, 1)
			}
		})},
		"nothing is committed, and Kafka does not always tell": {Stuck, steps(26, func(w *world, i int) {
			if w.at(50); i < 25 && i%3 == 0 {
				w.groups, w.unanswered = nil, []error{errBroker}
				w.pass(tick)
				w.groups, w.unanswered = []kafka.ListedGroup{{Name: "billing", Type: kafka.GroupClassic, Protocol: "consumer"}}, nil
			}
		})},
		"no records come, and nothing is committed": {NoCommit, steps(60, func(*world, int) {})},
		"the first commit takes a minute":           {NoCommit, steps(12, func(w *world, _ int) { w.grow(orders, 1) })},
		"a record after an hour without": {OK, steps(720, func(w *world, i int) {
			if i == 719 {
				w.now = w.now.Add(tick) // the record is from the moment of the pass
				w.grow(orders, 1)
				w.now = w.now.Add(-tick)
			}
			w.at(100)
		})},
		"no member, a record waits": {Abandoned, func(w *world) Partition {
			w.leave("billing")
			w.now = w.now.Add(time.Hour)
			w.at(50)
			return w.one(tick)
		}},
		"no member, but it commits": {OK, steps(3, func(w *world, i int) {
			w.leave("billing")
			if i == 0 {
				w.now = w.now.Add(time.Hour)
			}
			w.at(50 + int64(i)%2)
		})},
		"a member joins": {OK, func(w *world) Partition {
			w.members["billing"] = kafka.GroupMembers{State: "PreparingRebalance", Members: 2}
			w.now = w.now.Add(time.Hour)
			w.at(50)
			return w.one(tick)
		}},
		"members say in their own way what they read": {OK, func(w *world) Partition {
			w.groups[0].Protocol = "connect"
			w.members["billing"] = kafka.GroupMembers{State: "Stable", Members: 2}
			w.now = w.now.Add(time.Hour)
			w.at(50)
			return w.one(tick)
		}},
		"nobody knows the members": {OK, func(w *world) Partition {
			w.members["billing"] = kafka.GroupMembers{Err: errBroker}
			w.now = w.now.Add(time.Hour)
			w.at(50)
			return w.one(tick)
		}},
		"the broker of the partition is away": {Unreadable, func(w *world) Partition {
			w.at(50)
			delete(w.bounds, orders)
			return w.one(tick)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.log(orders, 0, 100)
			p := tc.run(w)
			require.Equal(t, tc.want, p.State, "%+v", p)
			require.GreaterOrEqual(t, p.Records.N, int64(0))
			require.GreaterOrEqual(t, p.Undelivered.N, int64(0))
		})
	}
}

// A log that was shortened after the commits were asked for is no loss.
func TestOvertakenIsAskedForAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.log(orders, 20, 100)
	w.at(5)
	w.later = map[string]kafka.GroupCommits{"billing": {Commits: []kafka.Commit{{Partition: orders, Offset: 30, Lag: -1}}}}
	p := w.one(0)
	require.Equal(t, []any{OK, int64(0), known(70)}, []any{p.State, p.Lost, p.Records})

	w.later = nil
	p = w.one(tick)
	require.Equal(t, []any{Lost, int64(15), known(95), known(80)}, []any{p.State, p.Lost, p.Records, p.Undelivered})
}

func TestUnreadableIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.groups = append(w.groups, kafka.ListedGroup{Name: "secret", Type: kafka.GroupClassic})
	w.commits["secret"] = kafka.GroupCommits{Err: kerr.GroupAuthorizationFailed}
	w.unanswered = []error{errBroker}
	other := kafka.Partition{Topic: "orders", Number: 1} // its broker is away
	w.log(orders, 0, 100)
	w.commit("billing", map[kafka.Partition]int64{orders: 90, other: 5})
	report := w.pass(0)
	require.Equal(t, []string{errBroker.Error()}, report.Unanswered)
	require.Len(t, report.Groups, 2)
	billing, secret := report.Groups[0], report.Groups[1]
	require.Equal(t, []any{Unreadable, ReasonPermission}, []any{secret.State, secret.Kind})
	require.NotEmpty(t, secret.Error)
	require.Equal(t, Unreadable, billing.State)
	require.Equal(t, known(10), billing.Topics[0].Records, "what is known counts")
	require.Equal(t, 1, billing.Topics[0].Unknown)
	require.Equal(t, []any{Unreadable, known(5), Count{}}, []any{billing.Topics[0].Partitions[1].State, billing.Topics[0].Partitions[1].Committed, billing.Topics[0].Partitions[1].Records})
	require.Equal(t, errBroker.Error(), billing.Topics[0].Partitions[1].Error)

	text, err := json.Marshal(report)
	require.NoError(t, err)
	require.NotContains(t, string(text), ":-1")
	require.Contains(t, string(text), `"records":null,"undelivered_records":null`)

	w.down = errBroker
	_, err = w.m.Pass(t.Context())
	require.ErrorIs(t, err, errBroker)
}

// Records may not be read: offsets are known all the same.
func TestRecordsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.log(orders, 0, 100)
	w.at(90)
	w.unreadable = errors.New("not authorized")
	p := w.one(0)
	require.Equal(t, []any{known(10), known(10), Age{}}, []any{p.Records, p.Undelivered, p.Age})
	require.Equal(t, "not authorized", p.Error)
}

// What a pass reads is bounded; what was left out comes first in the next one.
func TestBudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	commits := map[kafka.Partition]int64{}
	for n := range int32(6) {
		p := kafka.Partition{Topic: "orders", Number: n}
		w.log(p, 0, 10)
		commits[p] = 5
	}
	w.commit("billing", commits)
	w.perPass = 2
	var unread []int
	for range 4 {
		unread = append(unread, w.pass(tick).Unread)
	}
	require.Equal(t, []int{4, 2, 0, 0}, unread)
}

// All groups go on all the time, and there is more to read than the budget is enough for:
// none is left out twice in a row.
func TestBudgetIsFair(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.perPass = 2
	at := map[kafka.Partition]int64{}
	for n := range int32(4) {
		p := kafka.Partition{Topic: "orders", Number: n}
		w.log(p, 0, 100)
		at[p] = 5
	}
	left := map[int32]bool{}
	for range 6 {
		for p := range at {
			at[p]++
		}
		w.commit("billing", at)
		require.Equal(t, 2, w.pass(tick).Unread)
		now := map[int32]bool{}
		for i, p := range w.asked {
			if now[p.Number] = i >= 2; now[p.Number] {
				require.False(t, left[p.Number], "partition %d was left out twice", p.Number)
			}
		}
		left = now
	}
}

// Groups that wait at the same record share a read.
func TestSharedReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.log(orders, 0, 10)
	w.groups = append(w.groups, kafka.ListedGroup{Name: "mail", Type: kafka.GroupConsumer})
	w.join("mail", orders)
	w.at(5)
	w.commit("mail", map[kafka.Partition]int64{orders: 5})
	w.pass(0)
	require.Len(t, w.asked, 1)
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	all, some := Config{}, Config{}
	for _, text := range []string{"orders-.*", "billing"} {
		re, err := Pattern(text)
		require.NoError(t, err)
		some.Include = append(some.Include, re)
	}
	re, err := Pattern(".*-test")
	require.NoError(t, err)
	some.Exclude = append(some.Exclude, re)
	for group, want := range map[string]bool{"orders-web": true, "billing": true, "billing-2": false, "my-orders-web": false, "orders-test": false} {
		require.Equal(t, want, some.Watches(group), group)
		require.True(t, all.Watches(group))
	}
}

func TestDeletedGroupIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.log(orders, 0, 10)
	w.at(5)
	w.pass(0)
	w.members["billing"] = kafka.GroupMembers{State: "Dead"}
	w.commits = map[string]kafka.GroupCommits{}
	require.Empty(t, w.pass(tick).Groups, "deleted after it was listed")
	require.Len(t, w.m.tracks, 1)
	w.pass(tick)
	w.pass(tick)
	require.Empty(t, w.m.tracks)
	require.Empty(t, w.m.histories)
}

func TestGroupWithoutAnything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.leave("billing")
	report := w.pass(0)
	require.Len(t, report.Groups, 1)
	require.Equal(t, []any{NoCommit, known(0)}, []any{report.Groups[0].State, report.Groups[0].Members})
}

// A share group acknowledges out of order, and its broker counts.
func TestShareGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.groups[0].Type = kafka.GroupShare
	w.log(orders, 0, 100)
	w.commits["billing"] = kafka.GroupCommits{Commits: []kafka.Commit{{Partition: orders, Offset: 80, Lag: 3}}}
	p := w.one(0)
	require.Equal(t, []Count{known(3), known(3)}, []Count{p.Records, p.Undelivered})
	w.commits["billing"] = kafka.GroupCommits{Commits: []kafka.Commit{{Partition: orders, Offset: 80, Lag: -1}}}
	p = w.one(tick)
	require.Equal(t, []Count{known(20), known(20)}, []Count{p.Records, p.Undelivered})
}

func TestRetentionUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.log(orders, 0, 100)
	w.at(50)
	w.retention["orders"] = 100 * time.Second
	topic := w.pass(0).Groups[0].Topics[0]
	require.NotNil(t, topic.Retention)
	require.InDelta(t, 0.5, float64(*topic.Retention), 0.01)
	w.pass(tick)
	require.Equal(t, []string{"orders"}, w.retentionFor, "it is remembered")
	w.pass(2 * retentionAge)
	require.Len(t, w.retentionFor, 2)

	w.at(100)
	require.Nil(t, w.pass(tick).Groups[0].Topics[0].Retention)
}

func TestTimestampsFromTheFuture(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.log(orders, 0, 10)
	w.records[orders] = []kafka.Waiting{{Offset: 5, Time: w.now.Add(time.Hour)}}
	w.at(5)
	p := w.one(0)
	require.Equal(t, []any{knownAge(0), true, known(5)}, []any{p.Age, p.FutureTime, p.Undelivered})
}
