//go:build integration

package publish

import (
	"context"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"eventgateway/internal/kafka"
	"eventgateway/internal/preflight"
	"eventgateway/test/services"
)

// Gateways with either client see each other on a real Kafka, go on after it was killed or
// did not answer for a while, and confirm nothing meanwhile.
func TestMembershipOnKafka(t *testing.T) {
	limitTime(t)
	k, err := services.StartKafka(t.Context(), services.KafkaConfig{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Kill()) })
	brokers := []string{k.Addr()}
	short := func(c *Config) { c.DeliveryTimeout = 5 * time.Second }
	first := gateway(t, brokers, short, func(c *Config) { c.Client = kafka.ClientFranz })
	second := gateway(t, brokers, short, func(c *Config) { c.Client = kafka.ClientLibrdkafka })
	all := []running{first, second}
	both := []string{first.membership.Self(), second.membership.Self()}
	raise := func() uint64 {
		var wg sync.WaitGroup
		numbers := make([]uint64, len(all))
		for i, p := range all {
			wg.Go(func() {
				g, registered, err := p.membership.Raise(t.Context())
				if err != nil {
					t.Error(err)
				}
				if !slices.Contains(idsOf(registered), both[0]) || !slices.Contains(idsOf(registered), both[1]) {
					t.Errorf("registered: %v", registered)
				}
				numbers[i] = g.Number
			})
		}
		requireEnds(t, "generations to be raised", wg.Wait)
		require.Equal(t, max(numbers[0], numbers[1]), min(numbers[0], numbers[1])+1, "each its own")
		for _, p := range all {
			p.awaitConfirmed(t, time.Now())
			g, _ := p.membership.Confirmed()
			require.Equal(t, max(numbers[0], numbers[1]), g.Number)
		}
		return max(numbers[0], numbers[1])
	}
	require.EqualValues(t, 2, raise())

	stopped := time.Now()
	require.NoError(t, k.Kill())
	require.NoError(t, k.Restart(t.Context()))
	for _, p := range all {
		p.awaitConfirmed(t, time.Now())
	}
	t.Logf("confirmed again %v after the kill", time.Since(stopped))
	require.EqualValues(t, 4, raise())

	require.NoError(t, k.Pause())
	stopped = time.Now()
	require.Eventually(t, func() bool { return first.membership.Err() != nil }, patience, tick)
	for _, p := range all {
		_, at := p.membership.Confirmed()
		require.Less(t, at, stopped.Add(time.Second))
	}
	require.NoError(t, k.Resume())
	for _, p := range all {
		p.awaitConfirmed(t, time.Now())
	}
	require.EqualValues(t, 6, raise())

	found := inspected(t, first.cfg, preflight.KafkaNeeds{KeyWindow: time.Hour})
	requireFinding(t, found, preflight.OK, "kafka.gateways", "gw-gateways", "in 1 partition")

	// Somebody deletes the topic: the running processes go on counting.
	realAdmin(t, brokers, func(ctx context.Context, adm *kadm.Client) error {
		_, err := adm.DeleteTopics(ctx, "gw-gateways")
		return err
	})
	deleted := time.Now()
	for _, p := range all {
		p.awaitConfirmed(t, time.Now().Add(2*time.Second))
	}
	t.Logf("confirmed again %v after the topic was deleted", time.Since(deleted))
	require.EqualValues(t, 8, raise())
	require.NoError(t, second.membership.Leave(t.Context()))
	registered, err := first.membership.Registered(t.Context())
	require.NoError(t, err)
	require.Equal(t, both[:1], idsOf(registered))
}

// BenchmarkIdleRegistration measures what it costs a process to be registered, with a
// lease of 30 s: one operation is a second.
func BenchmarkIdleRegistration(b *testing.B) {
	k, err := services.StartKafka(b.Context(), services.KafkaConfig{Dir: b.TempDir()})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, k.Kill()) })
	for _, registered := range []bool{false, true} {
		name := "none"
		if registered {
			name = "registered"
		}
		for _, client := range []kafka.ClientName{kafka.ClientFranz, kafka.ClientLibrdkafka} {
			b.Run(name+"/"+string(client), func(b *testing.B) {
				p := start(b, []string{k.Addr()}, nil, func(c *Config) {
					c.Registered, c.Client, c.Lease, c.Window, c.TransactionalIDPrefix = registered, client, 30*time.Second, time.Hour, "test-idle"
				})
				ctx, cancel := context.WithTimeout(b.Context(), patience)
				defer cancel()
				if registered {
					_, err := p.membership.Registered(ctx)
					require.NoError(b, err)
				}
				began := cpuTime(b)
				b.ResetTimer()
				time.Sleep(time.Duration(b.N) * time.Second)
				b.ReportMetric(float64((cpuTime(b)-began).Microseconds())/1000/float64(b.N), "cpu-ms/s")
			})
		}
	}
}

func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
