package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"eventgateway/internal/backoff"
)

// networkFaults break the connections between gateways and servers. Their part is
// that of the server: a broker that is dead cannot be cut off as well.
func networkFaults() []faultKind {
	kafka := func(name string, late, outlives bool, draw func(w *world, dice *rand.Rand) (setting, time.Duration)) faultKind {
		return faultKind{name: "kafka-" + name, part: partKafka, late: late, outlives: outlives, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			s, d := draw(w, dice)
			g := dice.IntN(len(w.gateways))
			proxies, target := w.kafka.proxies[g], "all brokers"
			if b := dice.IntN(2 * len(proxies)); b < len(proxies) {
				proxies, target = proxies[b:b+1], fmt.Sprintf("broker %d", b+1)
			}
			return disturb(proxies, s, d, fmt.Sprintf("gateway %d, %s", g, target)), nil
		}}
	}
	// Commands that reach Redis late do no harm under either guarantee: a lease begins
	// when its claim arrives.
	redis := func(name string, draw func(w *world, dice *rand.Rand) (setting, time.Duration)) faultKind {
		return faultKind{name: "redis-" + name, part: partStore, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			s, d := draw(w, dice)
			g := dice.IntN(len(w.gateways))
			proxies, target := w.store.proxies[g], fmt.Sprintf("gateway %d", g)
			if w.store.kind == redisCluster {
				n := dice.IntN(len(proxies))
				proxies, target = proxies[n:n+1], fmt.Sprintf("server %d", n)
			}
			return disturb(proxies, s, d, target), nil
		}}
	}
	return []faultKind{
		{name: "kafka-break-answers", part: partKafka, begin: breakAnswers},
		kafka("cut", false, false, drawCut),
		kafka("half-open", false, false, drawDrop),
		kafka("delay", true, false, drawSlow),
		kafka("stall", true, false, func(w *world, dice *rand.Rand) (setting, time.Duration) {
			return setting{mode: stall, where: drawWay(dice)}, w.short(dice)
		}),
		kafka("stall-beyond-lease", true, true, drawLongStall),
		redis("cut", drawCut),
		redis("half-open", drawDrop),
		redis("delay", drawSlow),
		redis("stall", drawLongStall),
	}
}

// breakAnswers breaks a connection about once a second, each time between another
// gateway and broker, just before answers arrive.
func breakAnswers(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
	run, stop := context.WithCancel(ctx)
	done, own := make(chan struct{}), rand.New(rand.NewPCG(dice.Uint64(), 0))
	go func() {
		defer close(done)
		for backoff.Sleep(run, between(own, 500*time.Millisecond, 1500*time.Millisecond)) {
			proxies := w.kafka.proxies[own.IntN(len(w.gateways))]
			proxies[own.IntN(len(proxies))].loseAnswers(ctx, between(own, 20*time.Millisecond, 60*time.Millisecond))
		}
	}()
	return &fault{target: "any gateway and broker", wait: lasting(between(dice, 3*time.Second, 12*time.Second)), heal: func(context.Context) error {
		stop()
		<-done
		return nil
	}}, nil
}

// disturb sets proxies and heals them.
func disturb(proxies []*proxy, s setting, d time.Duration, target string) *fault {
	for _, p := range proxies {
		p.set(s)
	}
	if s.where != 0 {
		target += ", " + s.where.String()
	}
	return &fault{target: target, wait: lasting(d), heal: func(context.Context) error {
		for _, p := range proxies {
			p.heal()
		}
		return nil
	}}
}

// drawWay favours answers: the hard case is work that was done and not confirmed.
func drawWay(dice *rand.Rand) direction {
	return []direction{answers, answers, requests, both}[dice.IntN(4)]
}

func drawCut(_ *world, dice *rand.Rand) (setting, time.Duration) {
	return setting{mode: cut}, between(dice, 100*time.Millisecond, 6*time.Second)
}

func drawDrop(_ *world, dice *rand.Rand) (setting, time.Duration) {
	return setting{mode: drop, where: drawWay(dice)}, between(dice, 200*time.Millisecond, 6*time.Second)
}

func drawSlow(w *world, dice *rand.Rand) (setting, time.Duration) {
	delay := between(dice, 20*time.Millisecond, w.opts.brief()/3)
	return setting{mode: slow, where: drawWay(dice), delay: delay}, between(dice, time.Second, 5*time.Second)
}

func drawLongStall(w *world, dice *rand.Rand) (setting, time.Duration) {
	return setting{mode: stall, where: drawWay(dice)}, w.long(dice)
}
