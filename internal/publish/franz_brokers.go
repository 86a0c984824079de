package publish

import (
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/event"
)

// longestThrottle is the longest that records may wait for a broker's quota, at most a
// third of the delivery timeout. Beyond it events are refused until the time is over:
// they would not be acknowledged in time.
const longestThrottle = 3 * time.Second

// franzBrokers is what kgo's hooks tell about each broker.
type franzBrokers struct {
	patience time.Duration // with a quota
	onError  func(error)

	// handing is held for reading while records that are to stay in order are handed over,
	// one after the other. No answer to a produce request is passed on meanwhile.
	handing sync.RWMutex

	mu sync.RWMutex
	// throttled is until when a broker wants to be left alone because of a quota.
	throttled map[int32]time.Time
	// broken is when a connection or a produce request last ended without an answer.
	broken map[int32]time.Time
}

func newFranzBrokers(deliveryTimeout time.Duration, onError func(error)) *franzBrokers {
	return &franzBrokers{
		patience: min(longestThrottle, deliveryTimeout/3), onError: onError,
		throttled: map[int32]time.Time{}, broken: map[int32]time.Time{},
	}
}

// OnBrokerThrottle implements kgo.HookBrokerThrottle.
func (b *franzBrokers) OnBrokerThrottle(broker kgo.BrokerMetadata, interval time.Duration, after bool) {
	if !after {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.throttled[broker.NodeID] = time.Now().Add(interval)
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (b *franzBrokers) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err != nil {
		b.onError(err)
	}
}

// OnBrokerDisconnect implements kgo.HookBrokerDisconnect.
func (b *franzBrokers) OnBrokerDisconnect(broker kgo.BrokerMetadata, _ net.Conn) { b.broke(broker) }

// OnBrokerWrite implements kgo.HookBrokerWrite.
func (b *franzBrokers) OnBrokerWrite(broker kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if key == produceKey && err != nil {
		b.broke(broker)
	}
}

// OnBrokerRead implements kgo.HookBrokerRead. It is called before kgo can send again.
func (b *franzBrokers) OnBrokerRead(broker kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if key != produceKey {
		return
	}
	if err != nil {
		b.broke(broker)
	}
	b.handing.Lock()
	b.handing.Unlock() //nolint:staticcheck // only waited for
}

// OnProduceRecordPartitioned implements kgo.HookProduceRecordPartitioned. It is called
// before TryProduce returns, if kgo knows the partition.
func (b *franzBrokers) OnProduceRecordPartitioned(record *kgo.Record, _ int32) {
	if r, ok := record.Context.(*franzRecord); ok {
		r.taken.Store(true)
	}
}

func (b *franzBrokers) broke(broker kgo.BrokerMetadata) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken[broker.NodeID] = time.Now()
}

// answeredSince reports whether the broker has answered every produce request since then.
func (b *franzBrokers) answeredSince(broker int32, since time.Time) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.broken[broker].Before(since)
}

// overQuota reports whether a broker wants to be left alone for too long.
func (b *franzBrokers) overQuota(broker int32) bool {
	b.mu.RLock()
	until, ok := b.throttled[broker]
	b.mu.RUnlock()
	return ok && time.Until(until) > b.patience
}

func quotaExceeded() *event.Error {
	return event.Refuse(event.Overloaded, "The Kafka cluster's produce quota is used up for the moment. Nothing was written; send it again later.")
}
