package publish

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/kafka"
)

const (
	// replayPause to mostReplayPause are between checks whether replication has caught up,
	// and between tries of what Kafka does not answer.
	replayPause, mostReplayPause = 500 * time.Millisecond, 2 * time.Second
	// replayAsking bounds the topics that Kafka is asked about at a time.
	replayAsking = 8
	// slowReaders are for partitions that were held up: a broker that is silent takes
	// seconds to be noticed, and must not keep the readers of other partitions.
	slowReaders = 2
	// replayReaders bounds the partitions that are read at a time. Each has up to a few
	// megabytes in memory; two for each core keep it busy while others wait for Kafka.
	leastReplayReaders, mostReplayReaders = 2, 16
)

// Replay visits every deduplicated record that gateways have written with a timestamp of
// from or later, up to an end beyond everything that was appended before the call. It
// reads the topics of today's event types, and those of which it is known that events
// were written to them since from. With toWatermark the end is the high watermark, also of
// partitions whose replicas may not have caught up: what was appended before the call and
// is not acknowledged may be beyond it.
//
// visit is called from several goroutines, in order within a partition. Its error ends
// the replay. What cannot be read at present is waited for until ctx ends, while the rest
// is read: watch is told about every second, and whenever a topic is done, how far each
// topic is. It is called from one goroutine, for the last time before Replay returns.
func (r *Reader) Replay(ctx context.Context, from time.Time, toWatermark bool, visit func(event.LogEntry) error, watch func([]event.TopicReplay)) error {
	p := &replay{reader: r, from: from, toWatermark: toWatermark, since: failpoint.Now(), visit: visit, asking: make(chan struct{}, replayAsking)}
	if err := p.open(); err != nil {
		return err
	}
	defer p.close()
	watching := p.watch(ctx, watch)
	defer watching()
	names, err := p.topics(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range p.progress.addAll(names, r.homes.Load()) {
		group.Go(func() error { return p.topic(ctx, t) })
	}
	return group.Wait()
}

// topics are those that may hold records.
func (p *replay) topics(ctx context.Context) ([]string, error) {
	r := p.reader
	if r.remembered.log != nil {
		notes := p.progress.add(r.remembered.log.topic)
		err := p.ask(ctx, notes, func(ctx context.Context) (time.Duration, error) {
			all, err := r.remembered.load(ctx, r)
			if err == nil && r.homes.Load() != nil {
				r.homes.Store(all)
			}
			return 0, err
		})
		if err != nil {
			return nil, err
		}
		p.progress.finish(notes)
	}
	names := slices.Concat(r.topicFacts.names(), r.remembered.since(p.from))
	return slices.Compact(slices.Sorted(slices.Values(names))), nil
}

// replay is one call of Replay.
type replay struct {
	reader      *Reader
	from, since time.Time
	toWatermark bool
	visit       func(event.LogEntry) error
	asking      chan struct{} // holds one element per question
	fast, slow  chan spanReader
	progress    replayProgress
}

func (p *replay) open() error {
	n := min(max(2*runtime.GOMAXPROCS(0), leastReplayReaders), mostReplayReaders)
	p.fast, p.slow = make(chan spanReader, n), make(chan spanReader, slowReaders)
	for _, c := range [...]chan spanReader{p.fast, p.slow} {
		for range cap(c) {
			one, err := p.reader.scan.newReader()
			if err != nil {
				p.close()
				return err
			}
			c <- one
		}
	}
	return nil
}

// close is called when no reader is in use.
func (p *replay) close() {
	for _, c := range [...]chan spanReader{p.fast, p.slow} {
		for len(c) > 0 {
			(<-c).close()
		}
	}
}

// ask calls do until it succeeds or ctx ends, with few others at a time. Errors are
// reported as what the topic waits for.
func (p *replay) ask(ctx context.Context, t *topicProgress, do func(context.Context) (again time.Duration, err error)) error {
	for {
		select {
		case p.asking <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		again, err := do(ctx)
		<-p.asking
		switch {
		case err != nil:
			t.wait(wholeTopic, t.name+": "+err.Error())
		case again > 0:
			t.wait(wholeTopic, fmt.Sprintf("%s: replicas that may still lack records, for %v", t.name, again.Round(time.Second)))
		default:
			t.wait(wholeTopic, "")
			return nil
		}
		if !backoff.Sleep(ctx, min(max(again, replayPause), mostReplayPause)) {
			return fmt.Errorf("read the log of %s: %w", t.name, ctx.Err())
		}
	}
}

// topic reads one topic.
func (p *replay) topic(ctx context.Context, t *topicProgress) error {
	var spans []span
	err := p.ask(ctx, t, func(ctx context.Context) (again time.Duration, err error) {
		facts, err := p.reader.replicationOf(ctx, t.name)
		if errors.Is(err, errNoTopic) {
			return 0, nil // nothing is in it
		}
		if err != nil {
			return 0, err
		}
		if again = p.left(facts); again > 0 {
			return again, nil
		}
		parts := make([]kafka.Partition, 0, len(facts))
		for number := range facts {
			parts = append(parts, kafka.Partition{Topic: t.name, Number: number})
		}
		spans, err = p.reader.scan.spans(ctx, parts, p.from)
		return 0, err
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, one := range t.begin(spans) {
		group.Go(func() error { return p.partition(ctx, t, one) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	p.progress.finish(t)
	return nil
}

// left is how long to wait until the high watermarks are beyond everything that was
// appended before the replay began.
func (p *replay) left(facts map[int32]replication) (left time.Duration) {
	if p.reader.fencer != nil || p.toWatermark {
		return 0
	}
	now := failpoint.Now()
	for _, r := range facts {
		left = max(left, r.left(p.since, now))
	}
	return left
}

// partition reads one partition, however often it is held up.
func (p *replay) partition(ctx context.Context, t *topicProgress, s *spanProgress) error {
	pauses := backoff.NewExponential(scanPause, mostReplayPause)
	readers := p.fast
	for s.from < s.to {
		next, err := p.readWith(ctx, readers, s)
		if next > s.from {
			pauses.Reset()
			t.wait(s.Number, "")
			readers = p.fast
		}
		s.from = next
		s.at.Store(min(next, s.to))
		var held *heldUp
		switch {
		case errors.As(err, &held):
			t.wait(s.Number, held.Error())
			readers = p.slow
			backoff.Sleep(ctx, pauses.Next())
		case errors.Is(err, errTruncated):
			if err = p.skipDeleted(ctx, t, s, err); err != nil {
				return err
			}
		case err != nil:
			return err
		}
	}
	return nil
}

func (p *replay) readWith(ctx context.Context, readers chan spanReader, s *spanProgress) (next int64, err error) {
	select {
	case reader := <-readers:
		defer func() { readers <- reader }()
		return reader.read(ctx, s.span, func(m *logRecord) error {
			s.at.Store(m.offset)
			if entry, ok := entryOf(m); ok && p.reader.atHome(m) {
				return p.visit(entry)
			}
			return nil
		})
	case <-ctx.Done():
		return s.from, fmt.Errorf("read the log of %s: %w", s.Partition, ctx.Err())
	}
}

// skipDeleted goes on behind what retention has deleted under the reader: whoever begins
// anew does not see it either.
func (p *replay) skipDeleted(ctx context.Context, t *topicProgress, s *spanProgress, cause error) error {
	var begins map[kafka.Partition]int64
	err := p.ask(ctx, t, func(ctx context.Context) (_ time.Duration, err error) {
		begins, err = p.reader.scan.offsets(ctx, []kafka.Partition{s.Partition}, p.from)
		return 0, err
	})
	switch begin := begins[s.Partition]; {
	case err != nil:
		return err
	case begin == noneThatRecent:
		s.from = s.to
	case begin <= s.from:
		return cause
	default:
		s.from = begin
	}
	return nil
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
