package deadletter

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"log/slog"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/internal/kafka"
)

const (
	// watchInterval is between two counts. A count asks Kafka three questions about all
	// topics, and reads what is new.
	watchInterval = 15 * time.Second
	// watchRecords bounds what is read of a partition when counting begins, and
	// watchLetters what is remembered of a topic: about 100 bytes for each. Older ones are
	// counted by their offsets, and have no reason.
	watchRecords, watchLetters = 10_000, 50_000
	watchTimeout               = 2 * time.Minute
)

// WatchSource reads several topics at once.
type WatchSource interface {
	// AllSpans are what topics have now, by topic; empty spans, too.
	AllSpans(ctx context.Context, topics ...string) (map[string][]Span, error)
	Read(ctx context.Context, s Span, visit func(*kafka.Record) error) error
}

// Watch counts the dead letters that wait.
type Watch struct {
	source  WatchSource
	topics  func() []string
	ledger  string
	metrics *Metrics
	logger  *slog.Logger
	now     func() time.Time

	parts      map[kafka.Partition]*watched
	ledgerRead int64
	byIdentity map[uint64]Place // of letters that wait
}

// watched is a partition of a dead-letter topic.
type watched struct {
	next    int64 // everything before was read
	from    int64 // what is before was not read, from the first that there is
	first   time.Time
	older   int64               // letters before from that wait
	over    int64               // letters that wait and are not remembered
	waiting map[int64]waitingOf // by offset
	marks   map[int64]bool      // of letters that are not read yet
}

type waitingOf struct {
	reason   string
	died     time.Time
	identity uint64
}

// NewWatch returns a Watch of the topics that a function names.
func NewWatch(source WatchSource, topics func() []string, ledger string, metrics *Metrics, logger *slog.Logger) *Watch {
	return &Watch{source: source, topics: topics, ledger: ledger, metrics: metrics, logger: logger, now: time.Now, parts: map[kafka.Partition]*watched{}, byIdentity: map[uint64]Place{}}
}

// Run counts until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; backoff.Sleep(ctx, watchInterval) {
		counting, cancel := context.WithTimeout(ctx, watchTimeout)
		err := w.count(counting)
		cancel()
		switch {
		case err == nil:
			failures = 0
		case ctx.Err() == nil:
			w.metrics.failures.Inc()
			if failures++; failures%20 == 1 {
				w.logger.Warn("the dead letters that wait could not be counted, and are counted later", "error", err)
			}
		}
	}
}

// count reads what is new of the topics, then of the ledger.
func (w *Watch) count(ctx context.Context) error {
	topics := w.topics()
	if len(topics) == 0 {
		w.metrics.show(nil, w.now())
		return nil
	}
	spans, err := w.source.AllSpans(ctx, append(topics[:len(topics):len(topics)], w.ledger)...)
	if err != nil {
		return err
	}
	if w.changed(topics, spans) {
		w.parts, w.byIdentity, w.ledgerRead = map[kafka.Partition]*watched{}, map[uint64]Place{}, 0
	}
	for _, topic := range topics {
		for _, s := range spans[topic] {
			if err := w.letters(ctx, s); err != nil {
				return err
			}
		}
	}
	for _, s := range spans[w.ledger] {
		if err := w.marks(ctx, s); err != nil {
			return err
		}
	}
	w.show(topics)
	return nil
}

// changed reports whether there are other partitions than before, or a topic was made anew:
// then all is counted anew, with all marks.
func (w *Watch) changed(topics []string, spans map[string][]Span) bool {
	n := 0
	for _, topic := range topics {
		for _, s := range spans[topic] {
			n++
			if p := w.parts[s.Partition]; p == nil || p.next > s.To {
				return true
			}
		}
	}
	return n != len(w.parts)
}

func (w *Watch) letters(ctx context.Context, s Span) error {
	p := w.parts[s.Partition]
	if p == nil {
		p = &watched{next: max(s.From, s.To-watchRecords), waiting: map[int64]waitingOf{}, marks: map[int64]bool{}}
		p.from = p.next
		if p.older = p.next - s.From; p.older > 0 {
			if err := w.source.Read(ctx, Span{s.Partition, s.From, p.next}, func(r *kafka.Record) error {
				l := Describe(r)
				p.first = l.Died
				return ErrStop
			}); err != nil && err != ErrStop { //nolint:errorlint // it is returned as it is
				return err
			}
		}
		w.parts[s.Partition] = p
	}
	p.older = min(p.older, max(0, p.from-s.From))
	for offset, one := range p.waiting {
		if offset < s.From { // deleted by retention
			w.remove(p, offset, one)
		}
	}
	if p.next >= s.To {
		return nil
	}
	err := w.source.Read(ctx, Span{s.Partition, max(p.next, s.From), s.To}, func(r *kafka.Record) error {
		p.next = r.Offset + 1
		w.add(p, r)
		return nil
	})
	if err == nil {
		p.next = s.To
	}
	return err
}

func (w *Watch) add(p *watched, r *kafka.Record) {
	if p.marks[r.Offset] {
		delete(p.marks, r.Offset)
		return
	}
	l := Describe(r)
	id := hashed(l.Identity())
	if id != 0 {
		if _, twice := w.byIdentity[id]; twice {
			return
		}
		w.byIdentity[id] = l.Place
	}
	if len(p.waiting) >= watchLetters {
		p.over++
		return
	}
	p.waiting[r.Offset] = waitingOf{label(&l), l.Died, id}
}

func (w *Watch) remove(p *watched, offset int64, one waitingOf) {
	delete(p.waiting, offset)
	if one.identity != 0 {
		delete(w.byIdentity, one.identity)
	}
}

func hashed(identity string) uint64 {
	if identity == "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(identity))
	return h.Sum64()
}

// marks takes what was replayed or dropped off.
func (w *Watch) marks(ctx context.Context, s Span) error {
	if w.ledgerRead > s.To { // it was made anew
		w.ledgerRead = 0
	}
	from := max(w.ledgerRead, s.From)
	if from >= s.To {
		return nil
	}
	err := w.source.Read(ctx, Span{s.Partition, from, s.To}, func(r *kafka.Record) error {
		w.ledgerRead = r.Offset + 1
		place, err := ParsePlace(string(r.Key))
		if err != nil || r.Value == nil {
			return nil //nolint:nilerr // commands report it
		}
		w.mark(place, r.Value)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", w.ledger, err)
	}
	w.ledgerRead = s.To
	return nil
}

func (w *Watch) mark(place Place, value []byte) {
	p := w.parts[kafka.Partition{Topic: place.Topic, Number: place.Partition}]
	switch {
	case p == nil:
	case place.Offset >= p.next:
		p.marks[place.Offset] = true
	case place.Offset < p.from:
		p.older = max(0, p.older-1)
	default:
		if one, ok := p.waiting[place.Offset]; ok {
			w.remove(p, place.Offset, one)
			return
		}
		var m Mark
		if json.Unmarshal(value, &m) != nil {
			return
		}
		// Its twin may be the one that counts.
		if twin, ok := w.byIdentity[hashed(m.Identity)]; ok {
			if q := w.parts[kafka.Partition{Topic: twin.Topic, Number: twin.Partition}]; q != nil {
				if one, ok := q.waiting[twin.Offset]; ok {
					w.remove(q, twin.Offset, one)
					return
				}
			}
		}
		p.over = max(0, p.over-1)
	}
}

func (w *Watch) show(topics []string) {
	counts := make(map[string]count, len(topics))
	for _, topic := range topics {
		counts[topic] = count{reasons: map[string]int{}}
	}
	for part, p := range w.parts {
		c, ok := counts[part.Topic]
		if !ok {
			continue
		}
		if n := p.older + p.over; n > 0 {
			c.reasons[reasonOlder] += int(n)
			c.oldest = earliest(c.oldest, p.first)
		}
		for _, one := range p.waiting {
			c.reasons[one.reason]++
			c.oldest = earliest(c.oldest, one.died)
		}
		counts[part.Topic] = c
	}
	w.metrics.show(counts, w.now())
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
