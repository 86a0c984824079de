package rate

import "time"

// stale is the age at which tokens from the store are dropped. Used later, they would
// come on top of those that the rate has added since.
const stale = time.Second

// bucket is what this gateway knows of one client. It only decides; the Limiter asks the
// store. Its caller holds the client's lock.
type bucket struct {
	limit Limit
	guard guard

	tokens int       // taken from the store, not yet used
	since  time.Time // when they were requested
	size   int       // of the next refill, at most the chunk
	got    int       // with the last refill
	asked  time.Time // when the last refill began
	dry    time.Time // the store has nothing more until then
	left   float64   // in the store, when it answered
	leftAt time.Time
}

func newBucket(l Limit, now time.Time) *bucket {
	return &bucket{limit: l, size: 1, guard: guard{limit: l, tokens: float64(l.Burst()), at: now}, left: float64(l.Burst()), leftAt: now}
}

// step is what the Limiter does next about a call.
type step int

const (
	grant  step = iota // let it through
	refuse             // and say for how long
	refill             // from the store, and try again
)

// use takes n of the tokens that came from the store, but none of those that are
// reserved for other calls.
func (b *bucket) use(now time.Time, n, reserved int) (step, time.Duration) {
	if b.tokens > 0 && now.Sub(b.since) >= stale {
		b.tokens = 0
	}
	switch {
	case b.tokens-reserved >= n:
		b.tokens -= n
		return grant, 0
	case now.Before(b.dry):
		// A call of many tokens may have been too much, and this one not.
		missing := float64(n+reserved-b.tokens) - b.inStore(now)
		if b.left < 1 || missing > 0 {
			return refuse, max(b.dry.Sub(now), b.limit.span(max(missing, 0)))
		}
	}
	return refill, 0
}

// low reports whether it is time to request the next chunk, so that no call will have
// to wait for it. Single tokens are requested only when they are needed.
func (b *bucket) low(now time.Time) bool {
	return b.got > 1 && b.tokens*2 <= b.got && !now.Before(b.dry)
}

// next is how many tokens to request from the store, and how many of them to take at
// most if the store has fewer. wanted is how many tokens calls wait for, and single how
// many of these are for calls of one token: a larger call cannot use less than it needs,
// and would only keep tokens from others. Refills that follow one another closely become
// larger, up to the chunk.
func (b *bucket) next(now time.Time, wanted, single int) (n, partial int) {
	chunk := b.limit.chunk()
	switch since := now.Sub(b.asked); {
	case since < 2*chunkTime:
		b.size = min(2*b.size, chunk)
	case since >= stale:
		b.size = 1
	}
	b.asked = now
	n = min(max(b.size, wanted-b.tokens), b.limit.Burst())
	return n, min(n, max(chunk, single))
}

// fill adds what the store granted to a request for n tokens, made at asked.
func (b *bucket) fill(now, asked time.Time, n int, g Grant) {
	if b.tokens > 0 && now.Sub(b.since) >= stale {
		b.tokens = 0
	}
	b.tokens, b.got, b.since = b.tokens+g.Tokens, g.Tokens, asked
	b.left, b.leftAt = float64(g.Left), now
	if g.Tokens >= n {
		b.dry = time.Time{}
		return
	}
	wait := g.Wait
	if b.limit.chunk() > 1 { // else wait is exact: the next refill comes with the next token
		wait = max(wait, chunkTime)
	}
	b.dry = now.Add(wait)
}

// inStore is how many tokens the store should have by now.
func (b *bucket) inStore(now time.Time) float64 {
	return min(b.left+b.limit.over(now.Sub(b.leftAt)), float64(b.limit.Burst()))
}

// remaining is how many calls would be let through now, as far as this gateway
// knows, and when there will be more.
func (b *bucket) remaining(now time.Time, alone bool) (int, time.Duration) {
	tokens := b.guard.have(now)
	if !alone {
		tokens = min(tokens, float64(b.tokens)+b.inStore(now))
	}
	tokens = max(tokens, 0)
	if tokens >= float64(b.limit.Burst()) {
		return b.limit.Burst(), 0
	}
	whole := float64(int(tokens))
	return int(tokens), b.limit.span(whole + 1 - tokens)
}

// idle reports whether the bucket is as a new one would be: it can be forgotten.
func (b *bucket) idle(now time.Time) bool {
	return b.guard.have(now) >= float64(b.limit.Burst()) && now.Sub(b.asked) >= stale && !now.Before(b.dry)
}

// guard counts what this gateway lets through.
type guard struct {
	limit  Limit
	tokens float64
	at     time.Time
}

func (g *guard) have(now time.Time) float64 {
	if d := now.Sub(g.at); d > 0 {
		g.tokens, g.at = min(g.tokens+g.limit.over(d), float64(g.limit.Burst())), now
	}
	return g.tokens
}

// take takes n tokens, or says how long it takes until there are n.
func (g *guard) take(now time.Time, n int) (bool, time.Duration) {
	const rounding = 1e-9 // of fractions of tokens
	if missing := float64(n) - g.have(now); missing > rounding {
		return false, g.limit.span(missing)
	}
	g.tokens -= float64(n)
	return true, 0
}

// giveBack undoes a take, because the call was refused later.
func (g *guard) giveBack(n int) {
	g.tokens = min(g.tokens+float64(n), float64(g.limit.Burst()))
}
