package deadletter

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/kafka"
)

// fakeLog is Kafka in memory, with transactions that may fail before or after they are
// committed.
type fakeLog struct {
	topics map[string][]*kafka.Record // of one partition
	starts map[string]int64           // what is before is deleted
	fail   func() (commit bool, err error)
	begun  int
	owner  int
	reads  int
}

func newFakeLog() *fakeLog {
	return &fakeLog{topics: map[string][]*kafka.Record{}, starts: map[string]int64{}, fail: func() (bool, error) { return true, nil }}
}

func (f *fakeLog) write(topic string, r *kafka.Record) {
	c := *r
	c.Topic, c.Partition, c.Offset = topic, 0, int64(len(f.topics[topic]))
	f.topics[topic] = append(f.topics[topic], &c)
	r.Partition, r.Offset = 0, c.Offset
}

func (f *fakeLog) Spans(_ context.Context, topic string, _ time.Time) ([]Span, error) {
	if n := len(f.topics[topic]); n > 0 {
		return []Span{{kafka.Partition{Topic: topic}, f.starts[topic], int64(n)}}, nil
	}
	return nil, nil
}

func (f *fakeLog) Read(_ context.Context, s Span, visit func(*kafka.Record) error) error {
	f.reads++
	for _, r := range f.topics[s.Topic][s.From:s.To] {
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}

type fakeSink struct {
	*fakeLog
	me int
}

func (f *fakeLog) sink(string) Sink { return &fakeSink{fakeLog: f} }

func (s *fakeSink) Begin(context.Context) error {
	s.begun++
	s.owner, s.me = s.begun, s.begun
	return nil
}

func (s *fakeSink) Commit(_ context.Context, copies []*kafka.Record, marks func() []*kafka.Record) error {
	if s.owner != s.me {
		return ErrTakenOver
	}
	for i, c := range copies {
		c.Partition, c.Offset = 0, int64(len(s.topics[c.Topic])+i)
	}
	all := append(slices.Clone(copies), marks()...)
	commit, err := s.fail()
	if commit {
		for _, r := range all {
			s.write(r.Topic, r)
		}
	}
	return err
}

func (f *fakeLog) deps() Deps {
	return Deps{Source: f, Sink: f.sink, Ledger: "ledger", Now: time.Now, Progress: func(Tally) {}}
}

func (f *fakeLog) fill(n int) {
	for i := range n {
		f.write("dlt", dead(0, strconv.Itoa(i)))
		if i%50 == 0 {
			f.write("dlt", dead(0, strconv.Itoa(i))) // twice, as after a kill
		}
	}
}

// copiesOf counts the copies by the dead letter that they are of.
func (f *fakeLog) copiesOf(topic string) map[string]int {
	of := map[string]int{}
	for _, r := range f.topics[topic] {
		of[names(r)["gw_replay_of"]]++
	}
	return of
}

var toTopic = Job{Topics: []string{"dlt"}, Target: Target{Kind: ToTopic}, By: "tester"}

func TestReplayCopiesEachOnce(t *testing.T) {
	t.Parallel()
	f := newFakeLog()
	f.fill(1000)
	plan, err := Plan(t.Context(), toTopic, f, NewLedger(), nil)
	require.NoError(t, err)
	require.Equal(t, 1000, plan.Total)
	require.Equal(t, 20, plan.Twice)
	require.Equal(t, map[string]int{"topic orders": 1000}, plan.Targets)

	tally, err := Run(t.Context(), toTopic, f.deps())
	require.NoError(t, err)
	require.Equal(t, 1000, tally.Done)
	require.Len(t, f.copiesOf("orders"), 1000)
	require.Len(t, f.topics["orders"], 1000)
	require.Len(t, f.topics["ledger"], 1000)

	again, err := Run(t.Context(), toTopic, f.deps())
	require.NoError(t, err)
	require.Zero(t, again.Done)
	require.Equal(t, 1020, again.Before, "with the twins")

	forced := toTopic
	forced.Again = time.Now().Add(time.Hour)
	tally, err = Run(t.Context(), forced, f.deps())
	require.NoError(t, err)
	require.GreaterOrEqual(t, tally.Done, 1000)
}

// TestReplayOutlivesFailures: whatever becomes of transactions whose outcome the replay does
// not learn, each letter is copied once, and is on record.
func TestReplayOutlivesFailures(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		f := newFakeLog()
		f.fill(rng.IntN(1200))
		letters := 0
		seen := map[string]bool{}
		for _, r := range f.topics["dlt"] {
			if id := names(r)["gw_dead_offset"]; !seen[id] {
				seen[id] = true
				letters++
			}
		}
		f.fail = func() (bool, error) {
			switch rng.IntN(4) {
			case 0:
				return false, errors.New("not committed")
			case 1:
				return true, errors.New("committed, and not known")
			}
			return true, nil
		}
		synctest.Test(t, func(t *testing.T) {
			var tally Tally
			err := errors.New("not run")
			for tries := 0; err != nil && tries < 100; tries++ { // a command that ended is run again
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(3000))*time.Millisecond)
				tally, err = Run(ctx, toTopic, f.deps())
				cancel()
			}
			require.NoError(t, err)
			require.Empty(t, tally.Left)
			require.Len(t, f.topics["orders"], letters, "seed %d", seed)
			require.Len(t, f.copiesOf("orders"), letters, "seed %d", seed)
			require.Len(t, f.topics["ledger"], letters, "seed %d", seed)
		})
	}
}

func TestReplayEndsWithAnErrorThatStays(t *testing.T) {
	t.Parallel()
	f := newFakeLog()
	f.fill(10)
	tries := 0
	f.fail = func() (bool, error) { tries++; return false, fmt.Errorf("no such topic; %w", ErrPermanent) }
	_, err := Run(t.Context(), toTopic, f.deps())
	require.ErrorIs(t, err, ErrPermanent)
	require.Equal(t, 1, tries)
}

func TestReplayIsTakenOver(t *testing.T) {
	t.Parallel()
	f := newFakeLog()
	f.fill(500)
	deps := f.deps()
	deps.Progress = func(tally Tally) {
		if tally.Done == batchRecords {
			require.NoError(t, f.sink("dlt").Begin(t.Context()))
		}
	}
	tally, err := Run(t.Context(), toTopic, deps)
	require.ErrorIs(t, err, ErrTakenOver)
	require.Equal(t, batchRecords, tally.Done)
	require.Len(t, f.topics["orders"], batchRecords)
}

func TestReplayKeepsItsRate(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0.5, 3, 50, 1000} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			t.Parallel()
			f := newFakeLog()
			f.fill(300)
			job := toTopic
			job.Rate = rate
			synctest.Test(t, func(t *testing.T) {
				begun, worst := time.Now(), 0.0
				deps := f.deps()
				deps.Progress = func(tally Tally) {
					over := float64(tally.Done) - rate*time.Since(begun).Seconds()
					worst = max(worst, over)
				}
				_, err := Run(t.Context(), job, deps)
				require.NoError(t, err)
				require.LessOrEqual(t, worst, max(1, rate/batchesPerSecond)+1e-6, "ahead of the rate")
				require.InDelta(t, 300/rate, time.Since(begun).Seconds(), max(1/rate, 1.0/batchesPerSecond)+0.001)
			})
		})
	}
}

// TestReplayKeepsItsRateWithSlowTransactions: each takes longer than a tenth of a second.
func TestReplayKeepsItsRateWithSlowTransactions(t *testing.T) {
	t.Parallel()
	f := newFakeLog()
	f.fill(3000)
	job := toTopic
	job.Rate = 500
	synctest.Test(t, func(t *testing.T) {
		f.fail = func() (bool, error) { time.Sleep(250 * time.Millisecond); return true, nil }
		tally, err := Run(t.Context(), job, f.deps())
		require.NoError(t, err)
		require.InDelta(t, 6, tally.Took.Seconds(), 1)
	})
}

func TestDrop(t *testing.T) {
	t.Parallel()
	f := newFakeLog()
	f.fill(100)
	job := Job{Topics: []string{"dlt"}, Drop: true, By: "tester", Reason: "obsolete"}
	tally, err := Run(t.Context(), job, f.deps())
	require.NoError(t, err)
	require.Equal(t, 102, tally.Done+tally.Before)
	require.Empty(t, f.topics["orders"])
	replayed, err := Run(t.Context(), toTopic, f.deps())
	require.NoError(t, err)
	require.Zero(t, replayed.Done, "what was dropped is not replayed")
	ledger, err := ReadLedger(t.Context(), f, "ledger")
	require.NoError(t, err)
	l := Describe(f.topics["dlt"][5])
	state, mark := ledger.Of(&l)
	require.Equal(t, IsDropped, state)
	require.Equal(t, "obsolete", mark.Reason)
}

// fakeDoor publishes each place once, and refuses some.
type fakeDoor struct {
	published map[Place]int
	refuse    func(*Letter) bool
}

func (d *fakeDoor) Accept(_ context.Context, _ *kafka.Record, l *Letter) (Place, bool, error) {
	if d.refuse(l) {
		return Place{}, true, errors.New("no such event type")
	}
	d.published[l.Place]++
	return Place{"new", 0, l.Place.Offset}, false, nil
}

func TestReplayThroughTheDoor(t *testing.T) {
	t.Parallel()
	f := newFakeLog()
	f.fill(10)
	door := &fakeDoor{published: map[Place]int{}, refuse: func(l *Letter) bool { return l.Origin.Offset == 4 }}
	deps := f.deps()
	deps.Door = door
	job := Job{Topics: []string{"dlt"}, Target: Target{Kind: ToDoor}, By: "tester"}
	tally, err := Run(t.Context(), job, deps)
	require.NoError(t, err)
	require.Equal(t, 9, tally.Done)
	require.Equal(t, map[string]int{"no such event type": 1}, tally.Refused)
	door.refuse = func(*Letter) bool { return false }
	tally, err = Run(t.Context(), job, deps)
	require.NoError(t, err)
	require.Equal(t, 1, tally.Done, "what was refused still waits")
	for place, n := range door.published {
		require.Equal(t, 1, n, place)
	}
}

func TestMarksOfLettersThatAreGoneAreDeleted(t *testing.T) {
	t.Parallel()
	f := newFakeLog()
	f.fill(1200) // with 24 twins
	_, err := Run(t.Context(), toTopic, f.deps())
	require.NoError(t, err)
	f.starts["dlt"] = twinSpan + 10
	marks := func() int {
		ledger, err := ReadLedger(t.Context(), f, "ledger")
		require.NoError(t, err)
		return ledger.Len()
	}
	_, err = Run(t.Context(), toTopic, f.deps())
	require.NoError(t, err)
	require.Equal(t, 1200, marks(), "people may still look for them")
	deps := f.deps()
	deps.Now = func() time.Time { return time.Now().Add(goneAfter + time.Hour) }
	_, err = Run(t.Context(), toTopic, deps)
	require.NoError(t, err)
	require.Equal(t, 1191, marks(), "of the first ten, one is a twin without a mark")
	_, err = Run(t.Context(), toTopic, deps)
	require.NoError(t, err)
	require.Equal(t, 1191, marks())
	require.Len(t, f.topics["orders"], 1200)
}
