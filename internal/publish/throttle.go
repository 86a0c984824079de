package publish

import (
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/event"
)

// longestThrottle is how long records may wait for a broker's quota. Beyond it events
// are refused until the time is over: they would not be acknowledged in time.
const longestThrottle = 3 * time.Second

// throttle knows until when brokers want to be left alone because of a quota, and passes
// on which connections fail.
type throttle struct {
	onError func(error)
	mu      sync.RWMutex
	until   map[int32]time.Time
}

func newThrottle(onError func(error)) *throttle {
	return &throttle{onError: onError, until: map[int32]time.Time{}}
}

// OnBrokerThrottle implements kgo.HookBrokerThrottle.
func (t *throttle) OnBrokerThrottle(broker kgo.BrokerMetadata, interval time.Duration, after bool) {
	if !after {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until[broker.NodeID] = time.Now().Add(interval)
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (t *throttle) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err != nil {
		t.onError(err)
	}
}

// over reports whether a broker wants to be left alone for too long.
func (t *throttle) over(broker int32) bool {
	t.mu.RLock()
	until, ok := t.until[broker]
	t.mu.RUnlock()
	return ok && time.Until(until) > longestThrottle
}

func quotaExceeded() *event.Error {
	return event.Refuse(event.Overloaded, "The Kafka cluster's produce quota is used up for the moment. Nothing was written; send it again later.")
}
