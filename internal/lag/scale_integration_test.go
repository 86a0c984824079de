//go:build integration

package lag

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"eventgateway/internal/kafka"
	"eventgateway/test/services"
)

const (
	manyGroups     = 2000
	manyPartitions = 12
	manyTopics     = 20
	manyRecords    = 200
)

// TestTwoThousandGroups: one pass over 2,000 groups with a member each and 12 partitions,
// all of which are behind, each at an offset of its own. The broker is this test's: others
// have gateways that ask for all groups.
func TestTwoThousandGroups(t *testing.T) {
	broker, err := services.StartKafka(t.Context(), services.KafkaConfig{Dir: t.TempDir(), JVMArgs: []string{"-Xms256m", "-Xmx512m"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, broker.Kill()) })
	c := clusterAt(t, broker.Addr())
	begun := time.Now()
	topics := make([]string, manyTopics)
	var records []*kgo.Record
	for i := range topics {
		topics[i] = c.prefix + "t" + strconv.Itoa(i)
		for n := range manyPartitions * manyRecords {
			records = append(records, &kgo.Record{Topic: topics[i], Partition: int32(n % manyPartitions), Value: noise()})
		}
	}
	_, err = c.admin.CreateTopics(t.Context(), manyPartitions, 1, nil, topics...)
	require.NoError(t, err)
	require.NoError(t, c.client.ProduceSync(t.Context(), records...).FirstErr())
	var making errgroup.Group
	making.SetLimit(64)
	for i := range manyGroups {
		making.Go(func() error {
			return c.member(t.Context(), fmt.Sprintf("%sg%d", c.prefix, i), topics[i%manyTopics], int64(i/manyTopics))
		})
	}
	require.NoError(t, making.Wait())
	t.Logf("made %d groups in %s", manyGroups, time.Since(begun).Round(time.Millisecond))

	survey := kafka.Connection{Brokers: []string{c.broker}}.Survey(slog.New(slog.DiscardHandler))
	t.Cleanup(survey.Close)
	include, err := Pattern(c.prefix + ".*")
	require.NoError(t, err)
	m := New(Config{Include: []*regexp.Regexp{include}}, survey)
	for i := range 5 {
		used, peak := measure(t, func() {
			report, err := m.Pass(t.Context())
			require.NoError(t, err)
			require.Len(t, report.Groups, manyGroups)
			require.Zero(t, report.Unread)
			for g := range report.Groups {
				require.Len(t, report.Groups[g].Topics, 1)
				require.Equal(t, known(1), report.Groups[g].Members)
				require.True(t, report.Groups[g].Topics[0].Age.Known)
			}
			t.Logf("pass %d: %s", i+1, report.Took.Round(time.Millisecond))
		})
		t.Logf("pass %d: %s of CPU, %d MiB of heap at most", i+1, used.Round(time.Millisecond), peak>>20)
		require.Less(t, peak, uint64(100<<20))
		if !raceDetector {
			require.Less(t, used, time.Second)
		}
	}
}

// noise is a value that does not shrink.
func noise() []byte {
	b := make([]byte, 200)
	_, _ = rand.Read(b)
	return b
}

// measure returns the CPU time of this process while do runs, and the most heap.
func measure(t *testing.T, do func()) (cpu time.Duration, peak uint64) {
	t.Helper()
	runtime.GC()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		var s runtime.MemStats
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			runtime.ReadMemStats(&s)
			peak = max(peak, s.HeapInuse)
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	before := cpuTime(t)
	do()
	cpu = cpuTime(t) - before
	close(stop)
	<-stopped
	return cpu, peak
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// member joins a group without a client of its own, takes all partitions of a topic, and
// commits an offset in each.
func (c *cluster) member(ctx context.Context, group, topic string, offset int64) error {
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis, join.ProtocolType = group, 600_000, 600_000, "consumer"
	protocol := kmsg.NewJoinGroupRequestProtocol()
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Topics = []string{topic}
	protocol.Name, protocol.Metadata = "range", meta.AppendTo(nil)
	join.Protocols = append(join.Protocols, protocol)
	var err error
	for range 20 { // a request that the client repeated on a busy machine makes the group begin again
		var resp *kmsg.JoinGroupResponse
		if resp, err = join.RequestWith(ctx, c.client); err != nil {
			return fmt.Errorf("join %s: %w", group, err)
		}
		join.MemberID = resp.MemberID
		if err = kerr.ErrorForCode(resp.ErrorCode); err != nil {
			continue
		}
		if err = c.settle(ctx, join.Group, resp, topic, offset); err == nil {
			return nil
		}
	}
	return err
}

// settle takes all partitions and commits.
func (c *cluster) settle(ctx context.Context, group string, resp *kmsg.JoinGroupResponse, topic string, offset int64) error {
	assigned := kmsg.NewConsumerMemberAssignment()
	one := kmsg.NewConsumerMemberAssignmentTopic()
	one.Topic = topic
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.MemberID, commit.Generation = group, resp.MemberID, resp.Generation
	committed := kmsg.NewOffsetCommitRequestTopic()
	committed.Topic = topic
	for p := range int32(manyPartitions) {
		one.Partitions = append(one.Partitions, p)
		at := kmsg.NewOffsetCommitRequestTopicPartition()
		at.Partition, at.Offset = p, offset
		committed.Partitions = append(committed.Partitions, at)
	}
	assigned.Topics = append(assigned.Topics, one)
	commit.Topics = append(commit.Topics, committed)
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.MemberID, sync.Generation = group, resp.MemberID, resp.Generation
	sync.ProtocolType, sync.Protocol = resp.ProtocolType, resp.Protocol
	assignment := kmsg.NewSyncGroupRequestGroupAssignment()
	assignment.MemberID, assignment.MemberAssignment = resp.MemberID, assigned.AppendTo(nil)
	sync.GroupAssignment = append(sync.GroupAssignment, assignment)
	synced, err := sync.RequestWith(ctx, c.client)
	if err == nil {
		err = kerr.ErrorForCode(synced.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("sync %s: %w", group, err)
	}
	done, err := commit.RequestWith(ctx, c.client)
	if err != nil {
		return fmt.Errorf("commit %s: %w", group, err)
	}
	return kerr.ErrorForCode(done.Topics[0].Partitions[0].ErrorCode)
}
