package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
)

const pushEntities = 1000

// pushWriter writes events for the subscription, past the gateways and the proxies: what is
// in the topic is what has to be delivered.
type pushWriter struct {
	client  *kgo.Client
	dice    *rand.Rand
	poison  int // one in so many can never be delivered
	next    map[string]int
	written atomic.Int64
	stop    context.CancelFunc
	done    chan struct{}
}

func newPushWriter(o *Options, brokers []string) (*pushWriter, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(pushTopic))
	if err != nil {
		return nil, fmt.Errorf("write events: %w", err)
	}
	return &pushWriter{client: client, dice: rand.New(rand.NewPCG(o.Seed, 22)), poison: o.Poison, next: map[string]int{}, done: make(chan struct{})}, nil
}

// produce writes an event in the background.
func (pw *pushWriter) produce(ctx context.Context, data pushData) {
	value, _ := json.Marshal(data) // never fails
	pw.client.Produce(ctx, &kgo.Record{Key: []byte(data.Entity), Value: value}, func(_ *kgo.Record, err error) {
		if err == nil {
			pw.written.Add(1)
		}
	})
}

// start writes at a steady rate until finish is called.
func (pw *pushWriter) start(rate int) {
	ctx, stop := context.WithCancel(context.Background())
	pw.stop = stop
	go func() {
		defer close(pw.done)
		const tick = 20 * time.Millisecond
		begun, n := time.Now(), 0
		for backoff.Sleep(ctx, tick) {
			for due := int(time.Since(begun).Seconds() * float64(rate)); n < due; n++ {
				pw.write()
			}
		}
	}()
}

// write writes the next event of some entity; a few entities have a tenth of all events.
func (pw *pushWriter) write() {
	entity := pw.dice.IntN(pushEntities)
	if pw.dice.IntN(10) == 0 {
		entity = pw.dice.IntN(5)
	}
	data := pushData{Entity: fmt.Sprintf("order-%d", entity)}
	data.Seq = pw.next[data.Entity]
	pw.next[data.Entity]++
	if pw.dice.IntN(pw.poison) == 0 {
		data.Poison = []int{500, 422}[pw.dice.IntN(2)]
	}
	pw.produce(context.Background(), data) // a run that ends does not take back what is on its way
}

// finish ends the writing; everything is written when it returns.
func (pw *pushWriter) finish(ctx context.Context) error {
	pw.stop()
	<-pw.done
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	if err := pw.client.Flush(ctx); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	return nil
}
