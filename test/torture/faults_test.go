package torture

import (
	"flag"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func schedulerOf(change func(o *Options)) *scheduler {
	o := Defaults()
	o.Seed = 7
	change(&o)
	return newScheduler(&world{opts: &o, out: io.Discard})
}

// schedule is the names of the first rounds' faults, and the gaps between rounds.
func schedule(s *scheduler, rounds int) (names []string, gaps []time.Duration) {
	for n := range rounds {
		p := s.plan(n)
		for _, k := range p.kinds {
			names = append(names, k.name)
		}
		gaps = append(gaps, p.gap)
	}
	return names, gaps
}

func TestTheSeedFixesTheSchedule(t *testing.T) {
	t.Parallel()
	names, gaps := schedule(schedulerOf(func(*Options) {}), 100)
	again, gapsAgain := schedule(schedulerOf(func(*Options) {}), 100)
	require.Equal(t, names, again)
	require.Equal(t, gaps, gapsAgain)
	other, _ := schedule(schedulerOf(func(o *Options) { o.Seed = 8 }), 100)
	require.NotEqual(t, names, other)
}

func TestFaultsFitTheRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change        func(o *Options)
		with, without []string
	}{
		"idempotent": {
			func(*Options) {},
			[]string{"refusals", "kafka-break-answers", "broker-restart-unanswered", "kafka-silent-host", "gateway-kill", "gateway-pause", "broker-kill", "kafka-half-open", "redis-flushall", "partitions-added", "redis-stall", "redis-backup", "redis-replica-attached", "redis-hang", "redis-restart", "redis-aof-cut", "redis-snapshot"},
			[]string{"kafka-silent-host-beyond-lease", "gateway-pause-beyond-lease", "broker-pause-beyond-lease", "kafka-stall-beyond-lease", "gateway-stop-at-beyond-lease", "leader-kill", "redis-failover", "redis-reshard"},
		},
		"outbox by wal": {
			func(o *Options) { o.Outbox = readWAL },
			[]string{"database-kill", "database-half-open", "slot-drop", "gateway-kill", "redis-flushall"},
			[]string{"refusals"},
		},
		"outbox by poll": {
			func(o *Options) { o.Outbox = readPoll },
			[]string{"database-kill"},
			[]string{"refusals", "slot-drop"},
		},
		"no outbox": {func(*Options) {}, nil, []string{"database-kill", "database-cut", "slot-drop"}},
		"transactional": {
			func(o *Options) { o.Guarantee = transactional },
			[]string{"gateway-pause-beyond-lease", "broker-pause-beyond-lease", "kafka-stall-beyond-lease", "gateway-stop-at-beyond-lease"},
			nil,
		},
		"three brokers and a replica": {
			func(o *Options) { o.Kafka, o.Redis = "three", redisReplica },
			[]string{"leader-kill", "two-brokers-kill", "redis-failover", "redis-failover-losing-writes"},
			nil,
		},
		"four brokers": {
			func(o *Options) { o.Kafka = "four" },
			[]string{"leader-kill", "broker-kill"},
			[]string{"two-brokers-kill"},
		},
		"together": {
			func(o *Options) { o.Together = true },
			[]string{"refusals", "kafka-break-answers"},
			[]string{"gateway-kill", "kafka-cut"},
		},
		"only": {
			func(o *Options) { o.Only = []string{"gateway-kill"} },
			[]string{"gateway-kill"},
			[]string{"gateway-pause", "broker-kill"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := schedulerOf(c.change)
			names, _ := schedule(s, 2000)
			require.Subset(t, names, c.with)
			for _, unwanted := range c.without {
				require.NotContains(t, names, unwanted)
			}
		})
	}
}

// TestTwoFaultsDoNotAddUp: two at a time break different parts, and only one of
// them makes anything stand still.
func TestTwoFaultsDoNotAddUp(t *testing.T) {
	t.Parallel()
	s, pairs := schedulerOf(func(o *Options) { o.Guarantee = transactional }), 0
	for n := range 2000 {
		p := s.plan(n)
		if len(p.kinds) < 2 {
			continue
		}
		pairs++
		require.NotEqual(t, p.kinds[0].part, p.kinds[1].part)
		require.False(t, p.kinds[0].late && p.kinds[1].late)
	}
	require.Greater(t, pairs, 100)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string // in the error; "": none
	}{
		"defaults":      {nil, ""},
		"all":           {[]string{"-guarantee", "transactional", "-kafka", "three", "-redis", "cluster", "-gateways", "3", "-only", "gateway-kill,redis-kill"}, ""},
		"guarantee":     {[]string{"-guarantee", "maybe"}, `guarantee "maybe" is neither`},
		"kafka":         {[]string{"-kafka", "two"}, `kafka "two" is none of`},
		"redis":         {[]string{"-redis", "none"}, `redis "none" is none of`},
		"one gateway":   {[]string{"-gateways", "1"}, "1 gateways: 2 to 4"},
		"no end":        {[]string{"-duration", "0"}, "no end"},
		"shortest":      {[]string{"-lease", "5s"}, ""},
		"short lease":   {[]string{"-lease", "4s"}, "lease 4s: must be at least 5s"},
		"long delivery": {[]string{"-delivery", "8s"}, "lease 9s: must be at least 11s"},
		"four":          {[]string{"-kafka", "four", "-client", "franz"}, ""},
		"client":        {[]string{"-client", "sarama"}, `client "sarama" is none of`},
		"no duration":   {[]string{"-together", "-duration", "0", "-faults", "3"}, "faults together last for the duration"},
		"unknown point": {[]string{"-points", "ackd"}, `no failpoint "ackd"`},
		"unknown fault": {[]string{"-only", "gateway-hug"}, `no fault "gateway-hug"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Defaults()
			fs := flag.NewFlagSet("torture", flag.ContinueOnError)
			fs.SetOutput(io.Discard)
			o.Flags(fs)
			require.NoError(t, fs.Parse(c.args))
			err := o.validate()
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
		})
	}
}

func TestShortFaultsLeaveTheLeaseTime(t *testing.T) {
	t.Parallel()
	o := Defaults()
	require.Greater(t, o.brief(), o.Delivery, "a record that is given up as unknown must still be able to arrive")
	require.LessOrEqual(t, o.beforeStall()+o.brief(), o.Lease)
	require.False(t, o.tight())
}

// TestTheShortestLease: nothing stands still for long, or several times, or while Redis
// is slow.
func TestTheShortestLease(t *testing.T) {
	t.Parallel()
	o := Defaults()
	o.Lease = o.Delivery + leaseOver
	require.NoError(t, o.validate())
	require.True(t, o.tight())
	require.LessOrEqual(t, o.Delivery+notice+margin+o.brief()+margin, o.Lease, "a claim may take half a second")
	s, late := schedulerOf(func(o *Options) { o.Lease = o.Delivery + leaseOver }), 0
	for n := range 2000 {
		p := s.plan(n)
		for i, k := range p.kinds {
			require.False(t, k.repeats, k.name)
			if k.late {
				late++
			}
			for _, other := range p.kinds[i+1:] {
				require.False(t, k.late && other.part == partStore || other.late && k.part == partStore, "%s and %s", k.name, other.name)
			}
		}
	}
	require.Positive(t, late)
}
