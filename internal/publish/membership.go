package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

const (
	// renewalParts is how often a registration is renewed within a lease.
	renewalParts = 6
	// defaultRenewal is between two renewals if there is no lease.
	defaultRenewal = 5 * time.Second
	// renewalPause is before a renewal that failed is tried again.
	renewalPause = 200 * time.Millisecond
	// followStuck is how long a renewal may not be read back until the reader is replaced:
	// after a network cut, some clients never reconnect. If Kafka is away, that does no harm.
	followStuck = 15 * time.Second
	// sweepInterval is between two looks for what is outdated.
	sweepInterval = time.Hour
	// renewalsKept bounds the renewals whose reading back is waited for.
	renewalsKept = 100
)

// Membership is this process among the gateways that share a Redis (docs/adr/0021): it
// keeps the process registered in a compacted topic with one partition, follows that
// topic, and raises generations in it. What the topic says is decided by the order of its
// records, which is the same for all.
//
// A renewal that was read back from the topic proves two things at once: it was
// acknowledged, and everything before it in the topic has been read. So no write needs a
// known outcome here, and the end of the topic need not be asked for.
type Membership struct {
	topic    *registry
	logger   *slog.Logger
	interval time.Duration // between two renewals
	stuck    time.Duration
	window   time.Duration // how long a claim is remembered
	id       string
	started  time.Time
	changed  chan struct{}
	wake     chan struct{} // asks for a renewal
	again    chan struct{} // asks for another reader

	mu        sync.Mutex
	state     members
	renewal   uint64               // the newest that was sent
	sent      map[uint64]time.Time // when renewals that were not read back yet were sent
	confirmed time.Time
	atRaise   map[string]uint64 // renewals that were read when this process last raised a generation
	progress  chan struct{}     // closed, and replaced, when something was read
	trouble   error             // why nothing is confirmed at present
	failing   bool              // and it was logged
	left      bool
}

var errLeft = errors.New("the gateway has taken itself out of the registry of gateways")

func gatewaysTopic(cfg Config) string { return cfg.TransactionalIDPrefix + "-gateways" }

func newMembership(cfg Config, id string, plain *idempotent, scan scanner, logger *slog.Logger) *Membership {
	topic := newRegistry(cfg, plain, scan, logger)
	topic.topic, topic.purpose = gatewaysTopic(cfg), "the registry of gateways needs"
	interval := cfg.Lease / renewalParts
	if interval <= 0 {
		interval = defaultRenewal
	}
	return &Membership{
		topic: topic, logger: logger, interval: interval, stuck: max(followStuck, 2*interval), window: cfg.Window,
		id: id, started: failpoint.Now(), changed: make(chan struct{}, 1), wake: make(chan struct{}, 1), again: make(chan struct{}, 1),
		state: newMembers(), sent: map[uint64]time.Time{}, progress: make(chan struct{}),
	}
}

// Self is the id of this process.
func (m *Membership) Self() string { return m.id }

// Changed receives when another generation was read. For one receiver.
func (m *Membership) Changed() <-chan struct{} { return m.changed }

// Confirmed is the newest generation that was read, and the latest time (by failpoint.Now's
// monotonic clock) of which it is known that no newer one had been raised; zero: of none yet.
func (m *Membership) Confirmed() (event.Generation, time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.current(), m.confirmed
}

// Next is the generation that followed another one, if that is still known.
func (m *Membership) Next(number uint64) (event.Generation, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g, ok := m.state.generations[number+1]
	return g.Generation, ok
}

// Err says why this process is not registered at present, or does not know what others
// have written; nil if it is and does.
func (m *Membership) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.trouble == nil && m.confirmed.IsZero() {
		return fmt.Errorf("this gateway is not registered in %s yet", m.topic.topic)
	}
	return m.trouble
}

// Run registers this process, renews the registration and follows the topic until ctx
// ends.
func (m *Membership) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := m.topic.ensureTopic(ctx); err == nil {
			break
		} else if ctx.Err() == nil {
			m.note(err)
			backoff.Sleep(ctx, renewalPause)
		}
	}
	var running sync.WaitGroup
	running.Go(func() { m.topic.scan.follow(ctx, m.topic.topic, m.logger, m.again, m.read, m.note) })
	running.Go(func() { m.sweepEvery(ctx) })
	m.keepRegistered(ctx)
	running.Wait()
}

func (m *Membership) keepRegistered(ctx context.Context) {
	for ctx.Err() == nil {
		pause := m.interval
		err := m.renew(ctx)
		if errors.Is(err, errLeft) {
			return
		}
		if err != nil && ctx.Err() == nil {
			m.note(err)
			pause = min(pause, renewalPause)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-m.wake:
		}
		timer.Stop()
		m.watchReader()
	}
}

// watchReader asks for another reader when this one brings nothing.
func (m *Membership) watchReader() {
	m.mu.Lock()
	now := failpoint.Now()
	oldest := now
	for _, at := range m.sent {
		if at.Before(oldest) {
			oldest = at
		}
	}
	stuck := now.Sub(oldest) >= m.stuck
	if stuck {
		clear(m.sent) // another look only after as long again
	}
	m.mu.Unlock()
	if stuck {
		m.note(fmt.Errorf("read %s: nothing came for %v", m.topic.topic, m.stuck))
		select {
		case m.again <- struct{}{}:
		default:
		}
	}
}

// renew writes the registration. After an error it may still be appended.
func (m *Membership) renew(ctx context.Context) error {
	m.mu.Lock()
	if m.left {
		m.mu.Unlock()
		return errLeft
	}
	m.renewal++
	value := gatewayValue{Host: m.topic.host, Started: m.started.UTC(), Renewed: failpoint.Now().UTC(), Renewal: m.renewal}
	m.sent[m.renewal] = failpoint.Now()
	delete(m.sent, m.renewal-renewalsKept)
	m.mu.Unlock()
	return m.write(ctx, gatewayKey+m.id, value)
}

// write writes a value, or a tombstone if it is nil.
func (m *Membership) write(ctx context.Context, key string, value any) error {
	var text []byte
	if value != nil {
		var err error
		if text, err = json.Marshal(value); err != nil {
			return fmt.Errorf("write %s to %s: %w", key, m.topic.topic, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, max(m.interval, time.Second))
	defer cancel()
	if err := m.topic.ensureTopic(ctx); err != nil {
		return err
	}
	if err := m.topic.write(ctx, key, text); err != nil {
		m.topic.lookAgain()
		return fmt.Errorf("write %s to %s: %w", key, m.topic.topic, err)
	}
	return nil
}

// read takes the next records of the topic.
func (m *Membership) read(records []*kgo.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.state.newest
	for _, r := range records {
		key := string(r.Key)
		m.state.apply(key, r.Value)
		if key == gatewayKey+m.id {
			m.readOwn(r.Value)
		}
	}
	if m.state.newest != before {
		signal(m.changed)
	}
	close(m.progress)
	m.progress = make(chan struct{})
}

// readOwn notes what this process is known to have written.
func (m *Membership) readOwn(value []byte) {
	var v gatewayValue
	if value == nil {
		if !m.left {
			signal(m.wake) // deleted by somebody else
		}
		return
	}
	if json.Unmarshal(value, &v) != nil {
		return
	}
	at, ok := m.sent[v.Renewal]
	delete(m.sent, v.Renewal)
	if !ok || at.Before(m.confirmed) {
		return
	}
	m.confirmed, m.trouble = at, nil
	if m.failing {
		m.failing = false
		m.logger.Info("this gateway is registered in kafka again", "topic", m.topic.topic)
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// note notes why nothing can be confirmed, and logs it once, unless it is over soon.
func (m *Membership) note(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trouble = err
	if m.failing || failpoint.Now().Sub(m.confirmed) < 2*m.interval {
		return
	}
	m.failing = true
	m.logger.Error("this gateway cannot register itself in kafka, or not read which others are registered, and tries again: "+
		"a gateway that is not registered must not take keyed events; allow it to create, describe, write and read the topic, or create the topic with one partition and cleanup.policy=compact",
		"topic", m.topic.topic, "error", err)
}

// await waits until is returns true of what was read, which it is called for under lock.
func (m *Membership) await(ctx context.Context, is func() bool) error {
	for {
		m.mu.Lock()
		done, progress, trouble := is(), m.progress, m.trouble
		m.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-progress:
		case <-ctx.Done():
			return fmt.Errorf("read %s: %w", m.topic.topic, errors.Join(ctx.Err(), trouble))
		}
	}
}

// sync returns when everything was read that was in the topic when it was called, and
// this process was registered after that.
func (m *Membership) sync(ctx context.Context) error {
	begun := failpoint.Now()
	waiting, cancel := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	defer renewing.Wait()
	defer cancel()
	failed := make(chan error, 1)
	renewing.Go(func() {
		for {
			err := m.renew(waiting)
			if errors.Is(err, errLeft) {
				failed <- err
				cancel()
				return
			}
			pause := m.interval // it may be lost with a reader that is replaced
			if err != nil {
				pause = min(pause, renewalPause)
			}
			if !backoff.Sleep(waiting, pause) {
				return
			}
		}
	})
	err := m.await(waiting, func() bool { return !m.confirmed.Before(begun) })
	select {
	case left := <-failed:
		return left
	default:
		return err
	}
}

// Registered reads the topic to its end and returns who is registered, this process
// included.
func (m *Membership) Registered(ctx context.Context) ([]event.Gateway, error) {
	if err := m.sync(ctx); err != nil {
		return nil, fmt.Errorf("list gateways: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.registered(), nil
}

// Forget ends the registrations of processes that are over, except those that were
// renewed since this process last raised a generation: they are not.
func (m *Membership) Forget(ctx context.Context, ids []string) error {
	m.mu.Lock()
	seen := maps.Clone(m.atRaise)
	if seen == nil {
		seen = m.state.renewals()
	}
	m.mu.Unlock()
	for _, id := range ids {
		if seen[id] == 0 || id == m.id {
			continue
		}
		if err := m.write(ctx, overKey+id, overValue{Renewal: seen[id]}); err != nil {
			return fmt.Errorf("forget gateway %s: %w", id, err)
		}
	}
	return nil
}

// Leave takes this process out of the registry, after Run has ended. It must only be called when none of its
// claims is unsettled, and it will make no more. The registration of a process that does
// not leave ends when others find that it is over.
func (m *Membership) Leave(ctx context.Context) error {
	m.mu.Lock()
	registered := m.renewal > 0
	m.left = true
	m.mu.Unlock()
	if !registered {
		return nil
	}
	if err := m.write(ctx, gatewayKey+m.id, nil); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}

// sweepEvery deletes what is outdated until ctx ends.
func (m *Membership) sweepEvery(ctx context.Context) {
	if m.window <= 0 {
		return
	}
	for m.await(ctx, func() bool { return !m.confirmed.IsZero() }) == nil && ctx.Err() == nil {
		if err := m.sweep(ctx); err != nil && ctx.Err() == nil {
			m.logger.Warn("outdated records of the registry of gateways could not be deleted", "error", err)
		}
		backoff.Sleep(ctx, sweepInterval)
	}
}

// sweep deletes generations, and registrations, that are older than two windows: no claim
// can be of them.
func (m *Membership) sweep(ctx context.Context) error {
	m.mu.Lock()
	keys := m.state.outdated(failpoint.Now().Add(-2 * m.window))
	m.mu.Unlock()
	keys = slices.DeleteFunc(keys, func(key string) bool { return key == gatewayKey+m.id })
	for _, key := range keys {
		if err := m.write(ctx, key, nil); err != nil {
			return err
		}
	}
	return nil
}
