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
	// replayTurns is between two questions whether it is our turn to read a partition.
	replayTurns = 300 * time.Millisecond
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
//
// With a share, others may read some of the spans, or have read them before: those are
// waited for, too, and not visited. What watch is told is then visited here, or kept there.
func (r *Reader) Replay(ctx context.Context, from time.Time, toWatermark bool, visit func(event.LogEntry) error, watch func([]event.TopicReplay), share event.ReplayShare) error {
	p := &replay{reader: r, from: from, toWatermark: toWatermark, since: failpoint.Now(), visit: visit, share: share, asking: make(chan struct{}, replayAsking)}
	return p.run(ctx, watch, func(ctx context.Context) ([]*topicProgress, error) {
		names, err := p.topics(ctx)
		if err != nil {
			return nil, err
		}
		return p.progress.addAll(names, r.homes.Load()), nil
	})
}

// HelpReplay takes part in another process' Replay: it reads those of the topics' spans that
// the share gives it, and returns when all of them are read, by whomever. Records count where
// that process, or this one, knows that gateways write them.
func (r *Reader) HelpReplay(ctx context.Context, from time.Time, topics []event.TopicReplay, visit func(event.LogEntry) error, watch func([]event.TopicReplay), share event.ReplayShare) error {
	p := &replay{reader: r, from: from, since: failpoint.Now(), visit: visit, share: share, types: map[string][]string{}, asking: make(chan struct{}, replayAsking)}
	return p.run(ctx, watch, func(ctx context.Context) ([]*topicProgress, error) {
		if err := p.remember(ctx); err != nil {
			return nil, err
		}
		for _, t := range topics {
			p.types[t.Topic] = t.Types
		}
		return p.progress.addFixed(topics), nil
	})
}

// run reads the topics that list returns.
func (p *replay) run(ctx context.Context, watch func([]event.TopicReplay), list func(context.Context) ([]*topicProgress, error)) error {
	if err := p.open(); err != nil {
		return err
	}
	defer p.close()
	watching := p.watch(ctx, watch)
	defer watching()
	topics, err := list(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range topics {
		group.Go(func() error { return p.topic(ctx, t) })
	}
	return group.Wait()
}

// topics are those that may hold records.
func (p *replay) topics(ctx context.Context) ([]string, error) {
	if err := p.remember(ctx); err != nil {
		return nil, err
	}
	r := p.reader
	names := slices.Concat(r.topicFacts.names(), r.remembered.since(p.from))
	return slices.Compact(slices.Sorted(slices.Values(names))), nil
}

// remember learns from Kafka which types were written to which topics.
func (p *replay) remember(ctx context.Context) error {
	r := p.reader
	if r.remembered.log == nil {
		return nil
	}
	notes := p.progress.add(r.remembered.log.topic)
	err := p.ask(ctx, notes, func(ctx context.Context) (time.Duration, error) {
		all, err := r.remembered.load(ctx, r)
		if err == nil && r.homes.Load() != nil {
			r.homes.Store(all)
		}
		return 0, err
	})
	if err == nil {
		p.progress.finish(notes)
	}
	return err
}

// replay is one call of Replay.
type replay struct {
	reader      *Reader
	from, since time.Time
	toWatermark bool
	visit       func(event.LogEntry) error
	share       event.ReplayShare   // nil: nobody else reads
	types       map[string][]string // of topics, as another process knows them
	asking      chan struct{}       // holds one element per question
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
	spans, err := p.spans(ctx, t)
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

// spans are what is to be read of a topic.
func (p *replay) spans(ctx context.Context, t *topicProgress) (spans []event.SpanReplay, err error) {
	if p.share != nil {
		if fixed, ok := p.share.Fixed(t.name); ok {
			return fixed, nil
		}
	}
	var few time.Time // when a partition last had too few replicas in sync
	err = p.ask(ctx, t, func(ctx context.Context) (again time.Duration, err error) {
		spans = nil
		facts, err := p.reader.replicationOf(ctx, t.name)
		if errors.Is(err, errNoTopic) {
			return 0, nil // nothing is in it
		}
		if err != nil {
			return 0, err
		}
		if err := enoughInSync(facts); err != nil {
			few = failpoint.Now()
			return 0, err
		}
		if again = p.left(facts, few); again > 0 {
			return again, nil
		}
		parts := make([]kafka.Partition, 0, len(facts))
		for number := range facts {
			parts = append(parts, kafka.Partition{Topic: t.name, Number: number})
		}
		found, err := p.reader.scan.spans(ctx, parts, p.from)
		for _, s := range found {
			spans = append(spans, event.SpanReplay{Partition: s.Number, From: s.from, To: s.to, At: s.from})
		}
		return 0, err
	})
	if err != nil || p.share == nil {
		return spans, err
	}
	return p.share.Fix(ctx, event.TopicReplay{Topic: t.name, Types: t.types, Spans: spans})
}

// enoughInSync fails if a partition's high watermark does not move until followers are back.
func enoughInSync(facts map[int32]replication) error {
	for number, r := range facts {
		if enough := r.enoughInSync(); r.inSync < enough {
			return fmt.Errorf("partition %d has %d replicas in sync of the %d that it needs (min.insync.replicas): records behind its high watermark may still appear", number, r.inSync, enough)
		}
	}
	return nil
}

// left is how long to wait until the high watermarks are beyond everything that was
// appended before the replay began. few is when replicas were last missing: those that came
// back may lag as others.
func (p *replay) left(facts map[int32]replication, few time.Time) (left time.Duration) {
	since := p.since
	if p.toWatermark {
		since = few
	}
	if p.reader.fencer != nil || since.IsZero() {
		return 0
	}
	now := failpoint.Now()
	if few.After(since) {
		since = few
	}
	for _, r := range facts {
		left = max(left, r.left(since, now))
	}
	return left
}

// partition reads one partition, however often it is held up.
func (p *replay) partition(ctx context.Context, t *topicProgress, s *spanProgress) error {
	pauses := backoff.NewExponential(scanPause, mostReplayPause)
	readers := p.fast
	for s.from < s.to {
		next, err := p.readWith(ctx, readers, t, s)
		if next > s.from {
			pauses.Reset()
			t.wait(s.Number, "")
			readers = p.fast
		}
		s.from = next
		s.at.Store(min(next, s.to))
		var held *heldUp
		switch {
		case errors.Is(err, errNotOurTurn):
			readers = p.fast
			backoff.Sleep(ctx, replayTurns)
		case errors.As(err, &held):
			t.wait(s.Number, held.Error())
			readers = p.slow
			pause := pauses.Next()
			backoff.Sleep(ctx, pause)
			// Whoever begins anew does not read a topic that is deleted either.
			if pause > replayPause && errors.Is(p.reader.confirmMissing(ctx, t.name), errNoTopic) {
				s.from = s.to
				s.at.Store(s.to)
			}
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

// errNotOurTurn says that another process reads a span.
var errNotOurTurn = errors.New("another process reads the partition")

// readWith reads on, as soon as one of the readers is free. Only then it asks for its turn:
// what waits for a reader here may be read elsewhere.
func (p *replay) readWith(ctx context.Context, readers chan spanReader, t *topicProgress, s *spanProgress) (next int64, err error) {
	select {
	case reader := <-readers:
		defer func() { readers <- reader }()
		at, err := p.turn(ctx, t, s)
		if err != nil || at >= s.to {
			return at, err
		}
		return reader.read(ctx, span{s.Partition, at, s.to}, func(m *logRecord) error {
			s.at.Store(m.offset)
			if entry, ok := entryOf(m); ok && p.atHome(m) {
				return p.visit(entry)
			}
			return nil
		})
	case <-ctx.Done():
		return s.from, fmt.Errorf("read the log of %s: %w", s.Partition, ctx.Err())
	}
}

// turn is where to read on.
func (p *replay) turn(ctx context.Context, t *topicProgress, s *spanProgress) (at int64, err error) {
	if p.share == nil {
		return s.from, nil
	}
	turn, err := p.share.Take(ctx, s.Topic, s.Number)
	if err != nil {
		return s.from, err
	}
	at = max(s.from, turn.At)
	if turn.Mine || at >= s.to {
		return at, nil
	}
	t.wait(s.Number, turn.Waiting)
	return at, errNotOurTurn
}

// atHome says whether a record with a claim is where a gateway may have written it.
func (p *replay) atHome(m *logRecord) bool {
	if p.reader.atHome(m) {
		return true
	}
	types := p.types[m.Topic]
	return types != nil && (slices.Contains(types, string(m.header(event.HeaderType))) || slices.Contains(types, AnyType))
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
		s.from = min(begin, s.to)
	}
	s.at.Store(s.from)
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
