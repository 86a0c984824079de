package publish

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/kafka"
)

// replayPause is between checks whether replication has caught up.
const replayPause = 500 * time.Millisecond

// Replay visits, from one goroutine, every deduplicated record of the event
// types' topics with a timestamp of from or later, in order within a partition,
// up to an end beyond everything that was appended before the call.
func (r *Reader) Replay(ctx context.Context, from time.Time, visit func(event.LogEntry) error) error {
	parts, err := r.caughtUp(ctx, failpoint.Now())
	if err != nil {
		return err
	}
	spans, err := r.scan.spans(ctx, parts, from)
	if err != nil {
		return err
	}
	return r.scan.read(ctx, spans, func(m *logRecord) error {
		entry, ok := entryOf(m)
		if !ok {
			return nil
		}
		return visit(entry)
	})
}

// caughtUp returns all partitions once their high watermarks are beyond
// everything that was appended before since.
func (r *Reader) caughtUp(ctx context.Context, since time.Time) ([]kafka.Partition, error) {
	var parts []kafka.Partition
	for _, topicName := range r.topicFacts.names() {
		for {
			facts, err := r.replicationOf(ctx, topicName)
			if errors.Is(err, errNoTopic) {
				break // nothing was written to it
			}
			if err != nil {
				return nil, err
			}
			if r.fencer != nil || allCaughtUp(facts, since) {
				for number := range facts {
					parts = append(parts, kafka.Partition{Topic: topicName, Number: number})
				}
				break
			}
			backoff.Sleep(ctx, replayPause)
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

// entryOf reads a record back. It reports false for one without a claim.
func entryOf(m *logRecord) (event.LogEntry, bool) {
	e := event.LogEntry{Timestamp: m.timestamp}
	if !decodeHex(e.Claim[:], m.header(event.HeaderClaim)) || !decodeHex(e.Fingerprint[:], m.header(event.HeaderFingerprint)) {
		return event.LogEntry{}, false
	}
	e.Receipt = receiptOf(m)
	return e, true
}

func decodeHex(into, text []byte) bool {
	if hex.DecodedLen(len(text)) != len(into) {
		return false
	}
	_, err := hex.Decode(into, text)
	return err == nil
}

// receiptOf is the receipt that the record's writer returned.
func receiptOf(m *logRecord) event.Receipt {
	r := event.Record{Placement: event.Placement{Topic: m.Topic}, Key: m.key}
	for _, h := range m.headers {
		switch h.Key {
		case event.HeaderID, event.HeaderType, event.HeaderVersion, event.HeaderTime: // those that it reads
			r.Headers = append(r.Headers, event.Header{Name: h.Key, Value: string(h.Value)})
		}
	}
	return event.ReceiptOf(r, event.Position{Partition: m.Number, Offset: m.offset})
}
