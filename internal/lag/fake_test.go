package lag

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/kafka"
)

// fake is a Source whose answers a test sets.
type fake struct {
	groups     []kafka.ListedGroup
	unanswered []error
	down       error
	members    map[string]kafka.GroupMembers
	commits    map[string]kafka.GroupCommits
	later      map[string]kafka.GroupCommits // from the second call of a pass on
	bounds     map[kafka.Partition]kafka.Bounds
	records    map[kafka.Partition][]kafka.Waiting // by offset
	unreadable error                               // of records
	perPass    int                                 // how many positions the budget is enough for; 0: all
	retention  map[string]time.Duration
	noConfigs  error

	asked        []kafka.Position
	commitCalls  int
	retentionFor []string
}

func newFake() *fake {
	return &fake{
		members: map[string]kafka.GroupMembers{}, commits: map[string]kafka.GroupCommits{}, bounds: map[kafka.Partition]kafka.Bounds{},
		records: map[kafka.Partition][]kafka.Waiting{}, retention: map[string]time.Duration{},
	}
}

var errBroker = errors.New("broker 2 does not answer")

func (f *fake) Groups(context.Context) ([]kafka.ListedGroup, []error, error) {
	f.asked, f.commitCalls = nil, 0
	return slices.Clone(f.groups), f.unanswered, f.down
}

func (f *fake) Members(context.Context, []kafka.ListedGroup) map[string]kafka.GroupMembers {
	return maps.Clone(f.members)
}

func (f *fake) Commits(_ context.Context, groups []kafka.ListedGroup) map[string]kafka.GroupCommits {
	f.commitCalls++
	from := f.commits
	if f.commitCalls > 1 && f.later != nil {
		from = f.later
	}
	found := map[string]kafka.GroupCommits{}
	for _, g := range groups {
		found[g.Name] = from[g.Name]
	}
	return found
}

func (f *fake) Bounds(_ context.Context, partitions []kafka.Partition) map[kafka.Partition]kafka.Bounds {
	found := map[kafka.Partition]kafka.Bounds{}
	for _, p := range partitions {
		b, ok := f.bounds[p]
		if !ok {
			b.Err = errBroker
		}
		found[p] = b
	}
	return found
}

func (f *fake) Waiting(_ context.Context, positions []kafka.Position, _ int64) []kafka.Waiting {
	f.asked = append(f.asked, positions...)
	found := make([]kafka.Waiting, len(positions))
	for i, p := range positions {
		found[i] = kafka.Waiting{Offset: -1, Clear: p.Until}
		switch {
		case f.unreadable != nil:
			found[i] = kafka.Waiting{Offset: -1, Clear: p.Offset, Err: f.unreadable}
			continue
		case f.perPass > 0 && i >= f.perPass:
			found[i] = kafka.Waiting{Offset: -1, Clear: p.Offset, Err: kafka.ErrBudget}
			continue
		}
		for _, r := range f.records[p.Partition] {
			if r.Offset >= p.Offset && r.Offset < p.Until {
				found[i] = r
				break
			}
		}
	}
	return found
}

func (f *fake) Retention(_ context.Context, topics []string) (map[string]time.Duration, error) {
	f.retentionFor = append(f.retentionFor, topics...)
	return f.retention, f.noConfigs
}

// world is a monitor over a fake with one group, one partition and a clock.
type world struct {
	t *testing.T
	*fake
	m   *Monitor
	now time.Time
}

var orders = kafka.Partition{Topic: "orders", Number: 0}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, fake: newFake(), now: time.Unix(1_800_000_000, 0)}
	w.groups = []kafka.ListedGroup{{Name: "billing", Type: kafka.GroupClassic, Protocol: "consumer", State: "Stable"}}
	w.join("billing", orders)
	w.m = New(Config{Partitions: true}, w)
	w.m.now = func() time.Time { return w.now }
	return w
}

func (w *world) join(group string, assigned ...kafka.Partition) {
	hosts := map[kafka.Partition]string{}
	for _, p := range assigned {
		hosts[p] = "10.0.0.1"
	}
	w.members[group] = kafka.GroupMembers{State: "Stable", Members: 1, Assigned: hosts}
}

func (w *world) leave(group string) { w.members[group] = kafka.GroupMembers{State: "Empty"} }

// log sets a log without gaps whose record at each offset is as old as its distance from
// the end in seconds.
func (w *world) log(p kafka.Partition, start, end int64) {
	w.bounds[p] = kafka.Bounds{Start: start, Stable: end, End: end, Leader: 1}
	w.records[p] = nil
	for at := start; at < end; at++ {
		w.records[p] = append(w.records[p], kafka.Waiting{Offset: at, Clear: at, Time: w.now.Add(time.Duration(at-end) * time.Second)})
	}
}

// grow adds records that are from now.
func (w *world) grow(p kafka.Partition, n int64) {
	b := w.bounds[p]
	for range n {
		w.records[p] = append(w.records[p], kafka.Waiting{Offset: b.End, Clear: b.End, Time: w.now})
		b.End++
	}
	b.Stable = b.End
	w.bounds[p] = b
}

func (w *world) commit(group string, offsets map[kafka.Partition]int64) {
	var list []kafka.Commit
	for p, at := range offsets {
		list = append(list, kafka.Commit{Partition: p, Offset: at, Lag: -1})
	}
	w.commits[group] = kafka.GroupCommits{Commits: list}
}

func (w *world) at(offset int64) { w.commit("billing", map[kafka.Partition]int64{orders: offset}) }

// pass makes a pass some seconds after the last one.
func (w *world) pass(after time.Duration) *Report {
	w.t.Helper()
	w.now = w.now.Add(after)
	report, err := w.m.Pass(w.t.Context())
	require.NoError(w.t, err)
	return report
}

// one is the group's only partition in a pass.
func (w *world) one(after time.Duration) Partition {
	w.t.Helper()
	report := w.pass(after)
	require.Len(w.t, report.Groups, 1)
	require.Len(w.t, report.Groups[0].Topics, 1)
	topic := report.Groups[0].Topics[0]
	require.Len(w.t, topic.Partitions, 1)
	require.Equal(w.t, topic.Partitions[0].State, topic.State)
	require.Equal(w.t, topic.Partitions[0].State, report.Groups[0].State)
	return topic.Partitions[0]
}
