package idempotency

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/event"
)

const (
	// turnFor is how long a gateway that has fallen silent keeps others from a partition.
	turnFor = 10 * time.Second
	// stuckFor is how long it keeps them from one that it cannot read: a broker may be
	// silent to it alone. Then it does not ask for the partition for letGo.
	stuckFor, letGo = 30 * time.Second, 3 * time.Second
)

var (
	errStateGone = errors.New("the rebuild that this gateway takes part in is over, or redis has lost its state")
	errNotFixed  = errors.New("this gateway could not learn from kafka in time where the logs of all topics end: another one may be able to")
	errBadState  = errors.New("the state of the rebuild in redis cannot be read")
)

// sharedReplay is a reading of the log by several gateways, as one of them sees it: its
// state is in Redis (scripts_shared.go). What Redis says of a span is kept in mind for about a second, so that
// waiting for others costs no questions.
type sharedReplay struct {
	r      *Rebuilder
	key    string
	worker string
	from   time.Time
	// toWatermark says that the log is read to the high watermark: nothing can appear behind
	// it any more.
	toWatermark bool
	generation  uint64 // of the rebuild
	alone       bool   // nothing of this is in Redis, because the user may not write it
	// covered are the buckets that the reading is for: all readers write to all of them.
	covered *bucketLocks

	mu     sync.Mutex
	topics map[string]event.TopicReplay // that are fixed
	places map[string]sharedPlace       // by field
	mine   map[string]bool              // fields of spans that are read here
	stuck  map[string]time.Time         // since when they cannot be
	left   map[string]time.Time         // until when they are left to others
}

type sharedPlace struct {
	at     int64
	until  time.Time // by this process' clock
	worker string
	cause  string
}

// fixedTopic is the value of a topic's field.
type fixedTopic struct {
	Types []string   `json:"types,omitempty"`
	Spans [][3]int64 `json:"spans,omitempty"` // partition, from, to
}

func placeField(topic string, partition int32) string {
	return "p " + topic + " " + strconv.Itoa(int(partition))
}

func (r *Rebuilder) newSharedReplay(space *keyspace, token string) *sharedReplay {
	covered := newBucketLocks(r)
	covered.token = token
	return &sharedReplay{
		r: r, key: space.state(token), worker: rand.Text(), covered: covered,
		topics: map[string]event.TopicReplay{}, places: map[string]sharedPlace{}, mine: map[string]bool{},
		stuck: map[string]time.Time{}, left: map[string]time.Time{},
	}
}

// beginShared begins the reading of the log for those of the part's buckets that are held.
func (r *Rebuilder) beginShared(ctx context.Context, locks *bucketLocks, p part, g *gathering) (*sharedReplay, error) {
	space, err := r.scripts.keys.get()
	if err != nil {
		return nil, err
	}
	s := r.newSharedReplay(space, locks.token)
	s.from, s.toWatermark, s.generation = p.from, g.toWatermark(), g.generation
	for _, b := range p.buckets {
		if locks.has(b) {
			s.covered.add(b)
		}
	}
	if err := s.covered.announce(ctx, ""); err != nil {
		return nil, err
	}
	for _, b := range p.buckets {
		if !s.covered.has(b) {
			locks.drop(b)
		}
	}
	err = r.retry(ctx, func() error {
		ctx, cancel := context.WithTimeout(ctx, batchTimeout)
		defer cancel()
		err := beginScript.Run(ctx, r.scripts.rdb, []string{s.key}, s.extent(), progressAge.Milliseconds()).Err()
		if s.alone = err != nil && notPermitted(err); s.alone {
			r.logger.Warn("redis does not let this user share a rebuild: no other gateway takes part, and if it is interrupted it starts from the beginning; allow the commands that the documentation names",
				"error", err)
			return nil
		}
		return err
	})
	return s, err
}

// extent is the value of h.
func (s *sharedReplay) extent() string {
	text := strconv.FormatInt(s.from.UnixMilli(), 10)
	if s.toWatermark {
		text += " " + watermarkMark
	}
	return text
}

// takeExtent reads the value of h.
func (s *sharedReplay) takeExtent(text string) error {
	first, mark, _ := strings.Cut(text, " ")
	ms, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: %w", errBadState, err)
	}
	s.from, s.toWatermark = time.UnixMilli(ms), mark == watermarkMark
	return nil
}

// notPermitted tells whether a script failed because the user may not run one of its
// commands. Before Redis 7 the error had no code of its own.
func notPermitted(err error) bool {
	return goredis.HasErrorPrefix(err, "NOPERM") || strings.Contains(err.Error(), "can't run this command")
}

// forget deletes the state of a rebuild that is over.
func (s *sharedReplay) forget(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTimeout)
	defer cancel()
	_ = s.r.scripts.rdb.Del(ctx, s.key).Err() // it expires
}

// Fixed implements event.ReplayShare.
func (s *sharedReplay) Fixed(topic string) ([]event.SpanReplay, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.topics[topic]
	return s.spansNow(t), ok
}

// spansNow is called with mu held.
func (s *sharedReplay) spansNow(t event.TopicReplay) []event.SpanReplay {
	spans := slices.Clone(t.Spans)
	for i := range spans {
		spans[i].At = max(spans[i].From, min(spans[i].To, s.places[placeField(t.Topic, spans[i].Partition)].at))
	}
	return spans
}

// Fix implements event.ReplayShare.
func (s *sharedReplay) Fix(ctx context.Context, topic event.TopicReplay) ([]event.SpanReplay, error) {
	fixed := fixedTopic{Types: topic.Types}
	for _, one := range topic.Spans {
		fixed.Spans = append(fixed.Spans, [3]int64{int64(one.Partition), one.From, one.To})
	}
	value, err := json.Marshal(fixed)
	if err != nil {
		return nil, err
	}
	first := string(value)
	if !s.alone {
		if first, err = s.run(ctx, fixScript, "t "+topic.Topic, value); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.takeTopic(topic.Topic, first); err != nil {
		return nil, err
	}
	return s.spansNow(s.topics[topic.Topic]), nil
}

// run runs a script that answers with text.
func (s *sharedReplay) run(ctx context.Context, script *goredis.Script, args ...any) (text string, err error) {
	err = s.r.retry(ctx, func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, batchTimeout)
		defer cancel()
		text, err = script.Run(ctx, s.r.scripts.rdb, []string{s.key}, args...).Text()
		return err
	})
	if err == nil && text == "" {
		err = errStateGone
	}
	return text, err
}

// takeTopic is called with mu held.
func (s *sharedReplay) takeTopic(name, value string) error {
	var fixed fixedTopic
	if err := json.Unmarshal([]byte(value), &fixed); err != nil {
		return fmt.Errorf("%w: topic %s: %w", errBadState, name, err)
	}
	t := event.TopicReplay{Topic: name, Types: fixed.Types}
	for _, one := range fixed.Spans {
		t.Spans = append(t.Spans, event.SpanReplay{Partition: int32(one[0]), From: one[1], To: one[2]}) //nolint:gosec // a partition's number
	}
	s.topics[name] = t
	return nil
}

// Take implements event.ReplayShare.
func (s *sharedReplay) Take(ctx context.Context, topic string, partition int32) (event.Turn, error) {
	field := placeField(topic, partition)
	if s.alone {
		return event.Turn{Mine: true}, nil
	}
	s.mu.Lock()
	known, left := s.places[field], s.left[field]
	var of event.SpanReplay
	for _, one := range s.topics[topic].Spans {
		if one.Partition == partition {
			of = one
		}
	}
	s.mu.Unlock()
	now := time.Now()
	if known.at >= of.To || known.worker != s.worker && now.Before(known.until) || now.Before(left) {
		return event.Turn{At: known.at, Waiting: known.cause}, nil
	}
	text, err := s.run(ctx, turnScript, field, of.From, s.worker, turnFor.Milliseconds())
	if err != nil {
		return event.Turn{}, err
	}
	// Until the next note tells it exactly, others are taken to have the span for a second.
	place, err := parsePlace(text, func(int64) time.Time { return time.Now().Add(time.Second) })
	if err != nil {
		return event.Turn{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places[field] = place
	mine := place.worker == s.worker
	if mine && place.at < of.To {
		s.mine[field] = true
	}
	return event.Turn{At: place.at, Mine: mine, Waiting: place.cause}, nil
}

// note tells the others how far the spans are that are read here, and learns of theirs.
// Everything before must be written.
func (s *sharedReplay) note(ctx context.Context, topics []event.TopicReplay) error {
	if s.alone {
		return nil
	}
	args := []any{s.worker, progressAge.Milliseconds()}
	var ended []string
	s.mu.Lock()
	for _, t := range topics {
		for _, one := range t.Spans {
			field := placeField(t.Topic, one.Partition)
			if !s.mine[field] {
				continue
			}
			cause := causeOf(t, one.Partition)
			keep := s.keeps(field, cause, time.Now())
			if one.At >= one.To || !keep {
				ended = append(ended, field)
			}
			args = append(args, field, one.At, cause, int64(b2i(keep))*turnFor.Milliseconds())
		}
	}
	s.mu.Unlock()
	var answer []any
	err := s.r.retry(ctx, func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, batchTimeout)
		defer cancel()
		answer, err = noteScript.Run(ctx, s.r.scripts.rdb, []string{s.key}, args...).Slice()
		return err
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, field := range ended {
		delete(s.mine, field)
	}
	return s.takeState(answer)
}

// keeps says whether a span stays with this gateway. It is called with mu held.
func (s *sharedReplay) keeps(field, cause string, now time.Time) bool {
	since, stuck := s.stuck[field]
	switch {
	case cause == "":
		delete(s.stuck, field)
	case !stuck:
		s.stuck[field] = now
	case now.Sub(since) >= stuckFor:
		delete(s.stuck, field)
		s.left[field] = now.Add(letGo)
		return false
	}
	return true
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// causeOf is what a partition waits for, "" if it does not.
func causeOf(t event.TopicReplay, partition int32) string {
	name := fmt.Sprintf("%s[%d]: ", t.Topic, partition)
	for _, cause := range t.Waiting {
		if strings.HasPrefix(cause, name) {
			return cause
		}
	}
	return ""
}
