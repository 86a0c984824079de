package rate

import (
	"context"
	"errors"
	"time"
)

// refill asks the store for tokens in the background. The client is locked, and no
// refill is in progress.
func (l *Limiter) refill(c *client, now time.Time) {
	b, key := c.bucket, c.key
	c.refills++
	c.reserved += c.wanted
	n, partial := b.next(now, c.reserved, c.single)
	c.wanted, c.single = 0, 0
	done := make(chan struct{})
	c.refilling = done
	l.task(func() {
		g, err := l.takeFromStore(key, b.limit, n, partial)
		took := time.Since(now)
		switch {
		case err != nil:
			l.decideAlone(err.Error())
		case took < l.cfg.Wait:
			l.decideTogether()
		default:
			l.decideAlone("it answered too late")
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		defer close(done)
		c.refilling = nil
		if err == nil {
			b.fill(time.Now(), now, n, g)
		}
	})
}

// task runs f in the background, or, once the Limiter is closed, not at all: from then
// on no call waits for the store.
func (l *Limiter) task(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.tasks.Go(f)
	}
}

func (l *Limiter) takeFromStore(key string, limit Limit, n, partial int) (Grant, error) {
	ctx, cancel := context.WithTimeout(l.ctx, refillTimeout)
	defer cancel()
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		return Grant{}, errors.New("too many refills are under way")
	}
	return l.store.Take(ctx, key, limit, n, partial)
}

// decideAlone lets this gateway decide without the store for a while.
func (l *Limiter) decideAlone(reason string) {
	l.retry.Store(time.Now().Add(storeRetry).UnixNano())
	if l.away.CompareAndSwap(false, true) && l.ctx.Err() == nil {
		l.logger.Warn("rates are counted by this gateway alone: the store is away or slow", "reason", reason)
	}
}

// decideTogether lets the store decide again.
func (l *Limiter) decideTogether() {
	if l.ctx.Err() == nil && l.away.CompareAndSwap(true, false) {
		l.logger.Info("rates are counted with the other gateways again")
	}
}

// retryStore asks the store, once in a while, whether it is back. No call waits for
// the answer. The client is locked.
func (l *Limiter) retryStore(c *client, now time.Time) {
	at := l.retry.Load()
	if c.refilling != nil || l.ctx.Err() != nil || now.UnixNano() < at {
		return
	}
	if l.retry.CompareAndSwap(at, now.Add(storeRetry).UnixNano()) {
		l.refill(c, now)
	}
}
