package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// arrival is a request that the endpoint got.
type arrival struct {
	at        time.Time
	written   time.Time // when its event was
	partition int
	number    int // of the event in its partition
	poison    bool
	instance  string // the gateway that sent it
}

// endpoint is the HTTP service that events are pushed to.
type endpoint struct {
	*httptest.Server
	url    string
	delay  atomic.Int64 // nanoseconds before each answer
	status atomic.Int64 // of all answers; 0: 204, but 500 for poison
	on     atomic.Int64

	mu       sync.Mutex
	arrivals []arrival
	mostOn   int64 // at the same time
	want     int
	full     chan struct{} // closed when want have come
}

func startEndpoint() *endpoint {
	e := &endpoint{full: make(chan struct{})}
	e.Server = httptest.NewServer(http.HandlerFunc(e.serve))
	e.url = e.URL + "/events"
	return e
}

// reset forgets what came, and makes room for so many.
func (e *endpoint) reset(want int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.arrivals, e.mostOn, e.want, e.full = make([]arrival, 0, want), 0, want, make(chan struct{})
	e.delay.Store(0)
	e.status.Store(0)
}

func (e *endpoint) serve(rw http.ResponseWriter, r *http.Request) {
	on := e.on.Add(1)
	defer e.on.Add(-1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	a := arrival{
		at: time.Now(), written: time.Unix(0, int64(member(body, `"t":`))), partition: member(body, `"p":`), number: member(body, `"n":`),
		poison: bytes.Contains(body, []byte(`"bad":1`)), instance: r.Header.Get("X-Instance"),
	}
	e.mu.Lock()
	e.arrivals = append(e.arrivals, a)
	e.mostOn = max(e.mostOn, on)
	if len(e.arrivals) == e.want {
		close(e.full)
	}
	e.mu.Unlock()
	if d := e.delay.Load(); d > 0 {
		time.Sleep(time.Duration(d))
	}
	switch status := int(e.status.Load()); {
	case status != 0:
		rw.WriteHeader(status)
	case a.poison:
		rw.WriteHeader(http.StatusInternalServerError)
	default:
		rw.WriteHeader(http.StatusNoContent)
	}
}

// member is a number of the event's data; 0 if it has none.
func member(body []byte, name string) int {
	_, rest, _ := bytes.Cut(body, []byte(name))
	end := bytes.IndexFunc(rest, func(c rune) bool { return c < '0' || c > '9' })
	n, _ := strconv.Atoi(string(rest[:max(end, 0)]))
	return n
}

// since returns what came after a time.
func (e *endpoint) since(from time.Time) []arrival {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, _ := slices.BinarySearchFunc(e.arrivals, from, func(a arrival, t time.Time) int { return a.at.Compare(t) })
	return slices.Clone(e.arrivals[at:])
}

// rate is events per second from the first to the last.
func (e *endpoint) rate() float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(len(e.arrivals), e.want)
	if n < 2 {
		return 0
	}
	return float64(n-1) / e.arrivals[n-1].at.Sub(e.arrivals[0].at).Seconds()
}

// quantile sorts the durations.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(q*float64(len(all))))]
}
