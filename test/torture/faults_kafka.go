package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"eventgateway/internal/backoff"
)

func severalBrokers(o *Options) bool { return o.brokers() > 1 }

// mayLoseTwo tells whether two brokers may die at once. Without a majority of the
// controllers nobody drops a follower that is missing. The idempotent guarantee assumes
// that somebody does, soon: a record that only a leader has is not in sight of a
// recovery read otherwise. Two of three are back before that matters; four take longer.
func mayLoseTwo(o *Options) bool {
	return o.brokers() == 3 || o.brokers() > 3 && o.Guarantee == transactional
}

func kafkaFaults() []faultKind {
	return []faultKind{
		{name: "broker-kill", part: partKafka, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			return killBrokers(w, dice, dice.IntN(len(w.kafka.nodes)))
		}},
		{name: "leader-kill", part: partKafka, fits: severalBrokers, begin: func(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
			leader, err := w.kafka.leader(ctx, dice.Int32N(firstPartitions))
			if err != nil {
				return nil, err
			}
			return killBrokers(w, dice, leader)
		}},
		{name: "two-brokers-kill", part: partKafka, fits: mayLoseTwo, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			n := len(w.kafka.nodes)
			first := dice.IntN(n)
			return killBrokers(w, dice, first, (first+1+dice.IntN(n-1))%n)
		}},
		{name: "broker-pause", part: partKafka, late: true, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			return pauseBroker(w, dice, w.short(dice))
		}},
		{name: "broker-pause-beyond-lease", part: partKafka, late: true, outlives: true, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			return pauseBroker(w, dice, w.long(dice))
		}},
		{name: "broker-restart-unanswered", part: partKafka, begin: restartUnanswered},
		{name: "kafka-silent-host", part: partKafka, late: true, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			return silenceHost(w, dice, w.short(dice))
		}},
		{name: "kafka-silent-host-beyond-lease", part: partKafka, late: true, outlives: true, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			return silenceHost(w, dice, w.long(dice))
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

// toBroker are the proxies of all gateways to a broker.
func (k *kafka) toBroker(broker int) []*proxy {
	var all []*proxy
	for _, proxies := range k.proxies {
		all = append(all, proxies[broker])
	}
	return all
}

// restartUnanswered restarts a broker that has appended what it has not answered: the
// answers to all gateways are held for a moment before it is stopped, in order or at
// once, and then thrown away. A restarted broker knows only the last batch of each
// producer.
func restartUnanswered(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
	b, inOrder, held := dice.IntN(len(w.kafka.nodes)), dice.IntN(2) == 0, between(dice, 100*time.Millisecond, 400*time.Millisecond)
	down := between(dice, 0, time.Second)
	node, proxies, how, stop := w.kafka.nodes[b], w.kafka.toBroker(b), "killed", w.kafka.nodes[b].Kill
	if inOrder {
		how, stop = "stopped", node.Stop
	}
	for _, p := range proxies {
		p.set(setting{mode: stall, where: answers})
	}
	backoff.Sleep(ctx, held)
	for _, p := range proxies {
		p.set(setting{mode: drop, where: answers})
	}
	err := stop()
	for _, p := range proxies {
		p.heal()
	}
	return &fault{target: fmt.Sprintf("broker %d, %s", b+1, how), wait: lasting(down), heal: node.Restart}, err
}

// silenceHost makes a broker's host vanish for all gateways: nothing passes, new
// connections are accepted and never answered, and nothing is reset. Half of the time
// the broker itself stands still too, and the other brokers miss it; what it had
// received by then, it writes when it continues.
func silenceHost(w *world, dice *rand.Rand, d time.Duration) (*fault, error) {
	b, frozen := dice.IntN(len(w.kafka.nodes)), dice.IntN(2) == 0
	node, target := w.kafka.nodes[b], fmt.Sprintf("broker %d, cut off", b+1)
	if !frozen { // what is thrown away arrives never, so it cannot arrive late
		d = between(dice, time.Second, 8*time.Second)
	}
	f := disturb(w.kafka.toBroker(b), setting{mode: drop, where: both}, d, target)
	if !frozen {
		return f, nil
	}
	f.target += ", frozen"
	heal := f.heal
	f.heal = func(ctx context.Context) error { return errors.Join(node.Resume(), heal(ctx)) }
	return f, node.Pause()
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
