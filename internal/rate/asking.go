package rate

import (
	"context"
	"errors"
	"time"
)

// ask asks the store in the background. The client is locked; nobody else asks.
func (l *Limiter) ask(c *client, now time.Time) {
	b, key := c.bucket, c.key
	c.asked++
	c.reserved += c.wanted
	n, partial := b.next(now, c.reserved, c.single)
	c.wanted, c.single = 0, 0
	done := make(chan struct{})
	c.asking = done
	l.task(func() {
		g, err := l.question(key, b.limit, n, partial)
		took := time.Since(now)
		switch {
		case err != nil:
			l.leave(err.Error())
		case took < l.cfg.Wait:
			l.comeBack()
		default:
			l.leave("it answered too late")
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		defer close(done)
		c.asking = nil
		if err == nil {
			b.answer(time.Now(), now, n, g)
		}
	})
}

// task runs f in the background, or, once the Limiter is closed, not at all: then
// nobody waits for an answer.
func (l *Limiter) task(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.tasks.Go(f)
	}
}

func (l *Limiter) question(key string, limit Limit, n, partial int) (Grant, error) {
	ctx, cancel := context.WithTimeout(l.ctx, askTimeout)
	defer cancel()
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		return Grant{}, errors.New("too many questions are under way")
	}
	return l.store.Take(ctx, key, limit, n, partial)
}

// leave lets this gateway decide alone for a while.
func (l *Limiter) leave(reason string) {
	l.retry.Store(time.Now().Add(alonePause).UnixNano())
	if l.away.CompareAndSwap(false, true) && l.ctx.Err() == nil {
		l.logger.Warn("rates are counted by this gateway alone: the store is away or slow", "reason", reason)
	}
}

func (l *Limiter) comeBack() {
	if l.ctx.Err() == nil && l.away.CompareAndSwap(true, false) {
		l.logger.Info("rates are counted with the other gateways again")
	}
}

// lookAgain asks the store whether it is back, once in a while. Nobody waits for
// the answer. The client is locked.
func (l *Limiter) lookAgain(c *client, now time.Time) {
	at := l.retry.Load()
	if c.asking != nil || l.ctx.Err() != nil || now.UnixNano() < at {
		return
	}
	if l.retry.CompareAndSwap(at, now.Add(alonePause).UnixNano()) {
		l.ask(c, now)
	}
}
