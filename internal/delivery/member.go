package delivery

import (
	"container/heap"
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/internal/delivery/endpoint"
	"eventgateway/internal/kafka"
)

const (
	// windowBytes bounds the records in memory of one subscription, in about the bytes
	// that they take; its partitions share it. A partition always has room for one record.
	windowBytes = 32 << 20
	// pollRecords are taken at a time.
	pollRecords = 1000
	// settleOnRevoke is how long a partition that is given up waits for its attempts; all
	// members wait for it.
	settleOnRevoke = 100 * time.Millisecond
	// commitOnRevoke bounds the commit of partitions that are given up.
	commitOnRevoke = 2 * time.Second
	// settleOnStop is how long a stop waits for attempts, at most.
	settleOnStop = 5 * time.Second
	// idleTick is between two looks of a member that has nothing to do.
	idleTick = time.Minute
	// ageTick is between two looks at the ages of events that wait.
	ageTick = 5 * time.Second
	// attemptIdle is how long a goroutine waits for another attempt to make.
	attemptIdle = time.Second
	// drain is how many messages the loop takes before it looks what they make possible.
	drain = 256
)

// member is this process's part in a subscription from joining its group to leaving it.
// Its loop has all the state; other goroutines send it functions to call.
type member struct {
	sub    *Subscription
	cfg    *Config
	logger *slog.Logger
	group  *kafka.Group
	// replays is the topic of events that are replayed to this subscription.
	replays string
	todo    chan func()
	polled  chan []*kafka.Record
	// attempts are for goroutines that have none at the moment.
	attempts chan attempt
	ended    chan struct{}

	windows      map[kafka.Partition]*window
	order        []*window // whose turn it is
	turn         int
	fresh        bool // whether the next attempt prefers an event that has not failed
	waiting      waitingHeap
	uncommitted  []*entry // whose pause is over, and whose last failure no commit says yet
	breaker      *breaker
	pace         pace
	inFlight     int
	paced        time.Duration // until the pace lets the next attempt begin
	after        time.Time     // no attempt before, by Retry-After
	unsaved      int           // events finished since the last commit
	saved        time.Time
	saving       bool
	commits      uint64 // how many have begun
	committed    uint64 // the number of the last one that Kafka has
	commitFailed bool   // the last one: the next waits for its time
	savingOf     int    // events whose end the commit that is on says
	bytes        int64
	stopping     bool
	leaveBy      time.Time // while stopping: attempts are waited for until then
	reported     time.Time
	active       bool // something happened since
	warned       bool // of retention
	expireAgain  bool // an event that was about to be deleted has ended
	restart      bool // the member is to leave and join again
}

func newMember(s *Subscription) *member {
	return &member{
		sub: s, cfg: s.cfg, logger: s.logger, replays: ReplayTopic(s.cfg.Name), todo: make(chan func(), drain), polled: make(chan []*kafka.Record), attempts: make(chan attempt),
		ended: make(chan struct{}), windows: map[kafka.Partition]*window{}, breaker: newBreaker(s.cfg.Concurrency),
		pace: pace{least: float64(s.cfg.Concurrency)},
	}
}

// send lets the loop call f. It returns at once, or when the loop has room; after the
// loop's end it does nothing.
func (m *member) send(f func()) {
	select {
	case m.todo <- f:
	case <-m.ended:
	}
}

// call lets the loop call f, and waits for it.
func (m *member) call(f func()) {
	done := make(chan struct{})
	m.send(func() { f(); close(done) })
	select {
	case <-done:
	case <-m.ended:
	}
}

// run is the loop. It ends when ctx has ended, or the member has to join again, and its
// partitions are given up.
func (m *member) run(ctx context.Context) {
	defer close(m.ended)
	polling, stopPolling := context.WithCancel(ctx)
	defer stopPolling()
	go m.poll(polling)
	closed := make(chan struct{})
	stop, leaving, done := ctx.Done(), false, false
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !done {
		now := time.Now()
		if (m.restart || ctx.Err() != nil) && !m.stopping {
			stop, m.stopping, m.leaveBy = nil, true, now.Add(min(m.cfg.Endpoint.Timeout, settleOnStop))
			stopPolling()
		}
		if m.stopping && !leaving && (m.inFlight == 0 || !now.Before(m.leaveBy)) {
			leaving = true
			go func() { m.group.Close(); close(closed) }()
		}
		m.wake(now)
		if m.expireAgain {
			m.expire(now)
		}
		m.admit()
		m.dispatch(now)
		m.commit(ctx, now)
		m.report()
		timer.Reset(m.next(now))
		select {
		case f := <-m.todo:
			m.active = true
			f()
			for range drain {
				select {
				case f := <-m.todo:
					f()
					continue
				default:
				}
				break
			}
		case records := <-m.polled:
			m.active = true
			m.take(records)
		case <-timer.C:
		case <-stop:
		case <-closed:
			done = true
		}
	}
	for _, w := range m.windows {
		m.release(w)
	}
	m.report()
}

// poll brings records to the loop.
func (m *member) poll(ctx context.Context) {
	pause := backoff.NewExponential(100*time.Millisecond, 5*time.Second)
	for ctx.Err() == nil {
		n, failed := m.group.Poll(ctx, pollRecords, func(records []*kafka.Record) {
			select {
			case m.polled <- records:
			case <-ctx.Done():
			}
		})
		for _, f := range failed {
			m.sub.readFailed(ctx, m, f)
		}
		if len(failed) > 0 && n == 0 {
			backoff.Sleep(ctx, pause.Next())
		} else {
			pause.Reset()
		}
	}
}

// Assigned implements kafka.GroupHandler.
func (m *member) Assigned(parts map[kafka.Partition]kafka.Committed) {
	m.call(func() {
		for part, c := range parts {
			if w := m.windows[part]; w != nil { // assigned twice: nothing came between
				m.release(w)
			}
			m.group.Resume(part) // franz-go remembers a pause over assignments
			p, err := decodeProgress(max(c.Offset, 0), c.Metadata)
			if err != nil {
				m.sub.metrics.foreignMetadata.WithLabelValues(m.cfg.Name).Inc()
				m.logger.Warn("the metadata of a commit is not the gateway's: events after it may be delivered again", "topic", part.Topic, "partition", part.Number, "offset", c.Offset)
			}
			w := newWindow(part, p, m.cfg.Ordered)
			w.ctx, w.stop = context.WithCancel(context.Background())
			m.windows[part] = w
			m.order = append(m.order, w)
			m.logger.Info("partition assigned", "topic", part.Topic, "partition", part.Number, "offset", c.Offset, "finished_beyond", len(p.finished), "failing", len(p.failures))
		}
	})
}

// Revoked implements kafka.GroupHandler: it waits a little for the attempts that are on,
// commits, and abandons the rest.
func (m *member) Revoked(ctx context.Context, parts []kafka.Partition) {
	begun := uint64(0) // the last commit that may have these partitions
	m.call(func() {
		begun = m.commits
		for _, p := range parts {
			if w := m.windows[p]; w != nil {
				w.closing = true
			}
		}
	})
	settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleOnRevoke)
	backoff.Poll(settling, 5*time.Millisecond, func() bool {
		on := 0
		m.call(func() {
			for _, p := range parts {
				if w := m.windows[p]; w != nil {
					on += w.inFlight
				}
			}
		})
		return on == 0
	})
	cancel()
	committing, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitOnRevoke)
	defer cancel()
	// A commit that is on has an older state: it must not come last, and if it fails there
	// is something to commit again.
	backoff.Poll(committing, 2*time.Millisecond, func() bool {
		over := true
		m.call(func() { over = !m.saving || m.commits != begun })
		return over
	})
	commits := map[kafka.Partition]kafka.Committed{}
	m.call(func() {
		for _, p := range parts {
			if w := m.windows[p]; w != nil {
				if w.dirty || m.saving && m.commits == begun {
					done := w.progress()
					commits[p] = kafka.Committed{Offset: done.base, Metadata: done.encode()}
				}
				m.release(w)
				m.logger.Info("partition revoked", "topic", p.Topic, "partition", p.Number, "abandoned", w.inFlight)
			}
		}
	})
	if err := m.group.Commit(committing, commits); err != nil {
		m.logger.Warn("the commit of partitions that were revoked failed: their last events will be delivered again", "error", err)
		m.sub.metrics.commits.WithLabelValues(m.cfg.Name, "failed").Inc()
	}
}

// Lost implements kafka.GroupHandler.
func (m *member) Lost(parts []kafka.Partition) {
	m.call(func() {
		for _, p := range parts {
			if w := m.windows[p]; w != nil {
				m.release(w)
				m.logger.Warn("partition lost: this gateway was away for too long; events on the way will be delivered again", "topic", p.Topic, "partition", p.Number)
			}
		}
	})
}

// release gives a partition up; what is on for it is abandoned.
func (m *member) release(w *window) {
	w.lost = true
	w.stop()
	m.bytes -= w.bytes
	delete(m.windows, w.part)
	for i, other := range m.order {
		if other == w {
			m.order = append(m.order[:i:i], m.order[i+1:]...)
			break
		}
	}
}

// take sorts records that came into the windows of their partitions.
func (m *member) take(records []*kafka.Record) {
	for _, r := range records {
		if w := m.windows[kafka.Partition{Topic: r.Topic, Number: r.Partition}]; w != nil {
			w.backlog = append(w.backlog, r)
		}
	}
}

// admit moves records from the backlogs into the windows as far as they have room, and
// pauses and resumes fetching. A window is resumed when it has room for more than a few
// records, because a pause throws away what was fetched.
func (m *member) admit() {
	if m.stopping || len(m.order) == 0 {
		return
	}
	share := int64(windowBytes / len(m.order))
	var pause, resume []kafka.Partition
	for _, w := range m.order {
		before, n := w.bytes, 0
		for _, r := range w.backlog {
			if w.unfinished > 0 && w.bytes+recordBytes(r) > share || !w.fits(r.Offset) {
				break
			}
			n++
			m.admitOne(w, r)
		}
		clear(w.backlog[:n])
		if w.backlog = w.backlog[n:]; len(w.backlog) == 0 {
			w.backlog = nil
		}
		m.bytes += w.bytes - before
		switch {
		case len(w.backlog) > 0 && !w.paused:
			w.paused = true
			pause = append(pause, w.part)
		case len(w.backlog) == 0 && w.paused && w.bytes <= share/2 && w.fits(w.next+maxSpan/8):
			w.paused = false
			resume = append(resume, w.part)
		}
		if m.cfg.WhenFull == FullDeadLetter && m.breaker.state == breakerClosed && !m.sub.paused() {
			m.makeRoom(w)
		}
	}
	if len(pause) > 0 {
		m.group.Pause(pause...)
		m.sub.metrics.fetchPauses.WithLabelValues(m.cfg.Name).Add(float64(len(pause)))
	}
	if len(resume) > 0 {
		m.group.Resume(resume...)
	}
}

func (m *member) admitOne(w *window, r *kafka.Record) {
	switch {
	case r.Attrs.IsControl():
		w.skip(r)
	case r.Topic != m.replays && !m.cfg.wants(r): // somebody has chosen what is replayed
		w.skip(r)
		m.sub.metrics.skipped.WithLabelValues(m.cfg.Name).Inc()
	default:
		if e := w.admit(r); e != nil && e.attempts == heldAttempts && !m.cfg.HoldEntity {
			w.finish(e) // held by an earlier configuration; admit counts the bytes
		}
	}
}

// dispatch begins attempts as far as concurrency, breaker, pause and Retry-After allow.
func (m *member) dispatch(now time.Time) {
	if m.stopping || m.sub.paused() || now.Before(m.after) {
		return
	}
	state := m.breaker.state
	limit := m.breaker.limitNow(now)
	if m.breaker.state != state {
		m.breakerChanged()
	}
	m.pace.measure(now)
	m.paced = 0
	for m.inFlight < limit && m.unsaved+m.savingOf < m.mostUnsaved(now) {
		if m.pace.limit > 0 && m.caughtUp() {
			m.pace.end()
		}
		if m.paced = m.pace.wait(now); m.paced > 0 {
			return
		}
		e := m.pick()
		if e == nil {
			m.pace.giveBack()
			return
		}
		if e.attempts >= m.cfg.Retry.Attempts { // whoever had the partition could not write its dead letter
			m.pace.giveBack()
			e.part.inFlight--
			m.die(e, deadReason{Why: "attempts"})
			continue
		}
		m.start(e)
	}
}

// caughtUp reports whether no event waits but for those that fail or are in flight.
func (m *member) caughtUp() bool {
	for _, w := range m.order {
		if w.unfinished > w.slots || len(w.backlog) > 0 || w.paused {
			return false
		}
	}
	return true
}

// pick returns the next event to attempt; the partitions take turns.
func (m *member) pick() *entry {
	freshFirst := false
	if m.breaker.state == breakerHalfOpen { // the one that failed may be at fault itself
		m.fresh = !m.fresh
		freshFirst = m.fresh
	}
	for range m.order {
		m.turn = (m.turn + 1) % len(m.order)
		w := m.order[m.turn]
		if w.closing {
			continue
		}
		if e := w.take(freshFirst); e != nil {
			return e
		}
	}
	return nil
}

// attempt is one that begins.
type attempt struct {
	entry  *entry
	ctx    context.Context // ends when the partition is given up
	record *kafka.Record
	number int
}

func (m *member) start(e *entry) {
	m.inFlight++
	a := attempt{entry: e, ctx: e.part.ctx, record: e.record, number: e.attempts + 1}
	select {
	case m.attempts <- a:
	default:
		go m.attempt(a)
	}
}

// attempt makes attempts, one after the other, until there was none for a while: a new
// goroutine for each would grow its stack each time.
func (m *member) attempt(a attempt) {
	idle := time.NewTimer(attemptIdle)
	defer idle.Stop()
	for {
		begun := time.Now()
		result := m.sub.attempt(a.ctx, a.record, a.number)
		e := a.entry
		m.send(func() { m.settled(e, result, time.Since(begun)) })
		idle.Reset(attemptIdle)
		select {
		case a = <-m.attempts:
		case <-idle.C:
			return
		case <-m.ended:
			return
		}
	}
}

// settled takes the result of an attempt.
func (m *member) settled(e *entry, r endpoint.Result, took time.Duration) {
	m.inFlight--
	w := e.part
	w.inFlight--
	m.sub.metrics.attempt(m.cfg.Name, r.Class, took)
	m.sub.logAttempt(e, r, took)
	if w.lost {
		return
	}
	now := time.Now()
	if r.RetryAfter > 0 && now.Add(r.RetryAfter).After(m.after) {
		m.after = now.Add(r.RetryAfter)
		m.logger.Info("the endpoint asks for a pause", "status", r.Status, "seconds", int(r.RetryAfter.Seconds()))
	}
	switch r.Class {
	case endpoint.Canceled:
		w.back(e)
	case endpoint.Gone:
		w.back(e)
		m.sub.gone()
	case endpoint.Delivered:
		m.note(now, e, false)
		m.pace.delivered(now)
		m.sub.metrics.delivered(m.cfg.Name, e.record.Timestamp, now)
		m.finish(e)
	default:
		m.pace.failed++
		if !m.note(now, e, true) {
			w.rotate(e)
			return
		}
		w.fail(e, now)
		e.noted = m.commits
		if why := m.exhausted(e, r, now); why != "" {
			m.die(e, deadReason{Why: why, Class: r.Class, Status: r.Status})
			return
		}
		e.state, e.due = stateWaiting, now.Add(m.cfg.Retry.pause(e.attempts))
		heap.Push(&m.waiting, e)
	}
}

// note tells the breaker, and says whether a failure counts.
func (m *member) note(now time.Time, e *entry, failed bool) bool {
	state := m.breaker.state
	counts := m.breaker.note(now, e.record.Offset, failed)
	if m.breaker.state != state {
		m.breakerChanged()
		if m.breaker.state == breakerClosed {
			m.forgive(now)
			m.pace.resume(now)
		} else {
			m.pace.begin(now)
		}
	}
	return counts
}

// forgive lets the time of events that failed begin anew: it went by while nobody tried.
func (m *member) forgive(now time.Time) {
	for _, w := range m.order {
		for _, e := range w.entries {
			if !e.since.IsZero() {
				e.since = now
			}
		}
	}
}

func (m *member) breakerChanged() {
	b := m.breaker
	m.logger.Info("circuit breaker", "state", b.state.String(), "pause_seconds", b.pause.Seconds())
	m.sub.metrics.breaker.WithLabelValues(m.cfg.Name).Set(float64(b.state))
}

// exhausted says why an event is not attempted again, "" if it is.
func (m *member) exhausted(e *entry, r endpoint.Result, now time.Time) string {
	switch {
	case r.Class == endpoint.Refused:
		return "refused"
	case e.attempts >= m.cfg.Retry.Attempts:
		return "attempts"
	case m.cfg.Retry.Total > 0 && now.Sub(e.since) >= m.cfg.Retry.Total:
		return "time"
	}
	return ""
}

// pause is exponential with full jitter.
func (r Retry) pause(failed int) time.Duration {
	most := r.Max
	if shift := failed - 1; shift < 30 && r.Initial<<shift < r.Max {
		most = r.Initial << shift
	}
	return rand.N(most + 1) //nolint:gosec // no secret
}

func (m *member) finish(e *entry) {
	before := e.part.bytes
	e.part.finish(e)
	m.bytes += e.part.bytes - before
	m.unsaved++
}

// wake makes events ready whose pause is over. A failure is committed before the next attempt
// begins: whoever kills this process forgets at most the attempt that is on.
func (m *member) wake(now time.Time) {
	for len(m.waiting) > 0 && !m.waiting[0].due.After(now) {
		e := heap.Pop(&m.waiting).(*entry) //nolint:forcetypeassert // it holds nothing else
		switch {
		case e.state != stateWaiting || e.part.lost:
		case e.noted >= m.committed:
			m.uncommitted = append(m.uncommitted, e)
		default:
			e.state = stateReady
			e.part.retries = append(e.part.retries, e)
		}
	}
}

// next is how long the loop may sleep.
func (m *member) next(now time.Time) time.Duration {
	wait := idleTick
	sooner := func(at time.Time) {
		if d := at.Sub(now); d < wait {
			wait = max(d, time.Millisecond)
		}
	}
	if m.active {
		sooner(m.reported.Add(reportInterval))
	}
	for _, w := range m.order {
		if len(w.entries)+len(w.backlog) > 0 {
			sooner(now.Add(ageTick))
			break
		}
	}
	if len(m.waiting) > 0 {
		sooner(m.waiting[0].due)
	}
	if m.after.After(now) {
		sooner(m.after)
	}
	if m.paced > 0 {
		sooner(now.Add(m.paced))
	}
	if m.leaveBy.After(now) {
		sooner(m.leaveBy)
	}
	if m.breaker.state == breakerOpen {
		sooner(m.breaker.until)
	}
	if !m.saving {
		for _, w := range m.order {
			if w.dirty {
				sooner(m.saved.Add(commitInterval))
				break
			}
		}
	}
	return wait
}

// waitingHeap has the events that wait for their next attempt, the earliest first.
type waitingHeap []*entry

func (h waitingHeap) Len() int           { return len(h) }
func (h waitingHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h waitingHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *waitingHeap) Push(x any) { *h = append(*h, x.(*entry)) } //nolint:forcetypeassert // it holds nothing else

// Pop implements heap.Interface.
func (h *waitingHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
