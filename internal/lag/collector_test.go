package lag

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/kafka"
)

// sharedLease is what the leases of several collectors share.
type sharedLease struct {
	mu     sync.Mutex
	holder *fakeLease
	until  time.Time
	away   bool
}

type fakeLease struct{ s *sharedLease }

var errRedis = errors.New("redis is away")

func (l *fakeLease) Hold(context.Context) (bool, error) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.s.away {
		return false, errRedis
	}
	if l.s.holder == nil || l.s.holder == l || !time.Now().Before(l.s.until) {
		l.s.holder, l.s.until = l, time.Now().Add(LeaseTime)
	}
	return l.s.holder == l, nil
}

func (l *fakeLease) Release(context.Context) error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.s.holder == l {
		l.s.holder = nil
	}
	return nil
}

// counted is a source that counts passes.
type counted struct {
	*fake
	mu     sync.Mutex
	passes int
}

func (c *counted) Groups(ctx context.Context) ([]kafka.ListedGroup, []error, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passes++
	return c.fake.Groups(ctx)
}

func (c *counted) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passes
}

// running is a collector that runs.
type running struct {
	*counted
	reg  *prometheus.Registry
	stop func()
}

func start(t *testing.T, cfg CollectorConfig, source *fake, lease Lease) *running {
	t.Helper()
	r := &running{counted: &counted{fake: source}, reg: prometheus.NewRegistry()}
	c := NewCollector(cfg, New(Config{}, r.counted), lease, slog.New(slog.DiscardHandler), r.reg)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { c.Run(ctx) })
	r.stop = func() { cancel(); done.Wait() }
	return r
}

// metric is the value of a metric without labels, or the sum of one with some.
func (r *running) metric(t *testing.T, name string) (sum float64, found bool) {
	t.Helper()
	families, err := r.reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
			return sum, true
		}
	}
	return 0, false
}

// TestOneOfThreeAsks: and another one when it stops, or dies.
func TestOneOfThreeAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := &sharedLease{}
		var all [3]*running
		for i := range all {
			w := newWorld(t)
			w.log(orders, 0, 100)
			w.at(50)
			all[i] = start(t, CollectorConfig{Interval: tick, MaxSeries: 100}, w.fake, &fakeLease{shared})
		}
		asking := func(over time.Duration) (who int) {
			var before [3]int
			for i, r := range all {
				before[i] = r.count()
			}
			time.Sleep(over)
			synctest.Wait()
			who = -1
			for i, r := range all {
				polling, _ := r.metric(t, "gateway_lag_polling")
				_, shows := r.metric(t, "gateway_lag_records")
				if r.count() == before[i] {
					require.Zero(t, polling)
					require.False(t, shows)
					continue
				}
				require.Equal(t, -1, who, "two ask")
				require.InDelta(t, 1, polling, 0)
				require.True(t, shows)
				who = i
			}
			return who
		}
		time.Sleep(tick)
		first := asking(time.Minute)
		require.GreaterOrEqual(t, all[first].count(), 10)

		all[first].stop() // which gives the lease back
		time.Sleep(leaseInterval + time.Second)
		second := asking(time.Minute)
		require.NotContains(t, []int{-1, first}, second)

		shared.mu.Lock() // Redis is away: the one goes on, and no other begins
		shared.away = true
		shared.mu.Unlock()
		require.Equal(t, second, asking(time.Minute))
		shared.mu.Lock()
		shared.away, shared.until = false, time.Now()
		shared.holder = &fakeLease{shared} // another process has it
		shared.until = time.Now().Add(time.Hour)
		shared.mu.Unlock()
		time.Sleep(leaseInterval + tick)
		require.Equal(t, -1, asking(time.Minute))
		for _, r := range all {
			r.stop()
		}
	})
}

// TestPace: many groups, and slow passes, are asked for less often.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.groups = nil
		for i := range 4000 {
			w.groups = append(w.groups, kafka.ListedGroup{Name: "g" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)})
		}
		r := start(t, CollectorConfig{Interval: tick, MaxSeries: 100}, w.fake, &fakeLease{&sharedLease{}})
		time.Sleep(10*time.Minute + time.Second)
		require.InDelta(t, 30, r.count(), 3, "every 20 s")
		pause, _ := r.metric(t, "gateway_lag_interval_seconds")
		require.InDelta(t, 20, pause, 0.1)
		r.stop()
	})
}

// TestOldNumbersAreNotShown: while Kafka is away there are none.
func TestOldNumbersAreNotShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.log(orders, 0, 100)
		w.at(50)
		r := start(t, CollectorConfig{Interval: tick, MaxSeries: 100}, w.fake, &fakeLease{&sharedLease{}})
		time.Sleep(tick + time.Second)
		_, shown := r.metric(t, "gateway_lag_records")
		require.True(t, shown)
		r.mu.Lock()
		w.down = errBroker
		r.mu.Unlock()
		time.Sleep(tick + time.Second)
		_, shown = r.metric(t, "gateway_lag_records")
		require.True(t, shown, "a moment's failure hides nothing")
		time.Sleep(staleLeast + tick)
		_, shown = r.metric(t, "gateway_lag_records")
		require.False(t, shown)
		r.mu.Lock()
		w.down = nil
		r.mu.Unlock()
		time.Sleep(2 * tick)
		_, shown = r.metric(t, "gateway_lag_records")
		require.True(t, shown)
		r.stop()
	})
}

// shownOf are the metrics of one report.
func shownOf(r *Report, most int) prometheus.Gatherer {
	reg := prometheus.NewPedanticRegistry()
	c := NewCollector(CollectorConfig{}, nil, nil, slog.New(slog.DiscardHandler), reg)
	c.shown.Store(newSnapshot(r, time.Now().Add(time.Hour), most))
	return reg
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.log(orders, 20, 100)
	w.at(90)
	other := kafka.Partition{Topic: "orders", Number: 1}
	w.log(other, 20, 50)
	w.commit("billing", map[kafka.Partition]int64{orders: 90, other: 5})
	w.retention["orders"] = 100 * time.Second
	w.groups = append(w.groups, kafka.ListedGroup{Name: "idle\xff", State: "Empty"}, kafka.ListedGroup{Name: "secret"})
	w.commits["secret"] = kafka.GroupCommits{Err: errBroker}
	report := w.pass(0)
	names := []string{
		"gateway_lag_records", "gateway_lag_undelivered_records", "gateway_lag_seconds", "gateway_lag_lost_records", "gateway_lag_partitions",
		"gateway_lag_retention_used_ratio", "gateway_lag_members", "gateway_lag_groups", "gateway_lag_left_out_topics", "gateway_lag_unreadable", "gateway_lag_partition_records",
	}
	require.NoError(t, testutil.GatherAndCompare(shownOf(report, 1000), strings.NewReader(`
# HELP gateway_lag_groups Consumer groups in the last pass.
# TYPE gateway_lag_groups gauge
gateway_lag_groups 3
# HELP gateway_lag_left_out_topics Topics of groups that have no series because lag.max_series is reached.
# TYPE gateway_lag_left_out_topics gauge
gateway_lag_left_out_topics 0
# HELP gateway_lag_lost_records Records that were deleted before the group has read them; 0 once it has gone on.
# TYPE gateway_lag_lost_records gauge
gateway_lag_lost_records{group="billing",topic="orders"} 15
# HELP gateway_lag_members Members of the group.
# TYPE gateway_lag_members gauge
gateway_lag_members{group="billing"} 1
# HELP gateway_lag_partition_records gateway_lag_records of one partition.
# TYPE gateway_lag_partition_records gauge
gateway_lag_partition_records{group="billing",partition="0",topic="orders"} 10
gateway_lag_partition_records{group="billing",partition="1",topic="orders"} 45
# HELP gateway_lag_partitions Partitions by state: lost, stuck, ahead, rising, unreadable, abandoned, no_commit, falling, ok.
# TYPE gateway_lag_partitions gauge
gateway_lag_partitions{group="billing",state="lost",topic="orders"} 1
gateway_lag_partitions{group="billing",state="ok",topic="orders"} 1
# HELP gateway_lag_records Records between what is committed and the end of the log, markers included: Kafka's own LAG.
# TYPE gateway_lag_records gauge
gateway_lag_records{group="billing",topic="orders"} 55
# HELP gateway_lag_retention_used_ratio Age of the oldest record that waits, as a part of the topic's retention.ms.
# TYPE gateway_lag_retention_used_ratio gauge
gateway_lag_retention_used_ratio{group="billing",topic="orders"} 0.3
# HELP gateway_lag_seconds Age of the oldest record that waits; 0 if none does.
# TYPE gateway_lag_seconds gauge
gateway_lag_seconds{group="billing",topic="orders"} 30
# HELP gateway_lag_undelivered_records Records that wait for a read-committed reader, from the first one to the last stable offset.
# TYPE gateway_lag_undelivered_records gauge
gateway_lag_undelivered_records{group="billing",topic="orders"} 40
# HELP gateway_lag_unreadable What Kafka did not tell in the last pass: brokers, groups and partitions, by reason.
# TYPE gateway_lag_unreadable gauge
gateway_lag_unreadable{reason="missing",what="group"} 0
gateway_lag_unreadable{reason="missing",what="partition"} 0
gateway_lag_unreadable{reason="permission",what="group"} 0
gateway_lag_unreadable{reason="permission",what="partition"} 0
gateway_lag_unreadable{reason="unavailable",what="broker"} 0
gateway_lag_unreadable{reason="unavailable",what="group"} 1
gateway_lag_unreadable{reason="unavailable",what="partition"} 0
`), names...))
}

// TestSeriesAreBounded: what hurts most is shown, and the rest counted.
func TestSeriesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.groups = nil
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		w.groups = append(w.groups, kafka.ListedGroup{Name: name})
		p := kafka.Partition{Topic: "t-" + name}
		w.log(p, 0, 100)
		at := int64(90)
		if name == "d" {
			w.log(p, 50, 100) // it has lost records
			at = 5
		}
		w.commit(name, map[kafka.Partition]int64{p: at})
	}
	all := shownOf(w.pass(0), 30)
	count, err := testutil.GatherAndCount(all, "gateway_lag_records", "gateway_lag_undelivered_records", "gateway_lag_seconds", "gateway_lag_lost_records", "gateway_lag_partitions", "gateway_lag_members")
	require.NoError(t, err)
	require.LessOrEqual(t, count, 30)
	families, err := all.Gather()
	require.NoError(t, err)
	lost, leftOut := 0.0, 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "gateway_lag_lost_records":
				lost += m.GetGauge().GetValue()
			case "gateway_lag_left_out_topics":
				leftOut = m.GetGauge().GetValue()
			}
		}
	}
	require.InDelta(t, 45, lost, 0, "the worst is shown")
	require.InDelta(t, 2, leftOut, 0)
}
