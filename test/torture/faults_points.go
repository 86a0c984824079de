package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/internal/failpoint"
)

// armed is a failpoint that some gateways are about to pass.
type armed struct {
	point    string
	text     string // for GATEWAY_TEST_FAILPOINTS
	gateways []*gateway
}

// drawPoint draws a failpoint and the probability that passing it has an effect: low
// for points that every event passes, high for the others.
func (w *world) drawPoint(dice *rand.Rand, action string) armed {
	all := w.opts.Points
	if len(all) == 0 {
		all = w.opts.points()
	}
	often := []string{failpoint.Claimed, failpoint.Publishing, failpoint.Handed, failpoint.Acked, failpoint.Committing, failpoint.Committed, failpoint.Settling, failpoint.Settled}
	a := armed{point: all[dice.IntN(len(all))], gateways: []*gateway{w.anyGateway(dice)}}
	probability := 0.5
	if slices.Contains(often, a.point) {
		probability = 1 / float64(1+dice.IntN(w.opts.Rate)) // within a second or two
	}
	a.text = fmt.Sprintf("%s:%.6f:%s,seed:%d", a.point, probability, action, dice.Uint64())
	if a.point == failpoint.Rebuilding && action == "kill" { // any of them may be the one that rebuilds
		a.gateways = w.gateways
	}
	return a
}

// arm restarts the gateways with the failpoint and then causes the situation in which
// they pass it. Steps that another fault makes impossible are left out.
func (w *world) arm(ctx context.Context, a armed, inOrder bool) error {
	for _, g := range a.gateways {
		g.clearHits()
		if err := g.restart(ctx, inOrder, a.text); err != nil {
			return err
		}
	}
	g := a.gateways[0]
	neighbour := w.gateways[(g.index+1)%len(w.gateways)]
	if w.opts.Outbox != "" && len(a.gateways) == 1 { // only the active relay passes points
		backoff.Sleep(ctx, 500*time.Millisecond) // until it stands by
		if err := neighbour.restart(ctx, true, ""); err != nil {
			return err
		}
	}
	switch a.point {
	case failpoint.Recovered, failpoint.TakenOver, failpoint.Fenced:
		// A neighbour dies with many claims whose records were never sent.
		w.dropFor(ctx, a, w.kafka.proxies[neighbour.index], 500*time.Millisecond, neighbour.kill)
		neighbour.allowRestart()
	case failpoint.Releasing:
		// A claim whose answer is lost is released.
		a.pause(ctx, 2*time.Second) // until it serves again
		w.dropFor(ctx, a, w.store.proxies[g.index], 2*time.Second, func() {})
	case failpoint.Rebuilding:
		_ = w.store.flush(ctx, 0) // a Redis that is away has lost its marker too
	}
	return nil
}

// pause waits for d, or until a point is hit: a gateway that stands still there must
// not do so for longer than was drawn.
func (a armed) pause(ctx context.Context, d time.Duration) {
	const step = 10 * time.Millisecond
	for range d / step {
		for _, g := range a.gateways {
			if len(g.hits) > 0 {
				return
			}
		}
		if !backoff.Sleep(ctx, step) {
			return
		}
	}
}

// dropFor drops everything that comes through the proxies for d, and calls then before
// it stops dropping.
func (w *world) dropFor(ctx context.Context, a armed, proxies []*proxy, d time.Duration, then func()) {
	for _, p := range proxies {
		p.set(setting{mode: drop, where: both})
	}
	a.pause(ctx, d)
	then()
	for _, p := range proxies {
		p.heal()
	}
}

// awaitHit waits until one of the gateways is hit at its point. A take-over waits for
// the end of a lease, and so does a rebuild.
func (w *world) awaitHit(ctx context.Context, a armed) (*gateway, bool) {
	ctx, cancel := context.WithTimeout(ctx, w.opts.Lease+6*time.Second)
	defer cancel()
	const look = 10 * time.Millisecond
	for {
		for _, g := range a.gateways {
			select {
			case <-g.hits:
				return g, true
			default:
			}
		}
		if !backoff.Sleep(ctx, look) {
			return a.gateways[0], false
		}
	}
}

// disarm restarts the gateways that are still armed.
func (w *world) disarm(ctx context.Context, a armed) error {
	for _, g := range a.gateways {
		if !g.isArmed() {
			continue // it died, and has been started again
		}
		if err := g.restart(ctx, true, ""); err != nil {
			return err
		}
	}
	return nil
}

// killGatewayAt starts a gateway that will die at a failpoint.
func killGatewayAt(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
	a, inOrder := w.drawPoint(dice, "kill"), dice.IntN(2) == 0
	f := &fault{target: fmt.Sprintf("gateway %d at %s", a.gateways[0].index, a.point), loses: a.point == failpoint.Rebuilding}
	f.wait = func(ctx context.Context) {
		if _, hit := w.awaitHit(ctx, a); !hit {
			f.target += " (not hit)"
		}
	}
	f.heal = func(ctx context.Context) error { return w.disarm(ctx, a) }
	return f, w.arm(ctx, a, inOrder)
}

// stopGatewayAt starts a gateway that will stand still at a failpoint for d.
func stopGatewayAt(ctx context.Context, w *world, dice *rand.Rand, d time.Duration) (*fault, error) {
	a, inOrder := w.drawPoint(dice, "stop"), dice.IntN(2) == 0
	f := &fault{loses: a.point == failpoint.Rebuilding}
	f.target = fmt.Sprintf("gateway %d at %s for %v", a.gateways[0].index, a.point, d.Round(10*time.Millisecond))
	f.wait = func(ctx context.Context) {
		g, hit := w.awaitHit(ctx, a)
		if !hit {
			f.target += " (not hit)"
			return
		}
		backoff.Sleep(ctx, d)
		g.resume()
		backoff.Sleep(ctx, 300*time.Millisecond) // time to do what it was about to do
	}
	// The gateways stay armed until then, and may stand still again.
	f.heal = func(ctx context.Context) error { return w.disarm(ctx, a) }
	return f, w.arm(ctx, a, inOrder)
}
