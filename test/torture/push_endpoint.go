package torture

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"eventgateway/internal/backoff"
)

const (
	// pushFails is the share of attempts that the endpoint fails at random; pushSlow of them
	// take up to pushSlowest, the others up to pushQuick.
	pushFails, pushSlow    = 0.05, 0.01
	pushQuick, pushSlowest = 4 * time.Millisecond, 300 * time.Millisecond
)

// troubleKind is what is wrong with the endpoint as a whole.
type troubleKind string

const (
	troubleGone    troubleKind = "404"    // a deployment went wrong
	troubleErrors  troubleKind = "500"    // most attempts fail
	troubleSilent  troubleKind = "silent" // no answers
	troubleResets  troubleKind = "resets" // events are taken, and the connection is reset in place of the answer
	troubleBackOff troubleKind = "503"    // with Retry-After
)

type trouble struct {
	kind  troubleKind
	share float64       // of attempts that meet it
	over  chan struct{} // closed when it ends
}

// pushEndpoint is an HTTP service that is slow and fails at random, and in trouble at times.
type pushEndpoint struct {
	pushes  *Pushes
	addr    string
	trouble atomic.Pointer[trouble]
	server  http.Server
	served  chan struct{}

	mu      sync.Mutex
	dice    *rand.Rand
	answers map[string]int
}

func startPushEndpoint(seed uint64) (*pushEndpoint, error) {
	listener, err := net.Listen("tcp", loopback(0))
	if err != nil {
		return nil, fmt.Errorf("start endpoint: %w", err)
	}
	e := &pushEndpoint{
		pushes: NewPushes(), addr: listener.Addr().String(), served: make(chan struct{}),
		dice: rand.New(rand.NewPCG(seed, 21)), answers: map[string]int{},
	}
	e.server.Handler, e.server.ReadHeaderTimeout = http.HandlerFunc(e.serve), time.Minute
	go func() {
		defer close(e.served)
		_ = e.server.Serve(listener) // ends with Close
	}()
	return e, nil
}

func (e *pushEndpoint) close() {
	e.calm()
	_ = e.server.Close()
	<-e.served
}

// calm ends what is wrong.
func (e *pushEndpoint) calm() {
	if t := e.trouble.Swap(nil); t != nil {
		close(t.over)
	}
}

// treatment is how the endpoint treats an attempt.
type treatment struct {
	delay time.Duration
	fails bool
	meets bool // the trouble
}

func (e *pushEndpoint) draw(t *trouble) (f treatment) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f.delay = time.Duration(e.dice.Int64N(int64(pushQuick)))
	if e.dice.Float64() < pushSlow {
		f.delay = time.Duration(e.dice.Int64N(int64(pushSlowest)))
	}
	f.fails = e.dice.Float64() < pushFails
	f.meets = t != nil && e.dice.Float64() < t.share
	return f
}

func (e *pushEndpoint) count(said string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answers[said]++
}

// pushData is the data of an event.
type pushData struct {
	Entity string `json:"entity"`
	Seq    int    `json:"seq"`
	Poison int    `json:"poison,omitempty"`
}

func (e *pushEndpoint) serve(rw http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	var body struct {
		Data pushData
	}
	number, nerr := strconv.Atoi(r.Header.Get("Gateway-Attempt"))
	if err != nil {
		e.count("the request broke off")
		return
	}
	if nerr != nil || json.Unmarshal(raw, &body) != nil {
		e.count("not understood")
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	id := PushID{body.Data.Entity, body.Data.Seq}
	e.pushes.Arrived(id, number, r.Header.Get("Webhook-Id"))
	t := e.trouble.Load()
	f := e.draw(t)
	backoff.Sleep(r.Context(), f.delay)
	switch {
	case f.meets && t.kind == troubleResets && body.Data.Poison == 0:
		e.pushes.Taken(id, false)
		e.count("taken, and the connection reset")
		panic(http.ErrAbortHandler)
	case f.meets && t.kind == troubleSilent:
		e.count("no answer")
		select {
		case <-r.Context().Done():
		case <-t.over:
		}
		panic(http.ErrAbortHandler)
	case f.meets && t.kind != troubleResets:
		status, _ := strconv.Atoi(string(t.kind))
		if t.kind == troubleBackOff {
			rw.Header().Set("Retry-After", "1")
		}
		e.answer(rw, status)
	case body.Data.Poison != 0:
		e.answer(rw, body.Data.Poison)
	case f.fails:
		e.answer(rw, http.StatusInternalServerError)
	default:
		e.pushes.Taken(id, r.Context().Err() == nil)
		e.answer(rw, http.StatusNoContent)
	}
}

func (e *pushEndpoint) answer(rw http.ResponseWriter, status int) {
	e.count(strconv.Itoa(status))
	rw.WriteHeader(status)
}
