package publish

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

// replayPause is the time between looks whether replication has caught up.
const replayPause = 500 * time.Millisecond

// Quiesce waits until nothing that was claimed before since can still be
// appended: a whole lease, or, in transactional mode, until every producer that
// there ever was is fenced.
func (p *Producer) Quiesce(ctx context.Context, since time.Time) error {
	if p.cfg.Transactional {
		return p.fenceAll(ctx)
	}
	waitUntil(ctx, since.Add(p.cfg.Lease))
	return ctx.Err()
}

// Replay visits, from one goroutine, every deduplicated record of the event
// types' topics with a timestamp of from or later, in order within a partition,
// up to an end beyond everything that was appended before the call.
func (p *Producer) Replay(ctx context.Context, from time.Time, visit func(event.LogEntry) error) error {
	parts, err := p.caughtUp(ctx, failpoint.Now())
	if err != nil {
		return err
	}
	spans, err := p.spans(ctx, parts, from)
	if err != nil {
		return err
	}
	return p.scan(ctx, spans, func(m *kafka.Message) error {
		entry, ok := entryOf(m)
		if !ok {
			return nil
		}
		return visit(entry)
	})
}

// caughtUp returns all partitions once their high watermarks are beyond
// everything that was appended before since.
func (p *Producer) caughtUp(ctx context.Context, since time.Time) ([]partition, error) {
	var parts []partition
	for _, topicName := range p.topics.names() {
		for {
			facts, err := p.replicationOf(ctx, topicName)
			if errors.Is(err, errNoTopic) {
				break // nothing was ever written to it
			}
			if err != nil {
				return nil, err
			}
			if p.cfg.Transactional || allCaughtUp(facts, since) {
				for number := range facts {
					parts = append(parts, partition{topicName, number})
				}
				break
			}
			waitUntil(ctx, time.Now().Add(replayPause))
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("wait for replicas of %s: %w", topicName, err)
			}
		}
	}
	return parts, nil
}

func allCaughtUp(facts map[int32]replication, since time.Time) bool {
	now := failpoint.Now()
	for _, r := range facts {
		if r.left(since, now) > 0 {
			return false
		}
	}
	return true
}

func headerOf(m *kafka.Message, name string) string {
	for _, h := range m.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// entryOf reads a record back. It reports false for one without a claim.
func entryOf(m *kafka.Message) (event.LogEntry, bool) {
	e := event.LogEntry{Timestamp: m.Timestamp}
	if !decodeHex(e.Claim[:], headerOf(m, event.HeaderClaim)) || !decodeHex(e.Fingerprint[:], headerOf(m, event.HeaderFingerprint)) {
		return event.LogEntry{}, false
	}
	e.Receipt = receiptOf(m)
	return e, true
}

func decodeHex(into []byte, text string) bool {
	if hex.DecodedLen(len(text)) != len(into) {
		return false
	}
	_, err := hex.Decode(into, []byte(text))
	return err == nil
}

// receiptOf gives the receipt that the record's writer gave.
func receiptOf(m *kafka.Message) event.Receipt {
	r := event.Record{Placement: event.Placement{Topic: *m.TopicPartition.Topic}, Key: m.Key}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, event.Header{Name: h.Key, Value: string(h.Value)})
	}
	return event.ReceiptOf(r, event.Position{Partition: m.TopicPartition.Partition, Offset: int64(m.TopicPartition.Offset)})
}
