package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// asked is the list of topics of one metadata request, nil for all.
type asked []string

// watchMetadata records what metadata requests ask for, and of which broker.
func watchMetadata(cluster *kfake.Cluster) (requests func() []asked, lastBroker func() int32) {
	var (
		mu   sync.Mutex
		seen []asked
		last int32 = -1
	)
	cluster.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		var names asked
		if topics := req.(*kmsg.MetadataRequest).Topics; topics != nil {
			names = asked{}
			for _, t := range topics {
				names = append(names, *t.Topic)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		seen, last = append(seen, names), cluster.CurrentNode()
		return nil, nil, false
	})
	return func() []asked { mu.Lock(); defer mu.Unlock(); return slices.Clone(seen) },
		func() int32 { mu.Lock(); defer mu.Unlock(); return last }
}

func newClient(t *testing.T, brokers []string, onError func(librdkafka.Error)) *Client {
	t.Helper()
	c, err := NewClient(Connection{Brokers: brokers}, slog.New(slog.DiscardHandler), onError)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func ignore(librdkafka.Error) {}

func TestDescribe(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(4, "a", "b", "foreign"), kfake.AllowAutoTopicCreation())
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	requests, _ := watchMetadata(cluster)
	admin := newClient(t, cluster.ListenAddrs(), ignore).Admin()

	for range 2 {
		states, err := admin.Describe(t.Context(), []string{"b", "missing", "a"})
		require.NoError(t, err)
		require.Len(t, states, 3)
		for _, i := range []int{0, 2} {
			require.NoError(t, states[i].Err)
			require.Len(t, states[i].Partitions, 4)
			for number, p := range states[i].Partitions {
				require.Equal(t, cluster.LeaderFor(states[i].Name, int32(number)), p.Leader)
				require.Contains(t, p.Replicas, p.Leader)
				require.Contains(t, p.InSync, p.Leader)
			}
		}
		require.Equal(t, []string{"b", "missing", "a"}, []string{states[0].Name, states[1].Name, states[2].Name})
		code, _ := ErrorCode(states[1].Err)
		require.Equal(t, librdkafka.ErrUnknownTopicOrPart, code, "an error of its own, and it is not created")
	}
	before := len(requests())
	_, err = admin.Describe(t.Context(), []string{"a", "b", "missing"})
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(requests()[before:], func(names asked) bool { return len(names) == 3 }), "all at once")
	for _, names := range requests() {
		require.NotNil(t, names, "of the whole cluster")
		require.NotContains(t, names, "foreign")
	}
	require.Nil(t, cluster.TopicInfo("missing"))
}

func TestDescribeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	admin := newClient(t, []string{"127.0.0.1:1"}, ignore).Admin()
	var names []string
	for i := range 50 {
		names = append(names, fmt.Sprint("t", i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := admin.Describe(ctx, names)
	require.Error(t, err)
	require.Less(t, time.Since(began), describeTimeout)
}

func TestTopicStateOfAnIncompleteAnswer(t *testing.T) {
	t.Parallel()
	md := &librdkafka.Metadata{Topics: map[string]librdkafka.TopicMetadata{"t": {Partitions: []librdkafka.PartitionMetadata{
		{ID: 1, Leader: 7, Replicas: []int32{7}}, {ID: 9, Leader: 7},
	}}}}
	require.ErrorIs(t, topicState("u", md).Err, errNotTold)
	require.Equal(t, []PartitionState{{Leader: -1}, {Leader: 7, Replicas: []int32{7}}}, topicState("t", md).Partitions)
}

func TestClientTellsThatNoBrokerCanBeReached(t *testing.T) {
	t.Parallel()
	told := make(chan librdkafka.ErrorCode, 100)
	newClient(t, []string{"127.0.0.1:1"}, func(e librdkafka.Error) { told <- e.Code() })
	for {
		select {
		case code := <-told:
			if code == librdkafka.ErrAllBrokersDown {
				return
			}
		case <-time.After(time.Minute):
			require.Fail(t, "not told")
		}
	}
}

func TestClientSettings(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]any{"": 3000, "9000": 9000, "200": 1000, "soon": "soon"} {
		properties := map[string]string{"reconnect.backoff.ms": "7", "queue.buffering.max.messages": "9"}
		if given != "" {
			properties["socket.timeout.ms"] = given
		}
		settings := askSettings(Connection{Properties: properties})
		require.Equal(t, want, settings["socket.timeout.ms"], given)
		require.Equal(t, "7", settings["reconnect.backoff.ms"])
		require.Equal(t, 1, settings["queue.buffering.max.messages"])
	}
	_, err := NewClient(Connection{Properties: map[string]string{"socket.timeout.ms": "soon"}}, slog.New(slog.DiscardHandler), ignore)
	require.ErrorContains(t, err, "socket.timeout.ms")
}

func TestClosedClientAnswersNothing(t *testing.T) {
	t.Parallel()
	client := newClient(t, []string{"127.0.0.1:1"}, ignore)
	client.Close()
	client.Close()
	_, err := client.Admin().Brokers(time.Minute)
	require.ErrorIs(t, err, errClosed)
}

func TestCloseDoesNotWaitForLong(t *testing.T) {
	t.Parallel()
	client := newClient(t, []string{"127.0.0.1:1"}, ignore)
	client.patience = time.Millisecond
	client.admin.mu.RLock() // a question that does not end
	client.Close()
	client.admin.mu.RUnlock()
	<-client.closed
}

// silentConn does not read while its broker is silent, like a stopped process: the
// kernel still accepts connections and bytes.
type silentConn struct {
	net.Conn
	silent func() bool
}

func (c silentConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	for err == nil && c.silent() {
		time.Sleep(10 * time.Millisecond) // a model of a broker, not a wait of the test
	}
	return n, err
}

type silentListener struct {
	net.Listener
	silent func() bool
}

func (l silentListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return silentConn{c, l.silent}, err
}

func TestSilentBrokerDoesNotMakeAQuestionFail(t *testing.T) {
	t.Parallel()
	var (
		mu     sync.Mutex
		silent string
	)
	set := func(addr string) { mu.Lock(); silent = addr; mu.Unlock() }
	cluster, err := kfake.NewCluster(kfake.NumBrokers(2), kfake.SeedTopics(1, "t"), kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), network, address)
		return silentListener{l, func() bool { mu.Lock(); defer mu.Unlock(); return l.Addr().String() == silent }}, err
	}))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	t.Cleanup(func() { set("") })
	_, lastBroker := watchMetadata(cluster)
	admin := newClient(t, cluster.ListenAddrs(), ignore).Admin()
	_, err = admin.Describe(t.Context(), []string{"t"})
	require.NoError(t, err)

	answered := lastBroker()
	set(cluster.ListenAddrs()[answered])
	for range 3 {
		states, err := admin.Describe(t.Context(), []string{"t"})
		require.NoError(t, err)
		require.NoError(t, states[0].Err)
		require.NotEqual(t, answered, lastBroker())
	}
}

func TestFirstTry(t *testing.T) {
	t.Parallel()
	for total, want := range map[time.Duration]time.Duration{
		0: 0, 200 * time.Millisecond: 100 * time.Millisecond, 2 * time.Second: time.Second, 5 * time.Second: 4 * time.Second, 30 * time.Second: 15 * time.Second,
	} {
		require.Equal(t, want, firstTry(total), total)
	}
}
