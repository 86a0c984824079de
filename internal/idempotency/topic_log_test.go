package idempotency

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
)

// topicLog is a log with topics, as one gateway reads it. Several gateways may share topics.
type topicLog struct {
	topics  map[string]*fakeTopic
	before  func(ctx context.Context, topic string, offset int64) error // reading a record
	asks    func(ctx context.Context, topic string) error               // what is to be read of a topic
	quiesce func(context.Context) error
	unknown string            // a topic that only other gateways know
	why     map[string]string // what a topic waits for
	waits   atomic.Int32
	passes  atomic.Int32
	read    atomic.Int32 // records
	turns   atomic.Int32 // spans that were read here
	slots   chan struct{}

	toWatermark atomic.Bool // of the last replay
}

// limit bounds the spans that are read at a time.
func (l *topicLog) limit(n int) { l.slots = make(chan struct{}, n) }

func (l *topicLog) slot(ctx context.Context) (free func()) {
	if l.slots == nil {
		return func() {}
	}
	select {
	case l.slots <- struct{}{}:
		return func() { <-l.slots }
	case <-ctx.Done():
		return func() {}
	}
}

type fakeTopic struct {
	types      []string
	partitions [][]event.LogEntry
}

func (l *topicLog) Quiesce(ctx context.Context, _ time.Time, _ []string) error {
	l.waits.Add(1)
	if l.quiesce != nil {
		return l.quiesce(ctx)
	}
	return ctx.Err()
}

// seenBy is the same log as another gateway reads it.
func (l *topicLog) seenBy() *topicLog { return &topicLog{topics: l.topics} }

func (l *topicLog) Replay(ctx context.Context, _ time.Time, toWatermark bool, visit func(event.LogEntry) error, watch func([]event.TopicReplay), share event.ReplayShare) error {
	l.passes.Add(1)
	l.toWatermark.Store(toWatermark)
	var list []event.TopicReplay
	for name, t := range l.topics {
		if name != l.unknown {
			list = append(list, event.TopicReplay{Topic: name, Types: t.types})
		}
	}
	return l.run(ctx, list, visit, watch, share)
}

func (l *topicLog) HelpReplay(ctx context.Context, _ time.Time, topics []event.TopicReplay, visit func(event.LogEntry) error, watch func([]event.TopicReplay), share event.ReplayShare) error {
	return l.run(ctx, topics, visit, watch, share)
}

func (l *topicLog) run(ctx context.Context, list []event.TopicReplay, visit func(event.LogEntry) error, watch func([]event.TopicReplay), share event.ReplayShare) error {
	var mu sync.Mutex
	now := map[string]event.TopicReplay{}
	for _, t := range list {
		now[t.Topic] = t
	}
	tell := func() {
		mu.Lock()
		topics := slices.SortedFunc(maps.Values(now), func(a, b event.TopicReplay) int { return cmp.Compare(a.Topic, b.Topic) })
		for i := range topics {
			topics[i].Spans = slices.Clone(topics[i].Spans)
		}
		mu.Unlock()
		watch(topics)
	}
	var watching sync.WaitGroup
	end := make(chan struct{})
	watching.Go(func() {
		for {
			select {
			case <-end:
				tell()
				return
			case <-time.After(50 * time.Millisecond):
				tell()
			}
		}
	})
	defer func() { close(end); watching.Wait() }()
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range list {
		group.Go(func() error {
			spans, ok := share.Fixed(t.Topic)
			if !ok {
				for n, entries := range l.topics[t.Topic].partitions {
					spans = append(spans, event.SpanReplay{Partition: int32(n), To: int64(len(entries))})
				}
				if l.asks != nil {
					if err := l.asks(ctx, t.Topic); err != nil {
						return err
					}
				}
				var err error
				if spans, err = share.Fix(ctx, event.TopicReplay{Topic: t.Topic, Types: t.Types, Spans: spans}); err != nil {
					return err
				}
			}
			change := func(how func(*event.TopicReplay)) {
				mu.Lock()
				defer mu.Unlock()
				state := now[t.Topic]
				how(&state)
				now[t.Topic] = state
			}
			change(func(state *event.TopicReplay) {
				state.Spans = spans
				for _, s := range spans {
					state.Total += s.To - s.From
				}
				if why := l.why[t.Topic]; why != "" {
					state.Waiting = []string{why}
				}
			})
			readers, ctx := errgroup.WithContext(ctx)
			for i, s := range spans {
				readers.Go(func() error {
					return l.span(ctx, t.Topic, s, visit, share, func(at int64) {
						change(func(state *event.TopicReplay) { state.Read += at - state.Spans[i].At; state.Spans[i].At = at })
					})
				})
			}
			if err := readers.Wait(); err != nil {
				return err
			}
			change(func(state *event.TopicReplay) { state.Done, state.Waiting = true, nil })
			return nil
		})
	}
	return group.Wait()
}

func (l *topicLog) span(ctx context.Context, topic string, s event.SpanReplay, visit func(event.LogEntry) error, share event.ReplayShare, at func(int64)) error {
	offset := s.At
	free := func() {}
	defer func() { free() }()
	for {
		free()
		free = l.slot(ctx)
		turn, err := share.Take(ctx, topic, s.Partition)
		if err != nil {
			return err
		}
		offset = max(offset, turn.At)
		at(offset)
		if offset >= s.To {
			return nil
		}
		if turn.Mine {
			break
		}
		free()
		free = func() {}
		if !backoff.Sleep(ctx, pollEvery) {
			return ctx.Err()
		}
	}
	l.turns.Add(1)
	for ; offset < s.To; offset++ {
		at(offset)
		if l.before != nil {
			if err := l.before(ctx, topic, offset); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.read.Add(1)
		if err := visit(l.topics[topic].partitions[s.Partition][offset]); err != nil {
			return err
		}
	}
	at(offset)
	return nil
}

// topicsOf are topics of one type each, with the same name in capitals, and so many records
// in each of their partitions.
func (r *rig) topicsOf(partitions, records int, names ...string) *topicLog {
	l := &topicLog{topics: map[string]*fakeTopic{}, why: map[string]string{}}
	for _, name := range names {
		t := &fakeTopic{types: []string{strings.ToUpper(name)}}
		for range partitions {
			t.partitions = append(t.partitions, r.written(records).entries)
		}
		l.topics[name] = t
	}
	return l
}

func (l *topicLog) records() (n int32) {
	for _, t := range l.topics {
		for _, entries := range t.partitions {
			n += int32(len(entries))
		}
	}
	return n
}

// mustHoldTopics requires that each record of the log is settled in Redis.
func (r *rig) mustHoldTopics(t *testing.T, l *topicLog) {
	t.Helper()
	for _, topic := range l.topics {
		for _, entries := range topic.partitions {
			r.mustHold(t, &fakeLog{entries: entries})
		}
	}
}

// typed is a new claim of a type.
func (r *rig) typed(eventType string) event.Claim {
	c := r.newClaim()
	c.Type = eventType
	return c
}

// delivery is a new claim of a webhook's delivery.
func (r *rig) delivery(eventType, typesBegin string) event.Claim {
	c := r.typed(eventType)
	c.Delivery, c.TypesBegin = true, typesBegin
	return c
}
