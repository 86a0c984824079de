package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
	"eventgateway/internal/kafka"
)

// scanner reads parts of partitions.
type scanner struct {
	connection kafka.Connection
	admin      func() *kafka.Admin
	franz      *franzFetcher // nil: librdkafka reads
}

// span is a part of a partition: from the offset from up to, but without, to.
type span struct {
	kafka.Partition
	from, to int64
}

// logRecord is a record as it was read. Its bytes are shared with others that came with
// it: who keeps a part copies it.
type logRecord struct {
	kafka.Partition
	offset    int64
	timestamp time.Time
	stamped   bool // by the broker when it appended the record, whoever wrote it
	key       []byte
	value     []byte // nil for a tombstone
	headers   []kgo.RecordHeader
}

// header is the first header of that name, nil if there is none.
func (r *logRecord) header(name string) []byte {
	for i := range r.headers {
		if r.headers[i].Key == name {
			if v := r.headers[i].Value; v != nil {
				return v
			}
			return []byte{}
		}
	}
	return nil
}

// spanReader reads spans, one after the other. It is for one goroutine.
type spanReader interface {
	// read passes each committed record of the span to visit, in order, and returns at its
	// end, or with visit's error. Everything before next was seen, whatever the error: with
	// heldUp, reading may go on from there later. visit must not keep the record.
	read(ctx context.Context, s span, visit func(*logRecord) error) (next int64, err error)
	close()
}

// heldUp says why a partition cannot be read further at present.
type heldUp struct {
	part  kafka.Partition
	cause string
	err   error // Kafka's, if it is one
}

func (h *heldUp) Error() string { return h.part.String() + ": " + h.cause }

func (h *heldUp) Unwrap() error { return h.err }

// errTruncated says that a partition's log no longer has, or does not yet have, an
// offset that was read up to.
var errTruncated = errors.New("the log has no such offset")

// openTransaction is the cause of a reader that has met the last stable offset.
func openTransaction(since int64) string {
	return fmt.Sprintf("a transaction is open since offset %d", since)
}

const (
	// scanPause to mostScanPause are between tries of a partition that is held up. The
	// first is short: transactions of other producers end all the time.
	scanPause, mostScanPause = 5 * time.Millisecond, 500 * time.Millisecond
)

// errStop is returned by a visit that needs no more records.
var errStop = errors.New("stop reading")

// newScanner returns a scanner that reads with franz-go if kafka.client allows it and the
// connection can be expressed in it.
func newScanner(cfg Config, admin func() *kafka.Admin, logger *slog.Logger) scanner {
	s := scanner{connection: cfg.connection(), admin: admin}
	choice, err := kafka.ChooseClient(cmp.Or(cfg.Client, kafka.ClientAuto), s.connection)
	if err != nil || choice.Client != kafka.ClientFranz {
		return s
	}
	opts, _, err := s.connection.FranzOptions()
	if err != nil {
		return s
	}
	s.franz = newFranzFetcher(opts, kafka.FranzLogger(logger))
	return s
}

// end closes what readers shared.
func (s scanner) end() {
	if s.franz != nil {
		s.franz.end()
	}
}

func (s scanner) newReader() (spanReader, error) {
	if s.franz != nil {
		return s.franz, nil
	}
	return newLibrdkafkaReader(s.connection)
}

// read passes each committed record of the spans to visit, one span after the other. It
// waits at the end of each until no open transaction hides any before it.
func (s scanner) read(ctx context.Context, spans []span, visit func(*logRecord) error) error {
	reader, err := s.newReader()
	if err != nil {
		return err
	}
	defer reader.close()
	for _, one := range spans {
		if _, err := readOn(ctx, reader, one, visit); err != nil {
			return err
		}
	}
	return nil
}

// readOn reads a span to its end, however often the reader is held up, until ctx ends.
func readOn(ctx context.Context, reader spanReader, s span, visit func(*logRecord) error) (next int64, err error) {
	pauses := backoff.NewExponential(scanPause, mostScanPause)
	for {
		next, err = reader.read(ctx, s, visit)
		var held *heldUp
		if !errors.As(err, &held) {
			return next, err
		}
		if next > s.from {
			pauses.Reset()
		}
		s.from = next
		if !backoff.Sleep(ctx, pauses.Next()) {
			return next, fmt.Errorf("read back from kafka: %w (%w)", held, ctx.Err())
		}
	}
}

// spans are the parts of partitions from the first record with a timestamp of from or
// later up to the high watermark.
func (s scanner) spans(ctx context.Context, parts []kafka.Partition, from time.Time) ([]span, error) {
	ends, err := s.offsets(ctx, parts, time.Time{}) // first: later records are not wanted
	if err != nil {
		return nil, err
	}
	begins, err := s.offsets(ctx, parts, from)
	if err != nil {
		return nil, err
	}
	spans := make([]span, 0, len(parts))
	for part, end := range ends {
		if begin := begins[part]; begin >= 0 { // else no record is that recent
			spans = append(spans, span{Partition: part, from: begin, to: end})
		}
	}
	return spans, nil
}

// offsets asks each partition's leader: for its high watermark if at is zero,
// else for its first record with a timestamp of at or later (-1 if there is
// none). Both include open transactions, beyond the last stable offset. Without an
// error there is an answer for each partition.
func (s scanner) offsets(ctx context.Context, parts []kafka.Partition, at time.Time) (map[kafka.Partition]int64, error) {
	spec := librdkafka.LatestOffsetSpec
	if !at.IsZero() {
		spec = librdkafka.NewOffsetSpecForTimestamp(at.UnixMilli())
	}
	ask := make(map[librdkafka.TopicPartition]librdkafka.OffsetSpec, len(parts))
	for _, part := range parts {
		ask[librdkafka.TopicPartition{Topic: &part.Topic, Partition: part.Number}] = spec
	}
	var result librdkafka.ListOffsetsResult
	err := s.admin().Use(func(admin *librdkafka.AdminClient) (err error) {
		result, err = admin.ListOffsets(ctx, ask,
			librdkafka.SetAdminIsolationLevel(librdkafka.IsolationLevelReadUncommitted),
			librdkafka.SetAdminRequestTimeout(max(time.Second, kafka.TimeLeft(ctx, metadataTimeout))))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask kafka for offsets: %w", err)
	}
	least := int64(0)
	if !at.IsZero() {
		least = noneThatRecent
	}
	found := make(map[kafka.Partition]int64, len(parts))
	for at, info := range result.ResultInfos {
		part := kafka.Partition{Topic: *at.Topic, Number: at.Partition}
		if info.Error.Code() != librdkafka.ErrNoError {
			return nil, fmt.Errorf("ask kafka for offsets of %s: %w", part, info.Error)
		}
		// librdkafka reports no error when its request times out or its connection
		// breaks: only the offset is none.
		if int64(info.Offset) >= least {
			found[part] = int64(info.Offset)
		}
	}
	for _, part := range parts {
		if _, ok := found[part]; !ok {
			return nil, fmt.Errorf("ask kafka for offsets of %s: no answer", part)
		}
	}
	return found, nil
}

// noneThatRecent is Kafka's answer when no record has the timestamp or a later one.
const noneThatRecent = -1
