package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/kafka"
)

// scanner reads parts of partitions.
type scanner struct {
	connection kafka.Connection
	admin      func() *kafka.Admin
}

// span is a part of a partition: from the offset from up to, but without, to.
type span struct {
	kafka.Partition
	from, to int64
}

const scanPoll = 100 // ms

// errStop is returned by a visit that needs no more records.
var errStop = errors.New("stop reading")

// read passes each record of the spans to visit, in order within a partition.
// It sees committed records only, and waits at the end of each span until no
// open transaction hides any before it. visit may keep the message.
func (s scanner) read(ctx context.Context, spans []span, visit func(*librdkafka.Message) error) error {
	ends := make(map[kafka.Partition]int64, len(spans))
	var assigned []librdkafka.TopicPartition
	for _, part := range spans {
		if part.from < part.to {
			ends[part.Partition] = part.to
			assigned = append(assigned, librdkafka.TopicPartition{Topic: &part.Topic, Partition: part.Number, Offset: librdkafka.Offset(part.from)})
		}
	}
	if len(ends) == 0 {
		return nil
	}
	consumer, err := s.connection.NewConsumer(librdkafka.ConfigMap{
		"group.id":                   "gateway-recovery", // required, but no group is joined
		"enable.auto.commit":         false,
		"enable.auto.offset.store":   false,
		"auto.offset.reset":          "error",
		"enable.partition.eof":       true,
		"isolation.level":            "read_committed",
		"queued.max.messages.kbytes": 32 << 10,
		"fetch.wait.max.ms":          100,
		"enable.metrics.push":        false,
	})
	if err != nil {
		return err
	}
	defer func() { _ = consumer.Close() }()
	if err := consumer.Assign(assigned); err != nil {
		return fmt.Errorf("read back from kafka: %w", err)
	}
	for len(ends) > 0 {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read back from kafka: %w", err)
		}
		done, err := scanStep(consumer.Poll(scanPoll), ends, visit)
		switch {
		case errors.Is(err, errStop):
			return nil
		case err != nil:
			return err
		case done != nil: // the partition's end is reached; no more of it
			if err := consumer.Pause([]librdkafka.TopicPartition{{Topic: &done.Topic, Partition: done.Number}}); err != nil {
				return fmt.Errorf("read back from kafka: %w", err)
			}
		}
	}
	return nil
}

// scanStep takes one of the consumer's events. It returns the partition whose
// end was reached with it, and removes it from ends.
func scanStep(ev librdkafka.Event, ends map[kafka.Partition]int64, visit func(*librdkafka.Message) error) (*kafka.Partition, error) {
	var at librdkafka.TopicPartition
	next := int64(0) // everything before it has been seen
	switch ev := ev.(type) {
	case *librdkafka.Message:
		at, next = ev.TopicPartition, int64(ev.TopicPartition.Offset)+1
		if at.Error != nil {
			return nil, fmt.Errorf("read back from kafka: %w", at.Error)
		}
		if end, ok := ends[kafka.Partition{Topic: *at.Topic, Number: at.Partition}]; ok && int64(at.Offset) < end {
			if err := visit(ev); err != nil {
				return nil, err
			}
		}
	case librdkafka.PartitionEOF:
		at, next = librdkafka.TopicPartition(ev), int64(ev.Offset)
	case librdkafka.Error:
		if ev.IsFatal() || ev.Code() == librdkafka.ErrAutoOffsetReset {
			return nil, fmt.Errorf("read back from kafka: %w", ev)
		}
		return nil, nil // librdkafka continues by itself
	default:
		return nil, nil // nothing came
	}
	reached := kafka.Partition{Topic: *at.Topic, Number: at.Partition}
	if end, ok := ends[reached]; !ok || next < end {
		return nil, nil // not there yet
	}
	delete(ends, reached)
	return &reached, nil
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
