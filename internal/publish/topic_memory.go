package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"eventgateway/internal/failpoint"
	"eventgateway/internal/kafka"
)

const (
	// rememberEvery is how often it is noted that an event type still has its topic.
	rememberEvery = time.Hour
	// rememberAgain is the pause after a note that failed.
	rememberAgain = 30 * time.Second
	// rememberLimit bounds one note, or one reading of all.
	rememberLimit = 10 * time.Second
)

// place is a topic and a type whose events are written to it.
type place struct{ topic, eventType string }

// key is the place's key in the log. Names of topics have no spaces.
func (p place) key() string { return p.topic + " " + p.eventType }

func placeOf(key string) (place, bool) {
	topic, eventType, ok := strings.Cut(key, " ")
	return place{topic, eventType}, ok
}

// topicMemory knows to which topics events were written, also after their schemas were
// removed or name another topic: their claims are still there, and a rebuild has to read
// them. It is kept in a compacted topic, because Redis is what a rebuild has lost. Without
// one (log is nil) only this process remembers.
type topicMemory struct {
	log    *registry
	logger *slog.Logger
	wake   chan struct{}

	mu       sync.Mutex
	places   map[place]placeState
	complete bool // what the topic has is among places, as of a replay
	warned   bool
}

type placeState struct {
	current bool      // a schema names it
	named   time.Time // when a schema last did, if it is not current
	saved   time.Time // of what is in the topic
}

// note is the value of a place in the topic, for operators to read.
type note struct {
	Named time.Time `json:"named"` // by a schema, for the last time that is known
}

func newTopicMemory(log *registry, logger *slog.Logger) *topicMemory {
	return &topicMemory{log: log, logger: logger, wake: make(chan struct{}, 1), places: map[place]placeState{}}
}

// set takes what today's schemas say, and returns all that is known.
func (m *topicMemory) set(byTopic map[string][]string) *homes {
	now := failpoint.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, state := range m.places {
		if state.current {
			state.current, state.named = false, now
			m.places[p] = state
		}
	}
	for topic, types := range byTopic {
		for _, t := range types {
			state := m.places[place{topic, t}]
			state.current = true
			m.places[place{topic, t}] = state
		}
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return newHomes(m.places, m.complete)
}

// since are the topics that a schema named at from or later.
func (m *topicMemory) since(from time.Time) (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, state := range m.places {
		// Gateways with an older schema may have written for a moment longer.
		if state.current || !state.named.Add(2*rememberEvery).Before(from) {
			names = append(names, p.topic)
		}
	}
	return names
}

// run keeps the topic up to date until ctx ends.
func (m *topicMemory) run(ctx context.Context) {
	if m.log == nil {
		return
	}
	for ctx.Err() == nil {
		pause := rememberEvery
		if err := m.save(ctx); err != nil && ctx.Err() == nil {
			pause = rememberAgain
			m.warnOnce(func() {
				m.logger.Warn("it cannot be noted in kafka which topics events are written to: after a loss of redis, those of removed schemas may not be read; allow the gateway to create, describe, write and read the topic",
					"topic", m.log.topic, "error", err)
			})
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-m.wake:
		}
		timer.Stop()
	}
}

// warnOnce warns unless it has since the last note that succeeded.
func (m *topicMemory) warnOnce(warn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.warned {
		m.warned = true
		warn()
	}
}

// save notes what the topic does not know yet.
func (m *topicMemory) save(ctx context.Context) error {
	now := failpoint.Now()
	m.mu.Lock()
	notes := map[place]time.Time{}
	for p, state := range m.places {
		switch {
		case state.current && now.Sub(state.saved) >= rememberEvery/2:
			notes[p] = now
		case !state.current && state.saved.Before(state.named):
			notes[p] = state.named
		}
	}
	m.mu.Unlock()
	if len(notes) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, rememberLimit)
	defer cancel()
	if err := m.log.ensureTopic(ctx); err != nil {
		return err
	}
	for p, named := range notes {
		value, err := json.Marshal(note{named.UTC()})
		if err != nil {
			return fmt.Errorf("note a topic: %w", err)
		}
		if err := m.log.write(ctx, p.key(), value); err != nil {
			return fmt.Errorf("note in %s that %s is written to %s: %w", m.log.topic, p.eventType, p.topic, err)
		}
		m.mu.Lock()
		state := m.places[p]
		state.saved = named
		m.places[p] = state
		m.warned = false
		m.mu.Unlock()
	}
	return nil
}

// load reads what gateways have noted, and returns all that is known. There is nothing
// to read where none could write.
func (m *topicMemory) load(ctx context.Context, r *Reader) (*homes, error) {
	ctx, cancel := context.WithTimeout(ctx, rememberLimit)
	defer cancel()
	_, err := r.partitionsOf(ctx, m.log.topic)
	var noted map[place]time.Time
	if err == nil {
		noted, err = m.read(ctx)
	}
	complete := err == nil
	if NotAllowed(err) {
		m.warnOnce(func() {
			m.logger.Warn("the gateway may not read which topics events were written to: those of removed schemas are not read; allow it to describe and read the topic",
				"topic", m.log.topic, "error", err)
		})
		err = nil
	}
	if err != nil && !errors.Is(err, errNoTopic) {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, named := range noted {
		state := m.places[p]
		if named.After(state.named) {
			state.named = named
		}
		if named.After(state.saved) {
			state.saved = named
		}
		m.places[p] = state
	}
	m.complete = complete
	return newHomes(m.places, m.complete), nil
}

func (m *topicMemory) read(ctx context.Context) (map[place]time.Time, error) {
	spans, err := m.log.scan.spans(ctx, []kafka.Partition{{Topic: m.log.topic}}, time.UnixMilli(0))
	if err != nil {
		return nil, err
	}
	noted := map[place]time.Time{}
	err = m.log.scan.read(ctx, spans, func(r *logRecord) error {
		var one note
		if p, ok := placeOf(string(r.key)); ok && json.Unmarshal(r.value, &one) == nil {
			noted[p] = one.Named
		}
		return nil
	})
	return noted, err
}
