package delivery

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/internal/delivery/endpoint"
	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

// DeadLetterLog writes dead letters; *publish.Log is one.
type DeadLetterLog interface {
	Place(topic string, key []byte, spread uint64) (event.Placement, error)
	Publish(ctx context.Context, r event.Record) (event.Position, error)
}

// Short names of the headers that a dead letter has beside the record's own.
const (
	deadSubscription = event.DeadSubscription
	deadTopic        = event.DeadTopic
	deadPartition    = event.DeadPartition
	deadOffset       = event.DeadOffset
	deadTimestamp    = event.DeadTimestamp
	deadWhy          = event.DeadReason
	deadClass        = event.DeadClass
	deadStatus       = event.DeadStatus
	deadAttempts     = event.DeadAttempts
	deadFirst        = event.DeadFirst
	deadTime         = event.DeadTime
	deadRounds       = event.DeadRounds
)

const deadWriteTimeout = 30 * time.Second

// Reasons that are no fault of the event: they hold no entity back.
const whyFull, whyExpiring = "full", "expiring"

// deadReason is why an event is given up.
type deadReason struct {
	Why    string // attempts, time, refused, full, expiring
	Class  endpoint.Class
	Status int
}

// die writes the dead letter of an event, however long it takes: until it is in Kafka,
// the event is not finished.
func (m *member) die(e *entry, why deadReason) {
	e.state, e.reason = stateDying, why
	ctx, from := e.part.ctx, m.cfg.original(e.record)
	letter := deadLetter(m.cfg, from, why, e.attempts, e.first, time.Now())
	go func() {
		if m.sub.writeDeadLetter(ctx, letter, from) {
			m.send(func() { m.dead(e) })
		}
	}()
}

// dead ends an event whose dead letter is in Kafka.
func (m *member) dead(e *entry) {
	if e.part.lost {
		return
	}
	m.sub.metrics.deadLetters.WithLabelValues(m.cfg.Name, e.reason.Why).Inc()
	m.logger.Warn("event given up", "topic", e.record.Topic, "partition", e.record.Partition, "offset", e.record.Offset,
		"reason", e.reason.Why, "status", e.reason.Status, "attempts", e.attempts, "dead_letter_topic", m.cfg.DeadLetters(m.cfg.original(e.record).Topic))
	if m.cfg.HoldEntity && e.entity != nil && e.reason.Why != whyFull && e.reason.Why != whyExpiring {
		e.state, e.attempts, e.part.dirty, e.part.told = stateHeld, heldAttempts, true, max(e.part.told, e.record.Offset)
		return
	}
	m.finish(e)
	m.expireAgain = m.expireAgain || e.reason.Why == whyExpiring // the next of its entity
}

// makeRoom gives up an event of a full window, or lets go of an entity that is held, one
// at a time: room may come with it. A window in which fresh events wait is not full: it is
// only behind.
func (m *member) makeRoom(w *window) {
	var e *entry
	switch {
	case w.stuck():
		e = w.entries[0]
	case w.crowded():
		e = w.oldestFailing()
	}
	switch {
	case e == nil:
	case e.state == stateHeld:
		m.finish(e)
	case e.state == stateWaiting:
		m.die(e, deadReason{Why: whyFull})
	}
}

// releaseHeld lets go of all entities that are held back.
func (m *member) releaseHeld() {
	for _, w := range m.order {
		for _, e := range append([]*entry{}, w.entries...) {
			if e != nil && e.state == stateHeld {
				m.finish(e)
			}
		}
	}
}

// deadLetter is the record of a dead letter, without its place: key, value and headers as
// they were, and where it comes from.
func deadLetter(cfg *Config, r *kafka.Record, why deadReason, attempts int, first, now time.Time) event.Record {
	letter := event.Record{Key: r.Key, Value: r.Value, Headers: make([]event.Header, 0, len(r.Headers)+13)}
	rounds := 1
	for _, h := range r.Headers {
		if strings.HasPrefix(h.Key, event.DeadPrefix) || strings.HasPrefix(h.Key, event.ReplayPrefix) {
			if before, err := strconv.Atoi(string(h.Value)); h.Key == deadRounds && err == nil {
				rounds = before + 1
			}
			continue
		}
		letter.Headers = append(letter.Headers, event.Header{Name: h.Key, Value: string(h.Value)})
	}
	add := func(name, value string) {
		letter.Headers = append(letter.Headers, event.Header{Name: name, Value: value})
	}
	add(deadSubscription, cfg.Name)
	add(deadTopic, r.Topic)
	add(deadPartition, strconv.Itoa(int(r.Partition)))
	add(deadOffset, strconv.FormatInt(r.Offset, 10))
	add(deadTimestamp, r.Timestamp.UTC().Format(time.RFC3339Nano))
	add(deadWhy, why.Why)
	if why.Class != "" {
		add(deadClass, string(why.Class))
	}
	if why.Status != 0 {
		add(deadStatus, strconv.Itoa(why.Status))
	}
	add(deadAttempts, strconv.Itoa(attempts))
	if !first.IsZero() {
		add(deadFirst, first.UTC().Format(time.RFC3339))
	}
	add(deadTime, now.UTC().Format(time.RFC3339Nano))
	add(deadRounds, strconv.Itoa(rounds))
	return letter
}

// writeDeadLetter tries until the letter is written, and reports true, or ctx ends. A
// write whose outcome is unknown is done again: a dead letter may be there twice, and is
// never missing.
func (s *Subscription) writeDeadLetter(ctx context.Context, letter event.Record, r *kafka.Record) bool {
	topic, pause := s.cfg.DeadLetters(r.Topic), backoff.NewExponential(500*time.Millisecond, 30*time.Second)
	for tries := 1; ctx.Err() == nil; tries++ {
		err := s.writeOnce(ctx, topic, letter, r)
		if err == nil {
			return true
		}
		s.metrics.deadLetterFailures.WithLabelValues(s.cfg.Name).Inc()
		if tries == 1 || tries%20 == 0 {
			s.logger.Error("a dead letter cannot be written, and is tried again; the commit waits for it", "dead_letter_topic", topic,
				"topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "tries", tries, "error", err)
		}
		backoff.Sleep(ctx, pause.Next())
	}
	return false
}

func (s *Subscription) writeOnce(ctx context.Context, topic string, letter event.Record, r *kafka.Record) error {
	ctx, cancel := context.WithTimeout(ctx, deadWriteTimeout)
	defer cancel()
	place, err := s.deps.DeadLetters.Place(topic, r.Key, uint64(r.Offset)) //nolint:gosec // any number does
	if err != nil {
		return err
	}
	letter.Placement, letter.Timestamp = place, time.Now()
	if _, err = s.deps.DeadLetters.Publish(ctx, letter); err != nil {
		return errors.Join(err) // not an *event.Error that is nil
	}
	return nil
}
