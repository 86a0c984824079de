package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"eventgateway/internal/kafka"
)

// Span is a part of a partition: from the offset From up to, but without, To.
type Span struct {
	kafka.Partition
	From, To int64
}

// Source reads Kafka.
type Source interface {
	// Spans are what a topic has now, from the first record with a timestamp of since or
	// later; none if there is no such topic.
	Spans(ctx context.Context, topic string, since time.Time) ([]Span, error)
	// Read passes the committed records of a span to visit, in order.
	Read(ctx context.Context, s Span, visit func(*kafka.Record) error) error
}

// ErrStop is what a visit returns that needs no more records.
var ErrStop = errors.New("stop reading")

// ReadLedger reads all that is known of what became of dead letters.
func ReadLedger(ctx context.Context, from Source, topic string) (*Ledger, error) {
	ledger := NewLedger()
	spans, err := from.Spans(ctx, topic, time.Time{})
	for _, s := range spans {
		if err == nil {
			err = from.Read(ctx, s, func(r *kafka.Record) error { return ledger.Learn(string(r.Key), r.Value) })
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", topic, err)
	}
	return ledger, nil
}

// Find passes the dead letters of topics that a filter takes to visit: topic by topic, and
// partition by partition in order. A topic that is missing has none.
func Find(ctx context.Context, from Source, topics []string, f Filter, visit func(*kafka.Record, Letter) error) error {
	for _, topic := range topics {
		spans, err := spansOf(ctx, from, topic, &f)
		for _, s := range spans {
			if err == nil {
				err = from.Read(ctx, s, func(r *kafka.Record) error {
					if l := Describe(r); f.Takes(&l) {
						return visit(r, l)
					}
					return nil
				})
			}
		}
		if errors.Is(err, ErrStop) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read dead letters of %s: %w", topic, err)
		}
	}
	return nil
}

// spansOf is what has to be read of a topic. A letter is written when its record is given up
// or later, so that what was written before Since is not wanted.
func spansOf(ctx context.Context, from Source, topic string, f *Filter) ([]Span, error) {
	if len(f.Places) == 0 {
		since := f.Since
		if !since.IsZero() {
			since = since.Add(-clockSlack)
		}
		return from.Spans(ctx, topic, since)
	}
	all, err := from.Spans(ctx, topic, time.Time{})
	if err != nil {
		return nil, err
	}
	var spans []Span
	for _, p := range f.Places {
		for _, s := range all {
			if p.Topic == topic && p.Partition == s.Number && p.Offset >= s.From && p.Offset < s.To {
				spans = append(spans, Span{Partition: s.Partition, From: p.Offset, To: p.Offset + 1})
			}
		}
	}
	return spans, nil
}

// clockSlack is how much the clocks of writers and brokers may differ. Writers that keep the
// record's own timestamp, as Kafka Connect does, have none but that.
const clockSlack = time.Hour
