package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Shares of what clients do with a new key, in percent.
const (
	shareTwice   = 4  // posted through two gateways at once
	shareReplay  = 6  // of rounds: an earlier key is posted again
	shareInvalid = 1  // the body breaks the schema
	shareAbandon = 10 // of not-written answers: the key is given up, if it never had another
)

const (
	entitiesPerClient = 6
	// replayAge bounds how old a key may be that is posted again: the gateway
	// forgets keys.
	replayAge = claimTTL / 3
	claimTTL  = time.Hour
)

// clients are all workers of a run.
type clients struct {
	history *history
	posters []*poster
	rate    int
	slot    atomic.Int64 // Unix nanoseconds of the next new key
	workers sync.WaitGroup
}

// start runs n workers until ctx ends; after that they only finish the keys they
// have, for as long as finish lasts.
func (c *clients) start(ctx, finish context.Context, n int, seed uint64) {
	for i := range n {
		w := &worker{
			clients: c, name: fmt.Sprintf("w%d", i), dice: rand.New(rand.NewPCG(seed, uint64(i)+1<<32)),
			next: make([]int, entitiesPerClient), silent: make([]time.Duration, len(c.posters)),
		}
		c.workers.Go(func() { w.run(ctx, finish) })
	}
}

// pace waits for the turn to use a new key. Turns that nobody could take are
// lost: behind a fault there is no burst.
func (c *clients) pace(ctx context.Context) bool {
	step := int64(time.Second) / int64(c.rate)
	now := time.Now().UnixNano()
	slot := c.slot.Add(step)
	if late := now - int64(time.Second); slot < late {
		c.slot.CompareAndSwap(slot, now)
	}
	return sleep(ctx, time.Duration(slot-now))
}

// worker owns some entities and posts the events of each in order.
type worker struct {
	*clients
	name string
	dice *rand.Rand
	next []int  // per entity, the sequence number of its next event
	done []*Key // with a 2xx, oldest first
	used int    // keys so far
	// silent says of each gateway when it last gave no answer.
	silent []time.Duration
}

// avoidTime is how long a client mostly leaves a gateway alone that gave no
// answer, as a load balancer would.
const avoidTime = 6 * time.Second

func (w *worker) run(ctx, finish context.Context) {
	for w.pace(ctx) {
		if w.dice.IntN(100) < shareReplay {
			w.replay(finish)
		}
		entity := w.dice.IntN(entitiesPerClient)
		k := &Key{
			Name: fmt.Sprintf("%s-%d", w.name, w.used), Entity: fmt.Sprintf("%s-e%d", w.name, entity),
			Seq: w.next[entity], Valid: w.dice.IntN(100) >= shareInvalid,
		}
		w.used++
		w.next[entity]++
		w.history.begin(k)
		switch {
		case !k.Valid:
			w.try(finish, k, w.pick())
		case w.dice.IntN(100) < shareTwice:
			w.twice(finish, k)
		default:
			w.settle(finish, k)
		}
		if k.Accepted() != nil {
			w.done = append(w.done, k)
		}
	}
}

func (w *worker) pick() *poster {
	n := w.dice.IntN(len(w.posters))
	const mostly = 10
	if at := w.silent[n]; at > 0 && w.history.since()-at < avoidTime && w.dice.IntN(mostly) > 0 {
		n = (n + 1 + w.dice.IntN(len(w.posters)-1)) % len(w.posters)
	}
	return w.posters[n]
}

// try posts once and notes the answer. A request is never cancelled: what was
// sent is answered, or runs into the client's time-out.
func (w *worker) try(ctx context.Context, k *Key, p *poster) (Attempt, time.Duration) {
	a, asked := p.post(context.WithoutCancel(ctx), w.history, k)
	w.history.count(a, a.Receipt != nil && k.Accepted() == nil)
	k.add(a)
	if a.Status == 0 {
		w.silent[p.gateway] = a.Answered
	}
	return a, asked
}

// settle posts until there is a 2xx, through any gateway. A share of the keys
// that were surely not written is given up.
func (w *worker) settle(ctx context.Context, k *Key) {
	for {
		a, asked := w.try(ctx, k, w.pick())
		if a.Receipt != nil || final(a) {
			return
		}
		if k.SurelyNotWritten() && w.dice.IntN(100) < shareAbandon {
			return
		}
		if !sleep(ctx, retryPause(asked, w.dice)) {
			return
		}
	}
}

// final tells whether repeating is of no use: the client's own fault. The
// checker reports such an answer.
func final(a Attempt) bool {
	return a.Status >= 400 && a.Status < 500 && a.Status != 408 && a.Status != 409 && a.Status != 429
}

// twice posts the same key through two gateways at once, each until its 2xx.
func (w *worker) twice(ctx context.Context, k *Key) {
	first := w.dice.IntN(len(w.posters))
	second := (first + 1 + w.dice.IntN(len(w.posters)-1)) % len(w.posters)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, p := range []*poster{w.posters[first], w.posters[second]} {
		dice := rand.New(rand.NewPCG(w.dice.Uint64(), 0))
		wg.Go(func() {
			for {
				a, asked := p.post(context.WithoutCancel(ctx), w.history, k)
				mu.Lock()
				w.history.count(a, a.Receipt != nil && k.Accepted() == nil)
				k.add(a)
				mu.Unlock()
				if a.Receipt != nil || final(a) || !sleep(ctx, retryPause(asked, dice)) {
					return
				}
			}
		})
	}
	wg.Wait()
}

// replay posts an earlier key again until it is answered 2xx: near ones as
// often as far ones.
func (w *worker) replay(ctx context.Context) {
	n := len(w.done)
	if n == 0 {
		return
	}
	if w.dice.IntN(2) == 0 {
		n = min(n, 5)
	}
	k := w.done[len(w.done)-1-w.dice.IntN(n)]
	if w.history.since()-k.Attempts[0].Sent > replayAge {
		return
	}
	for {
		a, asked := w.try(ctx, k, w.pick())
		if a.Receipt != nil || final(a) || !sleep(ctx, retryPause(asked, w.dice)) {
			return
		}
	}
}
