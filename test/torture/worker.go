package torture

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"eventgateway/internal/backoff"
)

// Shares of what clients do, in percent.
const (
	shareTwice      = 4  // of jobs: posted through two gateways at once
	shareReplay     = 6  // of rounds: an earlier job is posted again
	shareInvalid    = 1  // of events: the data violates the schema
	shareDead       = 6  // of webhook events: the data violates the schema or is not JSON
	shareUnreadable = 40 // of those: not JSON
	shareFull       = 5  // of events on the topic that takes small records: nearly as large as it takes
	shareTooLarge   = 1  // of those: larger
	shareAsk        = 30 // of unknown outcomes, and of earlier events: the receipt is asked for
	shareAbandon    = 10 // of not-written answers: the job is given up, if it never had others
	shareLate       = 4  // of unknown outcomes: the client comes back when the lease is long over, and much was written since
)

const (
	entitiesPerClient = 6
	// entitiesOfSeveral are those of a client whose requests have several events: a
	// request of one entity has a long queue, a request of all has many short ones.
	entitiesOfSeveral = 40
	mostPerBatch      = 50
	mostPerFanOut     = 12
	// perEntity bounds the events of an entity in a request, on average: they are
	// written one after the other while the client waits.
	perEntity = 6
	mostPad   = 200_000 // bytes
)

// clients are all workers of a run.
type clients struct {
	history *history
	posters []*poster
	workers sync.WaitGroup
}

// start runs the workers until ctx ends; after that they only finish the jobs they
// have, for as long as finish lasts. Batches and webhooks have their shares of the
// workers and of the rate.
func (c *clients) start(ctx, finish context.Context, o *Options) {
	type crowd struct {
		draw  func(*worker) *job
		share int
	}
	n := 0
	for _, crowd := range []crowd{
		{(*worker).single, 100 - o.Batches - o.Webhooks}, {(*worker).batch, o.Batches}, {(*worker).delivery, o.Webhooks},
	} {
		if crowd.share == 0 {
			continue
		}
		p := &pacer{step: int64(time.Second) * 100 / int64(o.Rate*crowd.share)}
		for range max(1, o.Clients*crowd.share/100) {
			w := newWorker(c, n, o, p, crowd.draw)
			n++
			c.workers.Go(func() { w.run(ctx, finish) })
		}
	}
}

// pacer spreads new keys evenly over time.
type pacer struct {
	step int64        // nanoseconds between two keys
	slot atomic.Int64 // Unix nanoseconds of the next new key
}

// wait waits for the turn to use n new keys. Turns that no client could use are lost:
// there is no burst after a fault.
func (p *pacer) wait(ctx context.Context, n int) bool {
	now := time.Now().UnixNano()
	slot := p.slot.Add(p.step * int64(n))
	if late := now - int64(time.Second); slot < late {
		p.slot.CompareAndSwap(slot, now)
	}
	return backoff.Sleep(ctx, time.Duration(slot-now))
}

// worker owns some entities and posts the events of each in order.
type worker struct {
	*clients
	opts  *Options
	pacer *pacer
	draw  func(*worker) *job // a new one
	name  string
	dice  *rand.Rand
	next  map[string]int // per entity, the sequence number of its next event
	done  []*job         // complete, oldest first
	used  int            // keys and jobs so far
	// silent is when, in nanoseconds of the run, each gateway last gave no answer.
	silent []atomic.Int64
}

func newWorker(c *clients, n int, o *Options, p *pacer, draw func(*worker) *job) *worker {
	return &worker{
		clients: c, opts: o, pacer: p, draw: draw, name: fmt.Sprintf("w%d", n), dice: rand.New(rand.NewPCG(o.Seed, uint64(n)+1<<32)),
		next: map[string]int{}, silent: make([]atomic.Int64, len(c.posters)),
	}
}

// avoidTime is how long a client mostly avoids a gateway that gave no answer, as a load
// balancer would.
const avoidTime = 6 * time.Second

func (w *worker) run(ctx, finish context.Context) {
	for {
		j := w.draw(w)
		if !w.pacer.wait(ctx, len(j.keys)) {
			return
		}
		if w.dice.IntN(100) < shareReplay {
			w.replay(finish)
		}
		w.history.begin(j.keys...)
		if w.dice.IntN(100) < shareTwice {
			w.twice(finish, j)
		} else {
			w.postUntilDone(finish, j, w.pick, w.dice, true)
		}
		if j.complete() {
			w.done = append(w.done, j)
		}
	}
}

// key is the next event of an entity.
func (w *worker) key(v via, entity string, invalid int) *Key {
	w.used++
	k := &Key{
		Via: v, Name: fmt.Sprintf("%s-%d", w.name, w.used), Entity: entity,
		Seq: w.next[entity], Valid: w.dice.IntN(100) >= invalid,
	}
	w.next[entity]++
	return k
}

func (w *worker) entity(of int) string { return fmt.Sprintf("%s-e%d", w.name, w.dice.IntN(of)) }

// single is an event of one of several types.
func (w *worker) single() *job {
	k := w.key(single, w.entity(entitiesPerClient), shareInvalid)
	switch n := w.dice.IntN(100); {
	case n < w.opts.Keyless:
		k.Type = noteType
	case n < w.opts.Keyless+w.opts.Small:
		w.small(k)
	case w.dice.IntN(100) < w.opts.Large:
		k.Pad = 1 + w.dice.IntN(mostPad)
	}
	return singleJob(k)
}

// small makes a key one of the type whose topic takes small records only. Some are
// nearly as large as it takes, and a few larger.
func (w *worker) small(k *Key) {
	const headers = 2 << 10 // more than the attributes of an event have
	k.Type = scanType
	switch n := w.dice.IntN(100); {
	case n < shareTooLarge:
		k.Pad, k.TooLarge = scanLimit+w.dice.IntN(headers), true
	case n < shareTooLarge+shareFull:
		k.Pad = scanLimit - headers - w.dice.IntN(headers)
	}
}

// batch is 1 to 50 events of one, some or many entities, with a key or without.
func (w *worker) batch() *job {
	j := &job{via: eventBatch}
	if w.dice.IntN(2) == 0 {
		w.used++
		j.via, j.key = keyedBatch, fmt.Sprintf("%s-b%d", w.name, w.used)
	}
	w.fill(j, 1+w.dice.IntN(mostPerBatch), shareInvalid)
	if j.via == eventBatch {
		return j
	}
	stuck := map[string]bool{} // entities
	for i, k := range j.keys {
		k.Batch, k.Index, k.Hopeless = j.key, i, stuck[k.Entity]
		stuck[k.Entity] = stuck[k.Entity] || !k.Valid
	}
	return j
}

// delivery is a webhook: one event, or several.
func (w *worker) delivery() *job {
	if w.dice.IntN(3) == 0 {
		j := &job{via: fanOut}
		w.fill(j, 1+w.dice.IntN(mostPerFanOut), shareDead)
		return j
	}
	k := w.key(stripe, w.entity(entitiesPerClient), shareDead)
	k.Unreadable = !k.Valid && w.dice.IntN(100) < shareUnreadable
	return &job{via: stripe, keys: []*Key{k}}
}

// fill draws n events of one entity, of some, or of all.
func (w *worker) fill(j *job, n, invalid int) {
	entities := []int{1, 5, entitiesOfSeveral}[w.dice.IntN(3)]
	n = min(n, entities*perEntity)
	for range n {
		j.keys = append(j.keys, w.key(j.via, w.entity(entities), invalid))
	}
}

func (w *worker) pick() *poster {
	n := w.dice.IntN(len(w.posters))
	const mostly = 10
	if at := time.Duration(w.silent[n].Load()); at > 0 && w.history.since()-at < avoidTime && w.dice.IntN(mostly) > 0 {
		n = (n + 1 + w.dice.IntN(len(w.posters)-1)) % len(w.posters)
	}
	return w.posters[n]
}

// postUntilDone posts a job until every event that can be accepted is. With mayGiveUp,
// it gives up a share of the jobs that were surely not written.
func (w *worker) postUntilDone(ctx context.Context, j *job, pick func() *poster, dice *rand.Rand, mayGiveUp bool) {
	keys := j.keys
	for {
		p := pick()
		attempts, asked := p.post(ctx, w.history, j, keys)
		if attempts[0].Status == 0 {
			w.silent[p.gateway].Store(int64(attempts[0].Answered))
		}
		if answered(keys, attempts) {
			return
		}
		if mayGiveUp && dice.IntN(100) < shareAsk {
			w.askUnknown(ctx, p, j, keys, attempts)
		}
		if mayGiveUp && j.surelyNotWritten() && dice.IntN(100) < shareAbandon {
			return
		}
		pause := retryPause(asked, dice)
		if mayGiveUp && anyUnknown(attempts) && dice.IntN(100) < shareLate {
			pause = between(dice, w.opts.Lease, 4*w.opts.Lease)
		}
		keys = j.again(keys, attempts)
		if !backoff.Sleep(ctx, pause) || w.age(j) > w.opts.Window*2/3 {
			return
		}
	}
}

// age is how long ago a job was posted for the first time.
func (w *worker) age(j *job) time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	first := slices.MinFunc(j.keys, func(a, b *Key) int { return cmp.Compare(a.Attempts[0].Sent, b.Attempts[0].Sent) })
	return w.history.since() - first.Attempts[0].Sent
}

func anyUnknown(attempts []Attempt) bool {
	return slices.ContainsFunc(attempts, func(a Attempt) bool { return a.Outcome == outcomeUnknown || a.Status == 0 })
}

// askUnknown asks for the receipt of the first event whose outcome is unknown.
func (w *worker) askUnknown(ctx context.Context, p *poster, j *job, keys []*Key, attempts []Attempt) {
	for i, k := range keys {
		if attempts[i].Outcome == outcomeUnknown || attempts[i].Status == 0 {
			p.ask(ctx, w.history, j, k)
			return
		}
	}
}

// twice posts the same job through two gateways at once, each until its 2xx.
func (w *worker) twice(ctx context.Context, j *job) {
	first := w.dice.IntN(len(w.posters))
	second := (first + 1 + w.dice.IntN(len(w.posters)-1)) % len(w.posters)
	var wg sync.WaitGroup
	for _, p := range []*poster{w.posters[first], w.posters[second]} {
		dice := rand.New(rand.NewPCG(w.dice.Uint64(), 0))
		wg.Go(func() { w.postUntilDone(ctx, j, func() *poster { return p }, dice, false) })
	}
	wg.Wait()
}

// replay posts an earlier job again until it is answered 2xx, or asks for a receipt:
// recent jobs as often as old ones.
func (w *worker) replay(ctx context.Context) {
	n := len(w.done)
	if n == 0 {
		return
	}
	if w.dice.IntN(2) == 0 {
		n = min(n, 5)
	}
	j := w.done[len(w.done)-1-w.dice.IntN(n)]
	if w.age(j) > w.opts.Window/3 {
		return // the gateway forgets keys
	}
	if w.dice.IntN(100) < shareAsk {
		w.pick().ask(ctx, w.history, j, j.keys[w.dice.IntN(len(j.keys))])
		return
	}
	w.postUntilDone(ctx, j, w.pick, w.dice, false)
}
