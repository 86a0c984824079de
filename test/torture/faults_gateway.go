package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"eventgateway/internal/backoff"
)

func gatewayFaults() []faultKind {
	return []faultKind{
		{name: "gateway-kill", part: partGateway, relays: true, begin: killGateway},
		{name: "gateway-pause", part: partGateway, late: true, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			return pauseGateway(w, dice, w.short(dice))
		}},
		{name: "gateway-pause-beyond-lease", part: partGateway, late: true, outlives: true, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			return pauseGateway(w, dice, w.long(dice))
		}},
		{name: "gateway-pause-bytes-held-beyond-lease", part: partGateway, late: true, outlives: true, begin: pauseWithBytesHeld},
		{name: "gateway-rolling-restart", part: partGateway, rare: true, begin: rollGateways},
		{name: "gateway-crash", part: partGateway, relays: true, begin: killGatewayAt},
		{name: "gateway-stop-at", part: partGateway, late: true, repeats: true, begin: func(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
			return stopGatewayAt(ctx, w, dice, w.short(dice))
		}},
		{name: "gateway-stop-at-beyond-lease", part: partGateway, late: true, outlives: true, begin: func(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
			return stopGatewayAt(ctx, w, dice, w.long(dice))
		}},
	}
}

func (w *world) anyGateway(dice *rand.Rand) *gateway { return w.gateways[dice.IntN(len(w.gateways))] }

func killGateway(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
	g, down := w.anyGateway(dice), between(dice, 0, 2*time.Second)
	if dice.IntN(3) == 0 {
		down = w.long(dice) // its claims are taken over before it is back
	}
	g.kill()
	return &fault{target: fmt.Sprintf("gateway %d", g.index), wait: lasting(down), heal: func(context.Context) error {
		g.allowRestart()
		return nil
	}}, nil
}

func pauseGateway(w *world, dice *rand.Rand, d time.Duration) (*fault, error) {
	g := w.anyGateway(dice)
	g.pause()
	return &fault{target: fmt.Sprintf("gateway %d", g.index), wait: lasting(d), heal: func(context.Context) error {
		g.resume()
		return nil
	}}, nil
}

// pauseWithBytesHeld holds produce requests back while their gateway stands still.
// They arrive, in transactions that no broker knew of, just before the gateway
// continues and commits them: only a fence stops that.
func pauseWithBytesHeld(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
	g, d := w.anyGateway(dice), w.long(dice)
	onTheWay, head := between(dice, 5*time.Millisecond, 150*time.Millisecond), between(dice, 20*time.Millisecond, 300*time.Millisecond)
	proxies := w.kafka.proxies[g.index]
	for _, p := range proxies {
		p.set(setting{mode: stall, where: requests})
	}
	backoff.Sleep(ctx, onTheWay)
	g.pause()
	return &fault{target: fmt.Sprintf("gateway %d", g.index), wait: lasting(d), heal: func(ctx context.Context) error {
		for _, p := range proxies {
			p.heal()
		}
		backoff.Sleep(ctx, head)
		g.resume()
		return nil
	}}, nil
}

// rollGateways restarts one gateway after another, as the rollout of a new version
// does.
func rollGateways(_ context.Context, w *world, _ *rand.Rand) (*fault, error) {
	return &fault{target: "all gateways", heal: func(ctx context.Context) error {
		for _, g := range w.gateways {
			if err := g.restart(ctx, true, ""); err != nil {
				return err
			}
			if err := g.waitReady(ctx); err != nil {
				return err
			}
		}
		return nil
	}}, nil
}
