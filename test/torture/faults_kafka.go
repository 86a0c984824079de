package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"
)

func threeBrokers(o *Options) bool { return o.brokers() == 3 }

func kafkaFaults() []faultKind {
	return []faultKind{
		{name: "broker-kill", part: partKafka, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			return killBrokers(w, dice, dice.IntN(len(w.kafka.nodes)))
		}},
		{name: "leader-kill", part: partKafka, fits: threeBrokers, begin: func(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
			leader, err := w.kafka.leader(ctx, dice.Int32N(firstPartitions))
			if err != nil {
				return nil, err
			}
			return killBrokers(w, dice, leader)
		}},
		{name: "two-brokers-kill", part: partKafka, fits: threeBrokers, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			first := dice.IntN(3)
			return killBrokers(w, dice, first, (first+1+dice.IntN(2))%3)
		}},
		{name: "broker-pause", part: partKafka, late: true, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			return pauseBroker(w, dice, w.short(dice))
		}},
		{name: "broker-pause-beyond-lease", part: partKafka, late: true, outlives: true, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			return pauseBroker(w, dice, w.long(dice))
		}},
		{name: "partitions-added", part: partKafka, rare: true, begin: func(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
			const most = 18 // more would test nothing new
			n := min(1+dice.IntN(3), most-w.kafka.added)
			if n <= 0 {
				return &fault{target: "none: enough were added"}, nil
			}
			return &fault{target: fmt.Sprintf("%d more", n), heal: func(ctx context.Context) error { return w.kafka.addPartitions(ctx, n) }}, nil
		}},
	}
}

// killBrokers kills brokers, and starts them again side by side: alone, neither of
// two would become ready.
func killBrokers(w *world, dice *rand.Rand, brokers ...int) (*fault, error) {
	down := between(dice, 0, 5*time.Second)
	f := &fault{wait: lasting(down)}
	for _, b := range brokers {
		f.target += fmt.Sprintf("broker %d ", b+1)
		if err := w.kafka.nodes[b].Kill(); err != nil {
			return nil, err
		}
	}
	f.heal = func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		for _, b := range brokers {
			g.Go(func() error { return w.kafka.nodes[b].Restart(ctx) })
		}
		return g.Wait()
	}
	return f, nil
}

func pauseBroker(w *world, dice *rand.Rand, d time.Duration) (*fault, error) {
	b := dice.IntN(len(w.kafka.nodes))
	if err := w.kafka.nodes[b].Pause(); err != nil {
		return nil, err
	}
	return &fault{
		target: fmt.Sprintf("broker %d", b+1), wait: lasting(d),
		heal: func(context.Context) error { return w.kafka.nodes[b].Resume() },
	}, nil
}
