package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"eventgateway/test/bench/internal/hist"
)

const (
	dialTimeout = 5 * time.Second
	// replyTimeout is longer than the gateway's own delivery timeout, so that its answer
	// is still read. The deadline is renewed once a second, because setting one costs
	// about as much as a small read.
	replyTimeout   = 30 * time.Second
	deadlineEvery  = time.Second
	redialPause    = 20 * time.Millisecond
	maxSampleBytes = 300
)

// worker owns one connection. Its counts are read after it has stopped, but for
// acknowledged, which the window's edges read through counter.
type worker struct {
	address  string
	request  *request
	conn     net.Conn
	buf      []byte
	deadline time.Time

	latency      hist.Histogram
	sendDelay    hist.Histogram
	acknowledged uint64
	unsent       uint64
	failures     map[string]uint64
	samples      map[string]string
}

func newWorkers(o Options) []*worker {
	workers := make([]*worker, o.Connections)
	for i := range workers {
		workers[i] = &worker{
			address:  o.Address,
			request:  newRequest(o, i),
			buf:      make([]byte, responseBuffer+o.Batch*itemBuffer),
			failures: make(map[string]uint64),
			samples:  make(map[string]string),
		}
	}
	return workers
}

// exchange sends one request and reports whether it was acknowledged; anything
// else is counted, and the connection is replaced if it cannot be used any more.
func (w *worker) exchange(ctx context.Context) bool {
	if w.conn == nil {
		if err := w.dial(ctx); err != nil {
			w.fail("dial", err.Error())
			pause(ctx, redialPause)
			return false
		}
	}
	if now := time.Now(); w.deadline.Sub(now) < replyTimeout-deadlineEvery {
		w.deadline = now.Add(replyTimeout)
		if err := w.conn.SetDeadline(w.deadline); err != nil {
			return w.drop("deadline", err)
		}
	}
	if _, err := w.conn.Write(w.request.next()); err != nil {
		return w.drop("write", err)
	}
	resp, err := readResponse(w.conn, w.buf)
	if err != nil {
		kind := "read"
		switch {
		case errors.Is(err, errUnreadable):
			kind = "unreadable"
		case errors.Is(err, os.ErrDeadlineExceeded):
			kind = "timeout"
		}
		return w.drop(kind, err)
	}
	if resp.status == http.StatusAccepted {
		w.acknowledged += w.request.events()
	} else {
		w.fail(strconv.Itoa(resp.status), string(resp.body))
	}
	if resp.closes {
		w.close()
	}
	return resp.status == http.StatusAccepted
}

func (w *worker) dial(ctx context.Context) error {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "tcp", w.address)
	if err != nil {
		return fmt.Errorf("dial server: %w", err)
	}
	w.conn, w.deadline = conn, time.Time{}
	return nil
}

func (w *worker) drop(kind string, err error) bool {
	w.fail(kind, err.Error())
	w.close()
	return false
}

func (w *worker) close() {
	if w.conn != nil {
		_ = w.conn.Close() // nothing is in flight, so nothing can be lost
		w.conn = nil
	}
}

func (w *worker) fail(kind, text string) {
	if w.failures[kind] == 0 {
		w.samples[kind] = text[:min(len(text), maxSampleBytes)]
	}
	w.failures[kind] += w.request.events()
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
