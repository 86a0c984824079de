package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// span is a part of a partition: from the offset from up to, but without, to.
type span struct {
	partition
	from, to int64
}

const scanPoll = 100 // ms

// errEnough ends a scan early, without an error.
var errEnough = errors.New("enough was read")

// scan reads spans and shows each record to visit, in order within a partition.
// It sees committed records only, and waits at the end of each span until no
// open transaction hides any before it. A message's memory is visit's to keep.
func (p *Producer) scan(ctx context.Context, spans []span, visit func(*kafka.Message) error) error {
	ends := make(map[partition]int64, len(spans))
	var assigned []kafka.TopicPartition
	for _, s := range spans {
		if s.from < s.to {
			ends[s.partition] = s.to
			assigned = append(assigned, kafka.TopicPartition{Topic: &s.topic, Partition: s.number, Offset: kafka.Offset(s.from)})
		}
	}
	if len(ends) == 0 {
		return nil
	}
	consumer, err := p.newConsumer()
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
		case errors.Is(err, errEnough):
			return nil
		case err != nil:
			return err
		case done != nil: // the partition's end is reached; no more of it
			if err := consumer.Pause([]kafka.TopicPartition{{Topic: &done.topic, Partition: done.number}}); err != nil {
				return fmt.Errorf("read back from kafka: %w", err)
			}
		}
	}
	return nil
}

// scanStep takes one of the consumer's events. It returns the partition whose
// end was reached with it, and removes it from ends.
func scanStep(ev kafka.Event, ends map[partition]int64, visit func(*kafka.Message) error) (*partition, error) {
	var at kafka.TopicPartition
	next := int64(0) // everything before it has been seen
	switch ev := ev.(type) {
	case *kafka.Message:
		at, next = ev.TopicPartition, int64(ev.TopicPartition.Offset)+1
		if at.Error != nil {
			return nil, fmt.Errorf("read back from kafka: %w", at.Error)
		}
		if end, ok := ends[partition{*at.Topic, at.Partition}]; ok && int64(at.Offset) < end {
			if err := visit(ev); err != nil {
				return nil, err
			}
		}
	case kafka.PartitionEOF:
		at, next = kafka.TopicPartition(ev), int64(ev.Offset)
	case kafka.Error:
		if ev.IsFatal() || ev.Code() == kafka.ErrAutoOffsetReset {
			return nil, fmt.Errorf("read back from kafka: %w", ev)
		}
		return nil, nil // librdkafka goes on by itself
	default:
		return nil, nil // nothing came
	}
	reached := partition{*at.Topic, at.Partition}
	if end, ok := ends[reached]; !ok || next < end {
		return nil, nil // not there yet
	}
	delete(ends, reached)
	return &reached, nil
}

func (p *Producer) newConsumer() (*kafka.Consumer, error) {
	conf := kafka.ConfigMap{}
	for k, v := range p.cfg.Properties {
		conf[k] = v
	}
	maps.Copy(conf, kafka.ConfigMap{
		"bootstrap.servers":          strings.Join(p.cfg.Brokers, ","),
		"group.id":                   "gateway-recovery", // required, but no group is joined
		"enable.auto.commit":         false,
		"enable.auto.offset.store":   false,
		"auto.offset.reset":          "error",
		"enable.partition.eof":       true,
		"isolation.level":            "read_committed",
		"allow.auto.create.topics":   false,
		"queued.max.messages.kbytes": 32 << 10,
		"fetch.wait.max.ms":          100,
		"enable.metrics.push":        false,
	})
	consumer, err := kafka.NewConsumer(&conf)
	if err != nil {
		return nil, fmt.Errorf("create kafka consumer: %w", err)
	}
	return consumer, nil
}

// offsets asks each partition's leader: for its high watermark if at is zero,
// else for its first record with a timestamp of at or later (-1 if there is
// none). Both look behind the last stable offset, at open transactions. Without an
// error there is an answer for each partition.
func (p *Producer) offsets(ctx context.Context, parts []partition, at time.Time) (map[partition]int64, error) {
	spec := kafka.LatestOffsetSpec
	if !at.IsZero() {
		spec = kafka.NewOffsetSpecForTimestamp(at.UnixMilli())
	}
	ask := make(map[kafka.TopicPartition]kafka.OffsetSpec, len(parts))
	for _, part := range parts {
		ask[kafka.TopicPartition{Topic: &part.topic, Partition: part.number}] = spec
	}
	var result kafka.ListOffsetsResult
	err := p.present().use(func(admin *kafka.AdminClient) (err error) {
		result, err = admin.ListOffsets(ctx, ask,
			kafka.SetAdminIsolationLevel(kafka.IsolationLevelReadUncommitted),
			kafka.SetAdminRequestTimeout(max(time.Second, timeLeft(ctx, metadataTimeout))))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask kafka for offsets: %w", err)
	}
	least := int64(0)
	if !at.IsZero() {
		least = noneThatYoung
	}
	found := make(map[partition]int64, len(parts))
	for at, info := range result.ResultInfos {
		part := partition{*at.Topic, at.Partition}
		if info.Error.Code() != kafka.ErrNoError {
			return nil, fmt.Errorf("ask kafka for offsets of %s: %w", partitionLabel(part.topic, part.number), info.Error)
		}
		// librdkafka reports no error when its request times out or its connection
		// breaks: only the offset is none.
		if int64(info.Offset) >= least {
			found[part] = int64(info.Offset)
		}
	}
	for _, part := range parts {
		if _, ok := found[part]; !ok {
			return nil, fmt.Errorf("ask kafka for offsets of %s: no answer", partitionLabel(part.topic, part.number))
		}
	}
	return found, nil
}

// noneThatYoung is Kafka's answer when no record has the timestamp or a later one.
const noneThatYoung = -1
