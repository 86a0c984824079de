//go:build integration

package publish

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/preflight"
)

// interceptor is a way to a broker on which requests can be lost. The broker must
// advertise its address: clients leave the one that they were told first.
type interceptor struct {
	addr string
	lose atomic.Pointer[func(key int16, request []byte) bool]
}

func intercept(t *testing.T, broker string) *interceptor {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	i := &interceptor{addr: l.Addr().String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", broker)
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
			go func() { i.requests(client, server); _ = server.Close() }()
		}
	}()
	return i
}

// requests passes on one at a time: a length, the number of what is asked, and the rest.
func (i *interceptor) requests(client io.Reader, server io.Writer) {
	for {
		var size [4]byte
		if _, err := io.ReadFull(client, size[:]); err != nil {
			return
		}
		request := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(client, request); err != nil {
			return
		}
		if lose := i.lose.Load(); lose != nil && (*lose)(int16(binary.BigEndian.Uint16(request)), request) {
			continue
		}
		if _, err := server.Write(append(size[:], request...)); err != nil {
			return
		}
	}
}

// losing inspects through the interceptor while it loses what lose says.
func (g guarded) losing(t *testing.T, needs preflight.KafkaNeeds, lose func(key int16, request []byte) bool) []preflight.Finding {
	t.Helper()
	g.through.lose.Store(&lose)
	defer g.through.lose.Store(nil)
	return inspected(t, Config{
		Brokers: []string{g.through.addr}, Transactional: true, TransactionalIDPrefix: "gw-unanswered",
		CreateTopics: TopicCreation{Enabled: true, Partitions: 1, Replication: 1},
	}, needs)
}

// findUnansweredQuestions: whatever Kafka did not say is neither a yes nor a no.
func (g guarded) findUnansweredQuestions(t *testing.T, topic, missing string) {
	t.Helper()
	const registry = "gw-unanswered-incarnations"
	needs := preflight.KafkaNeeds{Topics: needing(topic, missing), KeyWindow: day}
	describe, create := kmsg.NewPtrMetadataRequest().Key(), kmsg.NewPtrCreateTopicsRequest().Key()

	found := g.losing(t, needs, func(int16, []byte) bool { return false })
	requireFinding(t, found, preflight.OK, "kafka.topic.exists", topic, "2 partitions")
	requireFinding(t, found, preflight.Warning, "kafka.topic.exists", missing, "will create it")
	requireFinding(t, found, preflight.OK, "kafka.registry", registry, "will create it")

	found = g.losing(t, needs, func(key int16, request []byte) bool {
		return key == describe && (bytes.Contains(request, []byte(topic)) || bytes.Contains(request, []byte(registry)))
	})
	requireFinding(t, found, preflight.Warning, "kafka.topic.exists", topic, "Kafka could not tell whether the topic is there: no answer")
	requireFinding(t, found, preflight.Warning, "kafka.registry", registry, "Kafka could not tell whether the topic is there: no answer")

	const unsaid = "did not say whether it would let the gateway create it: no answer within"
	found = g.losing(t, needs, func(key int16, request []byte) bool { return key == create && bytes.Contains(request, []byte(missing)) })
	requireFinding(t, found, preflight.OK, "kafka.topic.exists", topic, "2 partitions")
	requireFinding(t, found, preflight.Warning, "kafka.topic.exists", missing, unsaid)
	found = g.losing(t, needs, func(key int16, request []byte) bool {
		return key == create && bytes.Contains(request, []byte(registry))
	})
	requireFinding(t, found, preflight.Warning, "kafka.topic.exists", missing, "will create it")
	requireFinding(t, found, preflight.Warning, "kafka.registry", registry, unsaid)

	found = g.losing(t, needs, func(key int16, request []byte) bool {
		if key == create && bytes.Contains(request, []byte(missing)) {
			createOn(t, []string{g.plain}, missing, []int32{1}, nil)
		}
		return false
	})
	requireFinding(t, found, preflight.Warning, "kafka.topic.exists", missing, "somebody created it this moment")
}
