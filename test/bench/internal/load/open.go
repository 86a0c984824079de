package load

import (
	"context"
	"sync"
	"time"

	"eventgateway/test/bench/internal/timer"
)

// drainTimeout bounds how long, after the last request was due, connections keep sending
// the requests that still wait; the rest is counted as unsent.
const drainTimeout = 10 * time.Second

// startOpenLoop starts the pacer and the workers. The queue holds every request
// of the run, so that the pacer never waits for a slow server.
func (r *run) startOpenLoop(ctx context.Context, wait *sync.WaitGroup, start time.Time) error {
	clock, err := timer.New()
	if err != nil {
		return err
	}
	o := r.options
	total := int((o.WarmUp + o.Duration).Seconds() * o.Rate)
	due := make(chan time.Time, total)
	wait.Go(func() {
		defer func() { _ = clock.Close() }() // a timer has nothing to lose
		defer close(due)
		for i := range total {
			at := start.Add(time.Duration(float64(i) * float64(time.Second) / o.Rate))
			if r.paceErr = clock.SleepUntil(at); r.paceErr != nil || ctx.Err() != nil {
				return
			}
			due <- at
		}
	})
	for _, w := range r.workers {
		wait.Go(func() { r.openLoop(ctx, w, due, start) })
	}
	return nil
}

func (r *run) openLoop(ctx context.Context, w *worker, due <-chan time.Time, start time.Time) {
	from := start.Add(r.options.WarmUp)
	giveUp := from.Add(r.options.Duration + drainTimeout)
	for at := range due {
		sent := time.Now()
		if sent.After(giveUp) || ctx.Err() != nil {
			w.unsent += w.request.events()
			continue
		}
		ok := w.exchange(ctx)
		if ok {
			r.answered.Add(w.request.events())
		}
		if ok && !at.Before(from) {
			w.latency.Record(time.Since(at))
			w.sendDelay.Record(sent.Sub(at))
		}
	}
}
