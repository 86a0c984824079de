package idempotency

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"eventgateway/internal/backoff"
)

// renewals is how often a lock is renewed in its time: a few may fail.
const renewals = 4

// errOvertaken ends a rebuild whose buckets are all lost: the locks expired while
// this process was paused, Redis was flushed or another one promoted, or an
// operator declared the log empty.
var errOvertaken = errors.New("redis or its locks changed under the rebuild")

// bucketLocks are this gateway's locks on the buckets that it rebuilds. They belong to
// one reading of the log, with a token of its own, so that nothing of an earlier one counts.
type bucketLocks struct {
	rebuilder *Rebuilder
	renewing  sync.Mutex // nobody renews the locks while their token is changed
	token     string
	held      [bucketCount]atomic.Bool
	count     atomic.Int32
	// locked is what each bucket's marker was when it was locked, and the Redis' master_replid.
	locked [bucketCount]struct{ marker, replid string }
	ready  []byte // buckets whose markers this attempt has set, or found set at its end
	// shared is the reading of the log, once it has begun; from the start, if this attempt
	// goes on with an interrupted one.
	shared    *sharedReplay
	abandoned bool // of the buckets that were asked for, some were abandoned
	// anew gives up what interrupted attempts have read.
	anew bool
	// unknown is the highest generation that markers name and that does not exist.
	unknown uint64
}

func newBucketLocks(r *Rebuilder) *bucketLocks { return &bucketLocks{rebuilder: r, token: rand.Text()} }

func (l *bucketLocks) has(bucket byte) bool { return l.held[bucket].Load() }

func (l *bucketLocks) none() bool { return l.count.Load() == 0 }

func (l *bucketLocks) add(bucket byte) {
	if !l.held[bucket].Swap(true) {
		l.count.Add(1)
	}
}

func (l *bucketLocks) drop(bucket byte) {
	if l.held[bucket].Swap(false) {
		l.count.Add(-1)
	}
}

func (l *bucketLocks) dropAll() {
	for _, b := range l.buckets() {
		l.drop(b)
	}
}

func (l *bucketLocks) buckets() []byte {
	var list []byte
	for b := range l.held {
		if l.held[b].Load() {
			list = append(list, byte(b))
		}
	}
	return list
}

// runOnHeld runs a script on the buckets that are held. Its arguments are the token and
// more.
func (l *bucketLocks) runOnHeld(ctx context.Context, s bucketScript, report func(byte, bucketState)) error {
	s.args = append([]any{l.token}, s.args...)
	return l.rebuilder.scripts.runOnBuckets(ctx, s, l.buckets(), report)
}

// Which buckets are locked, of those that no other gateway holds: see lockScript.
const (
	lockWrong  = ""       // whose marker is wrong
	lockRaise  = "raise"  // all, for a new generation
	lockForce  = "force"  // all, and their markers are deleted
	lockResume = "resume" // those of an interrupted rebuild, under its token
)

// acquire locks those of the buckets that are free, and returns those that other
// gateways hold, or held until they died.
func (l *bucketLocks) acquire(ctx context.Context, buckets []byte, mode string) (busy []byte, err error) {
	r := l.rebuilder
	counted, anew := "", ""
	if r.member.measured() {
		counted = "counted"
	}
	if l.anew {
		anew = "anew"
	}
	lock := bucketScript{lockScript, markerAndLock, []any{l.token, r.intervals.lockTTL.Milliseconds(), mode, r.member.number(), counted, anew, l.unknown}}
	err = r.scripts.askBuckets(ctx, lock, buckets, func(b byte, text string) {
		switch state := bucketState(text[:1]); state {
		case bucketHeld:
			l.add(b)
			l.locked[b].replid, l.locked[b].marker, _ = strings.Cut(text[1:], " ")
			r.unready.restart(b, time.Now())
		case bucketBusy, bucketLeft:
			l.abandoned = l.abandoned || state == bucketLeft
			busy = append(busy, b)
			r.unready.add(b, time.Now())
		case bucketReady:
			r.unready.remove(b)
		}
	})
	return busy, err
}

// rename gives the locks that are left another token.
func (l *bucketLocks) rename(ctx context.Context) error {
	l.renewing.Lock()
	defer l.renewing.Unlock()
	token := rand.Text()
	err := l.rebuilder.retry(ctx, func() error {
		return l.runOnHeld(ctx, bucketScript{renameScript, lockOnly, []any{token}}, func(b byte, state bucketState) {
			if state == bucketLost {
				l.drop(b)
			}
		})
	})
	if err == nil {
		l.token = token
	}
	return err
}

// raised writes the generation into the locks: gateways may join from now on.
func (l *bucketLocks) raised(ctx context.Context, generation uint64) error {
	return l.rebuilder.retry(ctx, func() error {
		return l.runOnHeld(ctx, bucketScript{raisedScript, lockOnly, []any{generation}}, func(b byte, state bucketState) {
			if state == bucketLost {
				l.drop(b)
			}
		})
	})
}

// joined lists the processes that have joined all buckets that are held.
func (l *bucketLocks) joined(ctx context.Context) (map[string]bool, error) {
	counts, answers := map[string]int{}, 0
	held := l.buckets()
	script := bucketScript{joinedScript, lockOnly, []any{l.token}}
	err := l.rebuilder.scripts.askBuckets(ctx, script, held, func(b byte, text string) {
		if bucketState(text[:1]) == bucketLost {
			l.drop(b)
			return
		}
		answers++
		for id := range strings.SplitSeq(text[1:], ",") {
			counts[id]++
		}
	})
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for id, n := range counts {
		if n == answers && id != "" {
			all[id] = true
		}
	}
	return all, nil
}

// acquireAll locks the buckets, as soon as other gateways release them, and returns
// those that are not ready already.
func (l *bucketLocks) acquireAll(ctx context.Context, buckets []byte, mode string) (acquired []byte, err error) {
	for busy := buckets; ; backoff.Sleep(ctx, l.rebuilder.intervals.contended) {
		before := busy
		err := l.rebuilder.retry(ctx, func() (err error) {
			busy, err = l.acquire(ctx, before, mode) // on a second try it finds its own locks
			return err
		})
		switch {
		case errors.Is(context.Cause(ctx), errOvertaken):
			return nil, errOvertaken
		case err != nil:
			return nil, fmt.Errorf("lock buckets: %w", err)
		}
		for _, b := range before {
			if l.has(b) {
				acquired = append(acquired, b)
			}
		}
		if len(busy) == 0 {
			return acquired, nil
		}
	}
}

// keep renews the locks until stop is called or all of them are lost. In the latter
// case the context that it returns ends, with errOvertaken as its cause.
func (l *bucketLocks) keep(ctx context.Context) (kept context.Context, stop func()) {
	kept, cancel := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() {
		// A ticker, not a pause: a renewal that waits for a slow Redis must not delay the next.
		tick := time.NewTicker(l.rebuilder.intervals.lockTTL / renewals)
		defer tick.Stop()
		for {
			select {
			case <-kept.Done():
				return
			case <-tick.C:
			}
			if l.renew(kept) && l.none() {
				cancel(errOvertaken)
			}
		}
	})
	return kept, func() {
		cancel(context.Canceled)
		renewing.Wait()
	}
}

// renew drops the locks that are lost and reports whether there were any. While Redis
// does not answer, all locks count as held: each later script tests them again.
func (l *bucketLocks) renew(ctx context.Context) (lost bool) {
	l.renewing.Lock()
	defer l.renewing.Unlock()
	r := l.rebuilder
	err := l.runOnHeld(ctx, bucketScript{renewScript, lockOnly, []any{r.intervals.lockTTL.Milliseconds()}}, func(b byte, state bucketState) {
		if state == bucketLost {
			l.drop(b)
			lost = true
		}
	})
	if err != nil {
		r.metrics.failed("rebuild")
	}
	return lost
}

// complete sets the markers of those of the buckets that are still held.
func (l *bucketLocks) complete(ctx context.Context, buckets *bucketLocks, generation uint64) error {
	r := l.rebuilder
	return r.retry(ctx, func() error {
		held := slices.DeleteFunc(l.buckets(), func(b byte) bool { return !buckets.has(b) })
		return r.scripts.runOnBuckets(ctx, bucketScript{completeScript, markerAndLock, []any{l.token, generation}}, held, func(b byte, state bucketState) {
			l.drop(b)
			if state != bucketLost {
				l.ready = append(l.ready, b)
				r.unready.remove(b)
			}
		})
	})
}

// release unlocks what is still held, so that another gateway need not wait for the
// locks to expire. While a node of a Cluster is replaced, the first try may fail.
func (l *bucketLocks) release(ctx context.Context) {
	for last := false; ; last = true {
		err := l.runOnHeld(context.WithoutCancel(ctx), bucketScript{unlockScript, lockOnly, nil}, func(byte, bucketState) {})
		if err == nil {
			return
		}
		l.rebuilder.metrics.failed("rebuild")
		if last || !backoff.Sleep(ctx, l.rebuilder.intervals.retry) {
			return // they expire
		}
	}
}
