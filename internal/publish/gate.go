package publish

import (
	"sync"
	"time"
)

// gatherTime is how long records for a broker are gathered while others are on the way to
// it. franz-go sends what it gets at once, in up to five requests at a time: at a
// distance that is what saves time, but near a broker it makes many small requests, each
// of which costs both sides as much as a large one. With the gate, a broker that answers
// sooner than this gets one request after the other, and others one each millisecond.
const gatherTime = time.Millisecond

// gate holds records for one broker back for at most gatherTime. Nothing is held back
// while nothing is on the way.
type gate struct {
	pass func([]*franzRecord)

	mu     sync.Mutex
	onWay  int // records that passed and have not ended
	passed time.Time
	held   []*franzRecord
	timer  *time.Timer // runs while records are held
}

func newGate(pass func([]*franzRecord)) *gate {
	g := &gate{pass: pass}
	g.timer = time.AfterFunc(time.Hour, g.open)
	g.timer.Stop()
	return g
}

// enter lets records pass, now or soon, together and in order.
func (g *gate) enter(records ...*franzRecord) {
	g.mu.Lock()
	if g.onWay > 0 {
		first := len(g.held) == 0
		if g.held = append(g.held, records...); first {
			g.timer.Reset(gatherTime - time.Since(g.passed))
		}
		g.mu.Unlock()
		return
	}
	g.onWay, g.passed = len(records), time.Now()
	g.mu.Unlock()
	g.pass(records)
}

// leave notes that a record that passed has ended.
func (g *gate) leave() {
	g.mu.Lock()
	g.onWay--
	open := g.onWay == 0 && len(g.held) > 0
	g.mu.Unlock()
	if open {
		g.timer.Stop()
		g.open()
	}
}

// open lets all pass that are held.
func (g *gate) open() {
	g.mu.Lock()
	held := g.held
	g.held = nil
	g.onWay += len(held)
	g.passed = time.Now()
	g.mu.Unlock()
	if len(held) > 0 {
		g.pass(held)
	}
}
