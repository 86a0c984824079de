package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/internal/kafka"
)

// StateTopic is the compacted topic in which pauses are kept, after a prefix that is the
// installation's own.
func StateTopic(prefix string) string { return prefix + "-subscriptions" }

// PauseState is what is remembered of a subscription: the value of its name in the topic.
type PauseState struct {
	Paused bool      `json:"paused"`
	Reason string    `json:"reason,omitempty"` // by whom or what, for people
	At     time.Time `json:"at"`
	// Released is when entities that were held back were let go last.
	Released time.Time `json:"released,omitzero"`
	// ReplayTopic is when the topic for replays was made: a subscription that began before
	// has to begin anew to read it.
	ReplayTopic time.Time `json:"replay_topic,omitzero"`
	// AwayUntil is until when gateways stay out of the group, so that its offsets can be set
	// from outside; at most [MostAway] from now. Whoever set it ends it sooner.
	AwayUntil time.Time `json:"away_until,omitzero"`
}

// MostAway bounds how long gateways stay out of a group for a command that has died.
const MostAway = 2 * time.Minute

// ReadPauses returns what is remembered, by subscription.
func ReadPauses(ctx context.Context, table *kafka.Table) (map[string]PauseState, error) {
	values, err := table.Read(ctx)
	if err != nil {
		return nil, err
	}
	states := map[string]PauseState{}
	for name, value := range values {
		var s PauseState
		if json.Unmarshal(value, &s) == nil {
			states[name] = s
		}
	}
	return states, nil
}

// WritePause remembers the state of a subscription.
func WritePause(ctx context.Context, table *kafka.Table, name string, s PauseState) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write the state of subscription %s: %w", name, err)
	}
	return table.Write(ctx, name, text)
}

// Set runs the subscriptions of a gateway, and follows their pauses.
type Set struct {
	deps   Deps
	table  *kafka.Table
	logger *slog.Logger
	wake   chan struct{}

	mu      sync.Mutex
	want    []Config
	known   bool // the pauses were read
	pauses  map[string]PauseState
	running map[string]*running // for Run's goroutine, but for mu
}

type running struct {
	*Subscription
	cfg  Config
	stop context.CancelFunc
	done chan struct{}
}

// NewSet returns a Set of these subscriptions, which begin in Run.
func NewSet(configs []Config, table *kafka.Table, deps Deps) *Set {
	return &Set{deps: deps, table: table, logger: deps.Logger, want: configs, wake: make(chan struct{}, 1), pauses: map[string]PauseState{}, running: map[string]*running{}}
}

// Replace exchanges the subscriptions: those that are new begin, those that are gone end,
// and those that changed begin anew where they were.
func (s *Set) Replace(configs []Config) {
	s.mu.Lock()
	s.want = configs
	s.mu.Unlock()
	s.notify()
}

func (s *Set) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run runs them until ctx ends, and returns when all have ended.
func (s *Set) Run(ctx context.Context) {
	var following sync.WaitGroup
	defer following.Wait()
	followed := false
	for {
		s.mu.Lock()
		any := len(s.want) > 0
		s.mu.Unlock()
		if any && !followed { // without subscriptions there is no topic
			followed = true
			following.Go(func() { s.follow(ctx) })
		}
		s.adjust(ctx)
		select {
		case <-s.wake:
		case <-ctx.Done():
			s.endAll()
			return
		}
	}
}

// follow reads the pauses until ctx ends. No subscription begins before they are known:
// one that is paused must not deliver.
func (s *Set) follow(ctx context.Context) {
	pause, failures := backoff.NewExponential(joinPause, joinMostPause), 0
	for ctx.Err() == nil {
		err := s.table.Follow(ctx, s.learn, func() {
			failures = 0
			pause.Reset()
			s.mu.Lock()
			s.known = true
			s.mu.Unlock()
			s.notify()
		})
		if ctx.Err() != nil {
			return
		}
		if failures++; failures == 1 || failures%20 == 0 {
			s.logger.Error("the pauses of subscriptions cannot be read, and are tried again; no subscription begins before they are known", "topic", s.table.Topic(), "error", err)
		}
		backoff.Sleep(ctx, pause.Next())
	}
}

func (s *Set) learn(name string, value []byte) {
	var state PauseState
	if value != nil && json.Unmarshal(value, &state) != nil {
		s.logger.Warn("the state of a subscription is not understood: it counts as not paused", "subscription", name)
	}
	s.mu.Lock()
	before := s.pauses[name]
	s.pauses[name] = state
	r := s.running[name]
	s.mu.Unlock()
	if r == nil {
		return
	}
	if before.Paused != state.Paused {
		s.logger.Info("subscription paused or resumed", "subscription", name, "paused", state.Paused, "reason", state.Reason)
	}
	r.setPaused(state.Paused)
	if state.Released.After(before.Released) {
		r.releaseHeld()
	}
	r.setAway(state.AwayUntil)
	if state.ReplayTopic.After(before.ReplayTopic) {
		r.rejoin()
	}
}

// adjust ends and begins what the configuration says.
func (s *Set) adjust(ctx context.Context) {
	s.mu.Lock()
	want, known := s.want, s.known
	s.mu.Unlock()
	wanted := map[string]Config{}
	for _, c := range want {
		wanted[c.Name] = c
	}
	for name, r := range s.running {
		if c, ok := wanted[name]; !ok || !reflect.DeepEqual(c, r.cfg) {
			s.end(name, r)
		}
	}
	if !known {
		return
	}
	for _, c := range want {
		if _, ok := s.running[c.Name]; !ok {
			s.begin(ctx, c)
		}
	}
}

func (s *Set) begin(ctx context.Context, c Config) {
	sub, err := newSubscription(c, s.deps, func(ctx context.Context) error {
		s.mu.Lock()
		state := s.pauses[c.Name]
		s.mu.Unlock()
		state.Paused, state.Reason, state.At = true, "the endpoint answered 410", time.Now().UTC()
		return WritePause(ctx, s.table, c.Name, state)
	})
	if err != nil {
		s.logger.Error("a subscription cannot begin", "subscription", c.Name, "error", err)
		return
	}
	ctx, stop := context.WithCancel(ctx)
	r := &running{Subscription: sub, cfg: c, stop: stop, done: make(chan struct{})}
	s.mu.Lock()
	sub.setPaused(s.pauses[c.Name].Paused)
	sub.setAway(s.pauses[c.Name].AwayUntil)
	s.running[c.Name] = r
	s.mu.Unlock()
	go func() {
		defer close(r.done)
		sub.Run(ctx)
	}()
}

func (s *Set) end(name string, r *running) {
	r.stop()
	<-r.done
	s.mu.Lock()
	delete(s.running, name)
	s.mu.Unlock()
}

func (s *Set) endAll() {
	for _, r := range s.running {
		r.stop()
	}
	for name, r := range s.running {
		s.end(name, r)
	}
}
