package publish

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

const (
	replayReport = time.Second // between reports of progress
	// What a replay waits for is logged when it has waited so long, and then now and then.
	replayPatience, replayReminder = 5 * time.Second, 30 * time.Second
	namedWaiting                   = 5 // bounds what one line names
)

// wholeTopic stands for all partitions of a topic.
const wholeTopic = -1

// replayProgress knows how far each topic is.
type replayProgress struct {
	mu     sync.Mutex
	topics []*topicProgress
	done   chan struct{} // receives when a topic is done
}

type topicProgress struct {
	name  string
	types []string // see event.TopicReplay

	mu      sync.Mutex
	spans   []*spanProgress
	waiting map[int32]waiting
	done    bool
}

type waiting struct {
	cause string
	since time.Time
}

// longWait is a partition that waits for long, wholeTopic for all of its topic.
type longWait struct {
	kafka.Partition
	cause string
}

// spanProgress is a span that is being read. from moves on; at is for other goroutines.
type spanProgress struct {
	span
	first int64
	at    atomic.Int64
}

func (p *replayProgress) add(name string) *topicProgress {
	t := &topicProgress{name: name, waiting: map[int32]waiting{}}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.topics = append(p.topics, t)
	return t
}

// addAll adds topics at once: whoever sees one of a type sees all of them.
func (p *replayProgress) addAll(names []string, h *homes) []*topicProgress {
	all := make([]*topicProgress, len(names))
	for i, name := range names {
		all[i] = &topicProgress{name: name, types: h.typesOf(name), waiting: map[int32]waiting{}}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.topics = append(p.topics, all...)
	return all
}

// addFixed is addAll for topics whose types another process knows.
func (p *replayProgress) addFixed(topics []event.TopicReplay) []*topicProgress {
	all := make([]*topicProgress, len(topics))
	for i, t := range topics {
		all[i] = &topicProgress{name: t.Topic, types: t.Types, waiting: map[int32]waiting{}}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.topics = append(p.topics, all...)
	return all
}

func (p *replayProgress) finish(t *topicProgress) {
	t.mu.Lock()
	t.done = true
	clear(t.waiting)
	t.mu.Unlock()
	select {
	case p.done <- struct{}{}:
	default:
	}
}

// begin notes what has to be read.
func (t *topicProgress) begin(spans []event.SpanReplay) []*spanProgress {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range spans {
		one := &spanProgress{span: span{kafka.Partition{Topic: t.name, Number: s.Partition}, s.At, s.To}, first: s.From}
		one.at.Store(s.At)
		t.spans = append(t.spans, one)
	}
	return t.spans
}

// wait notes why a partition is not read on, "" if it is.
func (t *topicProgress) wait(number int32, cause string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if cause == "" {
		delete(t.waiting, number)
		return
	}
	since := time.Now()
	if before, ok := t.waiting[number]; ok {
		since = before.since
	}
	t.waiting[number] = waiting{cause, since}
}

// state is how far the topic is, and which of its partitions wait since before then.
func (t *topicProgress) state(then time.Time) (state event.TopicReplay, long []longWait) {
	t.mu.Lock()
	defer t.mu.Unlock()
	state = event.TopicReplay{Topic: t.name, Types: t.types, Done: t.done}
	for _, s := range t.spans {
		at := s.at.Load()
		state.Total += s.to - s.first
		state.Read += at - s.first
		state.Spans = append(state.Spans, event.SpanReplay{Partition: s.Number, From: s.first, To: s.to, At: at})
	}
	for _, number := range slices.Sorted(maps.Keys(t.waiting)) {
		w := t.waiting[number]
		state.Waiting = append(state.Waiting, w.cause)
		if w.since.Before(then) {
			long = append(long, longWait{kafka.Partition{Topic: t.name, Number: number}, w.cause})
		}
	}
	return state, long
}

func (p *replayProgress) states(then time.Time) (states []event.TopicReplay, long []longWait) {
	p.mu.Lock()
	topics := slices.SortedFunc(slices.Values(p.topics), func(a, b *topicProgress) int { return cmp.Compare(a.name, b.name) })
	p.mu.Unlock()
	for _, t := range topics {
		state, more := t.state(then)
		states, long = append(states, state), append(long, more...)
	}
	return states, long
}

// watch reports until stop is called, which returns after the last report.
func (p *replay) watch(ctx context.Context, watch func([]event.TopicReplay)) (stop func()) {
	p.progress.done = make(chan struct{}, 1)
	end := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(replayReport)
		defer tick.Stop()
		var lines waitingLines
		for ended := false; !ended; {
			select {
			case <-tick.C:
			case <-p.progress.done:
			case <-end:
				ended = true
			}
			now := time.Now()
			states, long := p.progress.states(now.Add(-p.reader.patience))
			watch(states)
			if !ended {
				lines.log(ctx, p.reader.logger, long, now)
			}
		}
	})
	return func() { close(end); watching.Wait() }
}

// waitingLines logs what waits for long: what was not named before at once, and all
// again now and then.
type waitingLines struct {
	named  map[kafka.Partition]bool // by the last line, or before since it waits
	logged time.Time
}

func (l *waitingLines) log(ctx context.Context, logger *slog.Logger, long []longWait, now time.Time) {
	named, fresh := make(map[kafka.Partition]bool, len(long)), false
	causes := make([]string, len(long))
	for i, w := range long {
		causes[i], named[w.Partition] = w.cause, true
		fresh = fresh || !l.named[w.Partition]
	}
	l.named = named
	if len(long) == 0 || !fresh && now.Sub(l.logged) < replayReminder {
		return
	}
	l.logged = now
	logger.LogAttrs(ctx, slog.LevelWarn, "reading the log waits for partitions that cannot be read, and goes on with the others",
		slog.Any("waiting", causes[:min(len(causes), namedWaiting)]), slog.Int("more", max(0, len(causes)-namedWaiting)))
}
