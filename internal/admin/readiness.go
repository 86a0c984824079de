package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

const (
	// successAge is how long /readyz repeats that a check passed, failureAge how long
	// that it failed.
	successAge = 2 * time.Second
	failureAge = 200 * time.Millisecond
	// checkTimeout bounds one check.
	checkTimeout = 2 * time.Second
	// shownTypes bounds how many event types the body names: it is for people, and while
	// Kafka is away it would name all.
	shownTypes = 100
)

// Judgement is whether the gateway is ready, and what it does not take now.
type Judgement struct {
	Ready  bool
	Reason string // why it is not
	// Types are the event types of which not all events are taken, in the order in which
	// they are shown.
	Types []TypeState
	// Quarantined are the topics that Kafka refuses, wholly or in part.
	Quarantined []Quarantined
	// Rebuild is how far claims that Redis lost are read from Kafka; nil: none are.
	Rebuild *Rebuild
}

// Rebuild is how far a rebuild of claims is.
type Rebuild struct {
	OffsetsRead int64    `json:"offsets_read"`
	Offsets     int64    `json:"offsets"`
	Percent     int      `json:"percent"`
	TopicsDone  int      `json:"topics_done"`
	Topics      int      `json:"topics"`
	PerSecond   int64    `json:"offsets_per_second"`
	SecondsLeft int64    `json:"seconds_left,omitempty"` // 0: unknown
	Waiting     []string `json:"waiting,omitempty"`      // partitions that cannot be read, and why
}

// TypeState says what is not taken of an event type.
type TypeState struct {
	Name  string
	Taken Taken
	Why   []string
}

// Taken says how many of a type's events are taken.
type Taken string

// Of a type that is not listed, all events are taken.
const (
	TakenNone Taken = "none"
	TakenSome Taken = "some" // those without an idempotency key, or of some partitions
)

// Quarantined is a topic whose events are refused without being sent, but for a probe now
// and then.
type Quarantined struct {
	Topic      string    `json:"topic"`
	Partitions []int32   `json:"partitions,omitempty"` // none: the whole topic
	Reason     string    `json:"reason"`
	Since      time.Time `json:"since"`
}

// readinessBody is the body of /readyz.
type readinessBody struct {
	Ready       bool                 `json:"ready"`
	Reason      string               `json:"reason,omitempty"`
	Checks      map[string]checkBody `json:"checks"`
	Types       map[string]typeBody  `json:"types,omitempty"`
	MoreTypes   int                  `json:"more_types,omitempty"` // that are not named
	Quarantined []Quarantined        `json:"quarantined,omitempty"`
	Rebuild     *Rebuild             `json:"rebuild,omitempty"`
}

type checkBody struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

type typeBody struct {
	Taken Taken    `json:"taken"`
	Why   []string `json:"why"`
}

// readyz answers 200 if the gateway takes events, as Judge says.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ready := s.ready()
	results := s.results(r.Context())
	judged := s.judge(results)
	body := readinessBody{
		Ready: ready && judged.Ready, Reason: judged.Reason,
		Checks: map[string]checkBody{"gateway": {OK: ready}}, Quarantined: judged.Quarantined, Rebuild: judged.Rebuild,
	}
	for name, err := range results {
		c := checkBody{OK: err == nil}
		if err != nil {
			c.Error = err.Error()
		}
		body.Checks[name] = c
	}
	shown := judged.Types[:min(shownTypes, len(judged.Types))]
	body.MoreTypes = len(judged.Types) - len(shown)
	if len(shown) > 0 {
		body.Types = make(map[string]typeBody, len(shown))
	}
	for _, t := range shown {
		body.Types[t.Name] = typeBody{Taken: t.Taken, Why: t.Why}
	}
	w.Header().Set("Content-Type", "application/json")
	if !body.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(body)
}

// results runs all checks at once.
func (s *Server) results(ctx context.Context) map[string]error {
	results := make(map[string]error, len(s.probes))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for name, p := range s.probes {
		wg.Go(func() {
			err := p.result(ctx)
			mu.Lock()
			defer mu.Unlock()
			results[name] = err
		})
	}
	wg.Wait()
	return results
}

// allPass judges without event types.
func allPass(results map[string]error) Judgement {
	j := Judgement{Ready: true}
	for _, err := range results {
		j.Ready = j.Ready && err == nil
	}
	return j
}

// probe runs a check, and repeats its last result as long as that is fresh.
type probe struct {
	check Check

	mu   sync.Mutex
	at   time.Time
	last error
}

func (p *probe) result(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := successAge
	if p.last != nil {
		fresh = failureAge
	}
	if time.Since(p.at) < fresh {
		return p.last
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	p.last = p.check(ctx)
	p.at = time.Now()
	return p.last
}
