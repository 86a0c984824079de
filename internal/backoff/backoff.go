// Package backoff has the gateway's pauses: one wait that a context can end, one
// poll, and one schedule of growing intervals. It imports no other package of the
// gateway.
package backoff

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Sleep waits for d, or until ctx ends. It reports whether d passed.
func Sleep(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// SleepUntil is Sleep until a point in time.
func SleepUntil(ctx context.Context, at time.Time) bool { return Sleep(ctx, time.Until(at)) }

// Poll calls done at once and then after each interval, until it returns true or ctx
// ends. It reports whether done returned true.
func Poll(ctx context.Context, interval time.Duration, done func() bool) bool {
	for !done() {
		if !Sleep(ctx, interval) {
			return false
		}
	}
	return true
}

// Exponential is a schedule of pauses that double from an initial pause up to a
// maximum, each spread by up to half in both directions so that callers who failed
// together do not come back together. It is for one goroutine.
type Exponential struct{ schedule backoff.ExponentialBackOff }

// NewExponential returns a schedule that begins with initial.
func NewExponential(initial, most time.Duration) *Exponential {
	e := &Exponential{schedule: backoff.ExponentialBackOff{
		InitialInterval: initial, MaxInterval: most, Multiplier: 2, RandomizationFactor: backoff.DefaultRandomizationFactor,
	}}
	e.schedule.Reset()
	return e
}

// Next returns the next pause.
func (e *Exponential) Next() time.Duration { return e.schedule.NextBackOff() }

// Reset begins again with the initial pause, after a success.
func (e *Exponential) Reset() { e.schedule.Reset() }
