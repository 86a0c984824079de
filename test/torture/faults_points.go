package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"eventgateway/internal/failpoint"
)

// armed is a failpoint that is about to be passed.
type armed struct {
	point    string
	text     string // for GATEWAY_TEST_FAILPOINTS
	gateways []*gateway
}

// drawPoint draws a failpoint and how likely each passing of it is to be the
// last: of points that every event passes few are hit, of the others many.
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
	if a.point == failpoint.Rebuilding && action == "kill" { // whoever does it
		a.gateways = w.gateways
	}
	return a
}

// arm restarts the gateways with the failpoint and then brings about what
// leads there. What cannot be had because another fault is under way is done
// without.
func (w *world) arm(ctx context.Context, a armed, inOrder bool) error {
	for _, g := range a.gateways {
		g.clearHits()
		if err := g.restart(ctx, inOrder, a.text); err != nil {
			return err
		}
	}
	g := a.gateways[0]
	neighbour := w.gateways[(g.index+1)%len(w.gateways)]
	switch a.point {
	case failpoint.Recovered, failpoint.TakenOver, failpoint.Fenced:
		// A neighbour dies with many claims whose records never left.
		w.deafen(ctx, a, w.kafka.proxies[neighbour.index], 500*time.Millisecond, neighbour.kill)
		neighbour.release()
	case failpoint.Releasing:
		// A claim whose answer does not come is released.
		a.pause(ctx, 2*time.Second) // until it serves again
		w.deafen(ctx, a, w.store.proxies[g.index], 2*time.Second, func() {})
	case failpoint.Rebuilding:
		_ = w.store.flush(ctx, 0) // a Redis that is away has lost its marker too
	}
	return nil
}

// pause waits, but no longer than until a point is hit: a gateway that stands
// still at it must not do so for longer than was drawn.
func (a armed) pause(ctx context.Context, d time.Duration) {
	const step = 10 * time.Millisecond
	for range d / step {
		for _, g := range a.gateways {
			if len(g.hits) > 0 {
				return
			}
		}
		if !sleep(ctx, step) {
			return
		}
	}
}

// deafen drops what comes through the proxies for some time, and calls then
// before it ends.
func (w *world) deafen(ctx context.Context, a armed, proxies []*proxy, d time.Duration, then func()) {
	for _, p := range proxies {
		p.set(setting{mode: drop, where: both})
	}
	a.pause(ctx, d)
	then()
	for _, p := range proxies {
		p.heal()
	}
}

// awaitHit waits for one of the gateways to pass its point: a take-over needs a
// lease to be over, and so does a rebuild.
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
		if !sleep(ctx, look) {
			return a.gateways[0], false
		}
	}
}

// disarm replaces the gateways that are still armed.
func (w *world) disarm(ctx context.Context, a armed) error {
	for _, g := range a.gateways {
		if !g.isArmed() {
			continue // it died, and whoever watches it has started it again
		}
		if err := g.restart(ctx, true, ""); err != nil {
			return err
		}
	}
	return nil
}

// crashGateway starts a gateway that will die at a point of the protocol.
func crashGateway(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
	a, inOrder := w.drawPoint(dice, "kill"), dice.IntN(2) == 0
	f := &fault{target: fmt.Sprintf("gateway %d at %s", a.gateways[0].index, a.point), loses: a.point == failpoint.Rebuilding}
	f.hold = func(ctx context.Context) {
		if _, hit := w.awaitHit(ctx, a); !hit {
			f.target += " (not hit)"
		}
	}
	f.heal = func(ctx context.Context) error { return w.disarm(ctx, a) }
	return f, w.arm(ctx, a, inOrder)
}

// stopGatewayAt starts a gateway that will stand still at a point for d.
func stopGatewayAt(ctx context.Context, w *world, dice *rand.Rand, d time.Duration) (*fault, error) {
	a, inOrder := w.drawPoint(dice, "stop"), dice.IntN(2) == 0
	f := &fault{loses: a.point == failpoint.Rebuilding}
	f.target = fmt.Sprintf("gateway %d at %s for %v", a.gateways[0].index, a.point, d.Round(10*time.Millisecond))
	f.hold = func(ctx context.Context) {
		g, hit := w.awaitHit(ctx, a)
		if !hit {
			f.target += " (not hit)"
			return
		}
		sleep(ctx, d)
		g.resume()
		sleep(ctx, 300*time.Millisecond) // what it was about to do is done
	}
	// Armed they stay, and may stand still again.
	f.heal = func(ctx context.Context) error { return w.disarm(ctx, a) }
	return f, w.arm(ctx, a, inOrder)
}
