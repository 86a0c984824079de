package idempotency

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// pace is how often and how long things of a rebuild happen.
type pace struct {
	lock  time.Duration // an unrenewed lock holds
	check time.Duration // between two looks at markers that were right
	// urgent is between two looks while another gateway rebuilds, failure after
	// a rebuild that failed, and kick the least after any look, however many
	// claims are refused meanwhile.
	urgent, failure, kick time.Duration
	insist                time.Duration // between two tries of one write
}

var usualPace = pace{
	lock: 10 * time.Second, check: 3 * time.Second,
	urgent: time.Second, failure: 5 * time.Second, kick: 200 * time.Millisecond,
	insist: time.Second,
}

// renewals is how often a lock is renewed in its time: a few may fail.
const renewals = 4

// errOvertaken ends a rebuild whose buckets are all lost: the locks expired while
// this process stood still, Redis was flushed or another one promoted, or an
// operator declared the log empty.
var errOvertaken = errors.New("redis or its locks changed under the rebuild")

// hold is this gateway's lock on the buckets that it rebuilds: one attempt,
// with a token of its own, so that nothing of an earlier one counts.
type hold struct {
	store *Store
	token string
	held  [bucketCount]atomic.Bool
	count atomic.Int32
	ready []byte // buckets whose markers it has set, or found set in the end
}

func (s *Store) newHold() *hold { return &hold{store: s, token: rand.Text()} }

func (h *hold) has(bucket byte) bool { return h.held[bucket].Load() }

func (h *hold) none() bool { return h.count.Load() == 0 }

func (h *hold) add(bucket byte) {
	if !h.held[bucket].Swap(true) {
		h.count.Add(1)
	}
}

func (h *hold) drop(bucket byte) {
	if h.held[bucket].Swap(false) {
		h.count.Add(-1)
	}
}

func (h *hold) buckets() []byte {
	var list []byte
	for b := range h.held {
		if h.held[b].Load() {
			list = append(list, byte(b))
		}
	}
	return list
}

// take locks what is free of the buckets and returns those that others hold.
func (h *hold) take(ctx context.Context, buckets []byte, force bool) (busy []byte, err error) {
	mode := ""
	if force {
		mode = "force"
	}
	s := h.store
	ask := question{lockScript, markerAndLock, []any{h.token, s.pace.lock.Milliseconds(), mode}}
	err = s.askBuckets(ctx, ask, buckets, func(b byte, v verdict) {
		switch v {
		case bucketHeld:
			h.add(b)
			s.unready.begin(b, time.Now())
		case bucketBusy:
			busy = append(busy, b)
			s.unready.note(b, time.Now())
		case bucketReady:
			s.unready.end(b)
		}
	})
	return busy, err
}

// takeAll locks the buckets, as soon as others let go of them, and returns those
// that are not ready already.
func (h *hold) takeAll(ctx context.Context, buckets []byte, force bool) (taken []byte, err error) {
	for busy := buckets; ; pause(ctx, h.store.pace.urgent) {
		before := busy
		err := h.store.insist(ctx, func() (err error) {
			busy, err = h.take(ctx, before, force) // again what is ours already, too
			return err
		})
		switch {
		case errors.Is(context.Cause(ctx), errOvertaken):
			return nil, errOvertaken
		case err != nil:
			return nil, fmt.Errorf("lock buckets: %w", err)
		}
		for _, b := range before {
			if h.has(b) {
				taken = append(taken, b)
			}
		}
		if len(busy) == 0 {
			return taken, nil
		}
	}
}

// keep renews the locks until stop is called, or all are lost: then the context
// that it returns ends, because of errOvertaken.
func (h *hold) keep(ctx context.Context) (kept context.Context, stop func()) {
	kept, cancel := context.WithCancelCause(ctx)
	var heart sync.WaitGroup
	heart.Go(func() {
		tick := time.NewTicker(h.store.pace.lock / renewals)
		defer tick.Stop()
		for {
			select {
			case <-kept.Done():
				return
			case <-tick.C:
			}
			if h.renew(kept) && h.none() {
				cancel(errOvertaken)
			}
		}
	})
	return kept, func() {
		cancel(context.Canceled)
		heart.Wait()
	}
}

// renew drops what is lost and says whether it was anything. A Redis that does
// not answer takes nothing away: what is written and completed tests the locks
// again.
func (h *hold) renew(ctx context.Context) (lost bool) {
	ask := question{renewScript, lockOnly, []any{h.token, h.store.pace.lock.Milliseconds()}}
	err := h.store.askBuckets(ctx, ask, h.buckets(), func(b byte, v verdict) {
		if v == bucketLost {
			h.drop(b)
			lost = true
		}
	})
	if err != nil {
		h.store.metrics.failed("rebuild")
	}
	return lost
}

// complete sets the markers of what is held to the end.
func (h *hold) complete(ctx context.Context) error {
	s := h.store
	return s.insist(ctx, func() error {
		return s.askBuckets(ctx, question{completeScript, markerAndLock, []any{h.token}}, h.buckets(), func(b byte, v verdict) {
			h.drop(b)
			if v != bucketLost {
				h.ready = append(h.ready, b)
				s.unready.end(b)
			}
		})
	})
}

// release gives up what is still held, so that another gateway need not wait.
func (h *hold) release(ctx context.Context) {
	ask := question{unlockScript, lockOnly, []any{h.token}}
	err := h.store.askBuckets(context.WithoutCancel(ctx), ask, h.buckets(), func(byte, verdict) {})
	if err != nil {
		h.store.metrics.failed("rebuild") // the locks expire
	}
}

// insistTries bounds how often one write is tried: starting over costs a whole
// read of the log, and locks outlive a short absence of Redis.
const insistTries = 8

func (s *Store) insist(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil {
			return nil
		}
		s.metrics.failed("rebuild")
		if try == insistTries || ctx.Err() != nil {
			return err
		}
		pause(ctx, s.pace.insist)
	}
}
