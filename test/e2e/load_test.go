//go:build integration

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
)

// tracked is an event and all answers about it.
type tracked struct {
	order
	answers []answer
	errs    []error // transport errors
}

// accepted is the 202, if there was one.
func (e *tracked) accepted() (answer, bool) {
	for _, a := range e.answers {
		if a.status == http.StatusAccepted {
			return a, true
		}
	}
	return answer{}, false
}

func (e *tracked) try(c *client, eventType string) bool {
	a, err := c.send(e.post(eventType))
	if err != nil {
		e.errs = append(e.errs, err)
		return false
	}
	e.answers = append(e.answers, a)
	return a.status == http.StatusAccepted
}

// load is clients that post one event after another.
type load struct {
	client    *client
	eventType string
	run       string
	next      atomic.Int64
	accepted  atomic.Int64
	cancel    context.CancelFunc
	workers   sync.WaitGroup

	mu     sync.Mutex
	events []*tracked
}

// startLoad posts from conns connections, each event once, until end. A worker that is
// refused waits a little; with quitOnError, one whose connection breaks gives up.
func startLoad(t *testing.T, addr, eventType string, conns int, quitOnError bool) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{client: newClient(t, addr, conns), eventType: eventType, run: unique("load"), cancel: cancel}
	for range conns {
		l.workers.Go(func() { l.work(ctx, quitOnError) })
	}
	t.Cleanup(func() { l.end() })
	return l
}

func (l *load) work(ctx context.Context, quitOnError bool) {
	for ctx.Err() == nil {
		e := &tracked{order: newOrder(l.run, int(l.next.Add(1)))}
		ok := e.try(l.client, l.eventType)
		if ok {
			l.accepted.Add(1)
		}
		l.mu.Lock()
		l.events = append(l.events, e)
		l.mu.Unlock()
		if quitOnError && len(e.errs) > 0 {
			return
		}
		switch {
		case !ok:
			backoff.Sleep(ctx, 200*time.Millisecond)
		case !quitOnError: // the log is read back and retried: a few thousand events are enough
			backoff.Sleep(ctx, 5*time.Millisecond)
		}
	}
}

// end stops the load and returns what it posted.
func (l *load) end() []*tracked {
	l.cancel()
	l.workers.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events
}

// count is how many events were posted so far with this status.
func (l *load) count(status int) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if len(e.answers) > 0 && e.answers[0].status == status {
			n++
		}
	}
	return n
}

// finish retries the events that were not accepted, with the same keys, and fails if
// some are still not accepted after limit.
func finish(t *testing.T, c *client, eventType string, conns int, events []*tracked, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var left atomic.Int64
	each(conns, len(events), func(i int) {
		if _, ok := events[i].accepted(); ok {
			return
		}
		for !events[i].try(c, eventType) {
			if !backoff.Sleep(ctx, 200*time.Millisecond) {
				left.Add(1)
				return
			}
		}
	})
	if n := left.Load(); n > 0 {
		for _, e := range events {
			if _, ok := e.accepted(); !ok {
				last := e.answers[len(e.answers)-1]
				require.FailNow(t, "events are still not accepted", "%d events after %v; %s: %d %s", n, limit, e.key, last.status, last.body)
			}
		}
	}
}

// tally counts answers by status, problem and outcome.
func tally(events []*tracked) map[string]int {
	counts := map[string]int{}
	for _, e := range events {
		for _, a := range e.answers {
			switch p, err := a.problem(); {
			case err == nil:
				counts[fmt.Sprintf("%d %s (%s)", p.Status, p.slug(), p.Outcome)]++
			case a.replayed():
				counts["202 replayed"]++
			default:
				counts[fmt.Sprint(a.status)]++
			}
		}
		counts["transport errors"] += len(e.errs)
	}
	return counts
}

func outcomeOf(p problem) string { return fmt.Sprintf("%d %s %s", p.Status, p.slug(), p.Outcome) }

func atLeast(got, want int) error {
	if got < want {
		return fmt.Errorf("%d of %d", got, want)
	}
	return nil
}
