package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/kafka"
)

// Records reads the committed records of any topics, with franz-go. It is safe for
// concurrent use.
type Records struct {
	fetcher *franzFetcher
	client  *kgo.Client
	admin   *kadm.Client
}

// Span is a part of a partition: from the offset From up to, but without, To.
type Span struct {
	kafka.Partition
	From, To int64
}

// NewRecords returns a reader that must be closed.
func NewRecords(cfg Config, logger *slog.Logger) (*Records, error) {
	opts, missing, err := cfg.connection().FranzOptions()
	if err != nil {
		return nil, fmt.Errorf("create kafka reader: %w", err)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("reading these records needs a connection that franz-go can express: kafka.properties.%s: %s", missing[0].Name, missing[0].Reason)
	}
	client, err := kgo.NewClient(append(opts[:len(opts):len(opts)], kgo.WithLogger(kafka.FranzLogger(logger)))...)
	if err != nil {
		return nil, fmt.Errorf("create kafka reader: %w", err)
	}
	return &Records{fetcher: newFranzFetcher(opts, kafka.FranzLogger(logger)), client: client, admin: kadm.NewClient(client)}, nil
}

// Close ends the connections.
func (r *Records) Close() {
	r.fetcher.end()
	r.client.Close()
}

// Spans are what topics have now, by topic, from the first record with a timestamp of since or
// later; since zero: from the first. They end at the last stable offset; with whole at the high
// watermark, and reading waits for the transactions that are open before it. A topic that is
// missing has none. With an error for which kafka.Hidden reports true, the spans are those of the
// topics that this user may see. A partition without such records has an empty span if since is zero.
func (r *Records) Spans(ctx context.Context, since time.Time, whole bool, topics ...string) (map[string][]Span, error) {
	details, err := r.admin.ListTopics(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("ask kafka for topics: %w", err)
	}
	var exist []string
	var hidden error
	for _, d := range details {
		switch {
		case d.Err == nil:
			exist = append(exist, d.Topic)
		case kafka.Hidden(d.Err):
			hidden = errors.Join(hidden, fmt.Errorf("topic %s: %w", d.Topic, d.Err))
		case !errors.Is(d.Err, kerr.UnknownTopicOrPartition):
			return nil, fmt.Errorf("ask kafka for topic %s: %w", d.Topic, d.Err)
		}
	}
	spans := map[string][]Span{}
	if len(exist) == 0 {
		return spans, hidden
	}
	ask := r.admin.ListCommittedOffsets
	if whole {
		ask = r.admin.ListEndOffsets
	}
	ends, err := ask(ctx, exist...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask kafka for the ends of topics: %w", err)
	}
	begins, err := r.begins(ctx, since, exist...)
	if err != nil {
		return nil, err
	}
	for _, end := range ends.Offsets().Sorted() {
		from, ok := begins.Lookup(end.Topic, end.Partition)
		if ok && from.Offset >= 0 && (from.Offset < end.At || from.Offset == end.At && since.IsZero()) {
			spans[end.Topic] = append(spans[end.Topic], Span{kafka.Partition{Topic: end.Topic, Number: end.Partition}, from.Offset, end.At})
		}
	}
	return spans, hidden
}

func (r *Records) begins(ctx context.Context, since time.Time, topics ...string) (kadm.ListedOffsets, error) {
	var begins kadm.ListedOffsets
	var err error
	if since.IsZero() {
		begins, err = r.admin.ListStartOffsets(ctx, topics...)
	} else {
		begins, err = r.admin.ListOffsetsAfterMilli(ctx, since.UnixMilli(), topics...)
	}
	if err == nil {
		err = begins.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask kafka where topics begin: %w", err)
	}
	return begins, nil
}

// Read passes the committed records of a span to visit, in order, and returns at its end, or
// with visit's error. What Kafka has deleted meanwhile is left out. A record may be kept.
func (r *Records) Read(ctx context.Context, s Span, visit func(*kafka.Record) error) error {
	one := span{Partition: s.Partition, from: s.From, to: s.To}
	for {
		next, err := readOn(ctx, r.fetcher, one, func(l *logRecord) error {
			return visit(&kafka.Record{
				Topic: l.Topic, Partition: l.Number, Offset: l.offset, Timestamp: l.timestamp, Key: l.key, Value: l.value, Headers: l.headers,
			})
		})
		if !errors.Is(err, errTruncated) {
			return err
		}
		begins, asked := r.begins(ctx, time.Time{}, s.Topic)
		if asked != nil {
			return asked
		}
		first, ok := begins.Lookup(s.Topic, s.Number)
		if !ok || first.Offset <= next { // the log ends before: the topic was made anew
			return err
		}
		if first.Offset >= one.to {
			return nil
		}
		one.from = first.Offset
	}
}
