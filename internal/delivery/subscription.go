package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/internal/delivery/endpoint"
	"eventgateway/internal/kafka"
)

const (
	// joinPause is between two tries to begin a subscription, growing up to joinMostPause.
	joinPause, joinMostPause = 500 * time.Millisecond, 15 * time.Second
	// prepareTimeout bounds the questions to Kafka before a subscription begins.
	prepareTimeout = 30 * time.Second
	// lostRepeat is between two log lines about the same partition that cannot be read.
	lostRepeat = time.Minute
	// retentionInterval is between two looks at how long Kafka keeps what waits.
	retentionInterval = time.Minute
)

// Rates bounds attempts over all gateways together.
type Rates interface {
	// Take reports whether an attempt of the subscription may begin, or after what time to
	// ask again.
	Take(subscription string) (allowed bool, after time.Duration)
}

// Deps are what subscriptions need.
type Deps struct {
	Kafka       kafka.Connection
	DeadLetters DeadLetterLog
	Rates       Rates // nil: no rates
	Logger      *slog.Logger
	Metrics     *Metrics
}

// Subscription pushes the events of its topics to one endpoint.
type Subscription struct {
	cfg      *Config
	deps     Deps
	logger   *slog.Logger
	metrics  *Metrics
	endpoint *endpoint.Endpoint
	onGone   func(context.Context) error // remembers a pause by 410

	pause    atomic.Bool
	going    atomic.Bool // a pause by 410 is being written
	member   atomic.Pointer[member]
	joinings atomic.Int64 // how often the member had to join anew
	away     atomic.Int64 // until when it stays out of its group, in Unix milliseconds
	back     chan struct{}
	keeps    atomic.Pointer[map[string]time.Duration] // retention by topic
	complain struct {
		sync.Mutex
		at map[kafka.Partition]time.Time
	}
}

// newSubscription returns one that runs with Run.
func newSubscription(cfg Config, deps Deps, onGone func(context.Context) error) (*Subscription, error) {
	logger := deps.Logger.With("subscription", cfg.Name)
	to, err := endpoint.New(cfg.Endpoint, logger)
	if err != nil {
		return nil, fmt.Errorf("subscription %s: %w", cfg.Name, err)
	}
	s := &Subscription{cfg: &cfg, deps: deps, logger: logger, metrics: deps.Metrics, endpoint: to, onGone: onGone}
	s.back = make(chan struct{}, 1)
	s.complain.at = map[kafka.Partition]time.Time{}
	return s, nil
}

func (s *Subscription) paused() bool { return s.pause.Load() }

// setPaused pauses or resumes attempts; the member stays in its group.
func (s *Subscription) setPaused(paused bool) {
	if s.pause.Swap(paused) != paused {
		s.wakeUp(func(m *member) { m.forgive(time.Now()) })
	}
}

// releaseHeld lets go of entities that are held back.
func (s *Subscription) releaseHeld() { s.wakeUp((*member).releaseHeld) }

// setAway lets the member leave its group until a time, or be back if that is over.
func (s *Subscription) setAway(until time.Time) {
	if most := time.Now().Add(MostAway); until.After(most) {
		until = most
	}
	s.away.Store(until.UnixMilli())
	select {
	case s.back <- struct{}{}:
	default:
	}
	if time.Now().Before(until) {
		s.rejoin()
	}
}

// stayAway waits as long as the member is to stay out of its group, or until ctx ends.
func (s *Subscription) stayAway(ctx context.Context) {
	for ctx.Err() == nil {
		left := time.Until(time.UnixMilli(s.away.Load()))
		if left <= 0 {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-s.back:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// rejoin lets the member leave and join again, with the topics that there are now.
func (s *Subscription) rejoin() {
	s.joinings.Add(1)
	s.wakeUp(func(m *member) { m.restart = true })
}

func (s *Subscription) wakeUp(f func(*member)) {
	if m := s.member.Load(); m != nil {
		go m.send(func() { f(m) }) // the caller does not wait for a busy loop
	}
}

// Run joins the group and delivers until ctx ends.
func (s *Subscription) Run(ctx context.Context) {
	defer s.endpoint.Close()
	defer s.metrics.forget(s.cfg.Name)
	s.metrics.begin(s.cfg.Name)
	admin := s.deps.Kafka.GroupAdmin(s.logger)
	defer admin.Close()
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { s.watchRetention(ctx, admin) })
	pause := backoff.NewExponential(joinPause, joinMostPause)
	for failures := 0; ctx.Err() == nil; {
		joinings := s.joinings.Load() // first: a change from here on is noticed
		if s.stayAway(ctx); ctx.Err() != nil {
			return
		}
		err := s.once(ctx, admin, joinings)
		if err == nil {
			pause.Reset()
			failures = 0
			continue
		}
		if failures++; ctx.Err() == nil && (failures == 1 || failures%20 == 0) {
			s.logger.Error("the subscription cannot begin, and tries again", "error", err)
		}
		backoff.Sleep(ctx, pause.Next())
	}
}

// once is a member's life. joinings are those before it looks what to join.
func (s *Subscription) once(ctx context.Context, admin *kafka.GroupAdmin, joinings int64) error {
	preparing, cancel := context.WithTimeout(ctx, prepareTimeout)
	topics, err := s.prepare(preparing, admin)
	cancel()
	if err != nil {
		return err
	}
	m := newMember(s)
	m.group, err = s.deps.Kafka.JoinGroup(kafka.GroupConfig{
		Name: Group(s.cfg.Name), Topics: topics, Session: s.cfg.Session, ServerSide: s.cfg.ServerSide,
	}, m, s.logger)
	if err != nil {
		return err
	}
	s.member.Store(m)
	defer s.member.Store(nil)
	m.restart = joinings != s.joinings.Load() // since topics were looked for
	s.logger.Info("subscription started", "topics", topics, "paused", s.paused())
	m.run(ctx)
	return nil
}

var errNoTopic = errors.New("none of its topics exists yet")

// prepare commits where a new subscription begins, and returns the topics that it reads. A
// topic that is made later is read from its beginning; the topic for replays always is, and
// belongs to them if it exists.
func (s *Subscription) prepare(ctx context.Context, admin *kafka.GroupAdmin) (topics []string, err error) {
	exist, err := admin.Topics(ctx, s.cfg.Topics...)
	if err != nil {
		return nil, err
	}
	if len(exist) == 0 {
		return nil, errNoTopic
	}
	topics = s.cfg.Topics
	starts := map[string]kafka.Start{}
	for topic := range exist {
		starts[topic] = s.cfg.Start
	}
	replays := ReplayTopic(s.cfg.Name)
	switch exist, err := admin.Topics(ctx, replays); {
	case kafka.Hidden(err): // nobody has granted it: there are no replays
	case err != nil:
		return nil, err
	case len(exist) > 0:
		starts[replays] = kafka.Start{Earliest: true}
		topics = append(slices.Clone(topics), replays)
	}
	return topics, admin.CommitStarts(ctx, Group(s.cfg.Name), starts)
}

// attempt makes one attempt, when the rate allows it.
func (s *Subscription) attempt(ctx context.Context, r *kafka.Record, number int) endpoint.Result {
	if s.deps.Rates != nil {
		for {
			allowed, after := s.deps.Rates.Take(s.cfg.Name)
			if allowed {
				break
			}
			if s.paused() { // since it began to wait
				return endpoint.Result{Class: endpoint.Canceled, Err: context.Canceled}
			}
			if !backoff.Sleep(ctx, max(after, time.Millisecond)) {
				return endpoint.Result{Class: endpoint.Canceled, Err: ctx.Err()}
			}
		}
	}
	return s.endpoint.Send(ctx, request(s.cfg.original(r), s.cfg.Binary, number))
}

func (s *Subscription) logAttempt(e *entry, r endpoint.Result, took time.Duration) {
	if !s.logger.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	s.logger.Debug("attempt", "topic", e.record.Topic, "partition", e.record.Partition, "offset", e.record.Offset,
		"attempt", e.attempts+1, "class", r.Class, "status", r.Status, "took_ms", took.Milliseconds(), "error", r.Err)
}

// gone pauses the subscription because the endpoint wants nothing more (410), and
// remembers it.
func (s *Subscription) gone() {
	s.pause.Store(true)
	if s.going.Swap(true) {
		return
	}
	s.logger.Warn("the endpoint answered 410: the subscription is paused until `gateway subscriptions resume`")
	go func() {
		defer s.going.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		pause := backoff.NewExponential(joinPause, joinMostPause)
		for {
			err := s.onGone(ctx)
			if err == nil {
				return
			}
			if !backoff.Sleep(ctx, pause.Next()) {
				s.logger.Error("the pause by 410 could not be remembered: it ends with this process", "error", err)
				return
			}
		}
	}()
}

// readFailed tells of a partition, or all, that cannot be read.
func (s *Subscription) readFailed(ctx context.Context, m *member, f kafka.PartitionError) {
	s.metrics.readFailures.WithLabelValues(s.cfg.Name).Inc()
	s.complain.Lock()
	last := s.complain.at[f.Partition]
	silent := time.Since(last) < lostRepeat
	if !silent {
		s.complain.at[f.Partition] = time.Now()
	}
	s.complain.Unlock()
	if f.OutOfRange() && s.cfg.OnLost == LostEarliest {
		s.skipLost(ctx, m, f.Partition)
		return
	}
	if silent {
		return
	}
	if f.OutOfRange() {
		s.metrics.lost.WithLabelValues(s.cfg.Name).Set(1)
		s.logger.Error("Kafka no longer has the next events of a partition: it stands still until its offset is set, or on_lost: earliest",
			"topic", f.Partition.Topic, "partition", f.Partition.Number)
		return
	}
	s.logger.Warn("reading failed, and is tried again", "error", f)
}

// skipLost goes on with the first record that there is: it commits that, and joins anew.
func (s *Subscription) skipLost(ctx context.Context, m *member, part kafka.Partition) {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	admin := s.deps.Kafka.GroupAdmin(s.logger)
	defer admin.Close()
	first, err := admin.LogStarts(ctx, part.Topic)
	if err == nil {
		m.call(func() {
			if w := m.windows[part]; w != nil {
				s.logger.Error("events were deleted before they were delivered: going on with the first that there is",
					"topic", part.Topic, "partition", part.Number, "from", w.base(), "to", first[part.Number])
				m.release(w)
			}
		})
		err = m.group.Commit(ctx, map[kafka.Partition]kafka.Committed{part: {Offset: first[part.Number]}})
	}
	if err != nil {
		s.logger.Warn("the position of a partition could not be set, and is tried again", "topic", part.Topic, "partition", part.Number, "error", err)
	}
	m.call(func() { m.restart = true })
}

// watchRetention asks how long Kafka keeps records until ctx ends, and lets the member say
// how long it will keep what waits.
func (s *Subscription) watchRetention(ctx context.Context, admin *kafka.GroupAdmin) {
	for ctx.Err() == nil {
		asking, cancel := context.WithTimeout(ctx, prepareTimeout)
		keeps, err := admin.Retention(asking, append(slices.Clone(s.cfg.Topics), ReplayTopic(s.cfg.Name))...)
		cancel()
		if err == nil {
			s.keeps.Store(&keeps)
			s.wakeUp(func(*member) {})
		}
		backoff.Sleep(ctx, retentionInterval)
	}
}
