package publish

import (
	"context"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

func (p *Producer) incarnate(batchBytes int) (*incarnation, error) {
	inc, err := newIncarnation(p.cfg, "", batchBytes, p.logger, p.reported)
	if err != nil {
		return nil, err
	}
	inc.overdue = newOverdue(p.cfg.DeliveryTimeout)
	inc.pumps.Go(func() { inc.overdue.run(inc.stop, func() { p.giveUp(inc) }) })
	return inc, nil
}

func (p *Producer) present() *incarnation {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.current
}

func (p *Producer) incarnation(id string) *incarnation {
	p.mu.RLock()
	defer p.mu.RUnlock()
	switch {
	case p.closed:
		return nil
	case p.current.id == id:
		return p.current
	}
	return p.draining[id] // nil if it is gone
}

// reported is told of errors that concern no single record.
// What a replaced incarnation says does not concern the present one.
func (p *Producer) reported(from *incarnation, e kafka.Error) {
	p.metrics.errors.WithLabelValues(e.Code().String()).Inc()
	switch {
	case from != p.present():
		p.logger.Warn("kafka error of a replaced producer", "error", e)
	case e.IsFatal():
		p.logger.Error("kafka producer failed for good and is replaced", "error", e)
		p.requestReplace("fatal error")
	case e.Code() == kafka.ErrAllBrokersDown:
		if !p.down.Swap(true) {
			p.logger.Error("no kafka broker can be reached: events are refused until one answers", "error", e)
		}
		p.topics.refreshSoon()
	default:
		p.logger.Warn("kafka error", "error", e)
	}
}

// refreshed is told how asking for metadata went, and when it began.
func (p *Producer) refreshed(begun time.Time, err error) {
	if err != nil {
		// Under load an answer may be late although records are acknowledged.
		alive := p.acked.Load() > begun.UnixNano()
		if !alive && !p.down.Swap(true) {
			p.logger.Error("kafka does not answer: events are refused until it does", "error", err)
		}
		p.replaceIfStuck(begun, alive)
		return
	}
	p.awaySince = time.Time{}
	p.up()
}

// prepare makes batches fit the topics that are about to be known, before the first
// record can be placed in one of them: a batch that is too large fails all its records.
func (p *Producer) prepare(smallest int) {
	limit := batchLimitOf(smallest)
	p.shrink(limit)
	if p.lanes != nil {
		p.lanes.shrink(limit)
	}
}

// shrink sets the limit of batches, and replaces a producer that has a larger one.
func (p *Producer) shrink(limit int) {
	p.replacing.Lock()
	defer p.replacing.Unlock()
	p.limit.Store(int64(limit))
	if limit >= p.present().batchBytes {
		return
	}
	const reason = "a topic takes smaller batches"
	if err := p.reincarnateLocked(reason); err != nil {
		p.logger.Error("replacing the kafka producer failed", "error", err)
		p.requestReplace(reason)
	}
}

// replaceIfStuck takes a new client when Kafka has not answered this one for long.
func (p *Producer) replaceIfStuck(begun time.Time, alive bool) {
	switch {
	case alive:
		p.awaySince = time.Time{}
	case p.awaySince.IsZero():
		p.awaySince = begun
	case time.Since(p.awaySince) > p.stuck:
		p.awaySince = time.Time{}
		p.present().fail()
		p.requestReplace("kafka has not answered for long")
	}
}

// batchLimit is the largest batch that every topic takes, those included that are
// about to be known.
func (p *Producer) batchLimit() int { return int(p.limit.Load()) }

func batchLimitOf(smallest int) int { return max(1, min(defaultBatchBytes, smallest-batchOverhead)) }

func (p *Producer) up() {
	if p.down.Load() && p.down.Swap(false) {
		p.logger.Info("kafka answers again")
	}
}

func (p *Producer) requestReplace(reason string) {
	select {
	case p.replace <- reason:
	default: // one is due already
	}
}

// outdated reports whether the present incarnation is to be replaced.
func (p *Producer) outdated() bool {
	current := p.present()
	return current.fatal.Load() || p.batchLimit() < current.batchBytes
}

// giveUp ends an incarnation of which a record was not acknowledged in time:
// whatever else is under way in it is unknown too, and none of it may be sent
// again once somebody else may read the log for it.
func (p *Producer) giveUp(inc *incarnation) {
	if inc.fail() {
		p.logger.Error("kafka did not acknowledge a record in time: its producer is given up with all that is under way", "records", inc.queued())
		p.requestReplace("a record was not acknowledged in time")
	}
}

// reincarnate starts a new librdkafka producer. The old one still takes
// records of claims that name it, unless it failed, and is then closed.
func (p *Producer) reincarnate(reason string) error {
	p.replacing.Lock()
	defer p.replacing.Unlock()
	return p.reincarnateLocked(reason)
}

func (p *Producer) reincarnateLocked(reason string) error {
	next, err := p.incarnate(p.batchLimit())
	if err != nil {
		return err
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		next.close(0)
		return nil
	}
	old := p.current
	p.current = next
	grace := drainGrace
	if old.fatal.Load() {
		grace = 0
	} else {
		p.draining[old.id] = old
	}
	p.drains.Go(func() { p.drain(old, grace) })
	p.mu.Unlock()
	p.metrics.incarnations.Inc()
	p.logger.Info("kafka producer replaced", "reason", reason, "batch_bytes", next.batchBytes)
	return nil
}

func (p *Producer) drain(old *incarnation, grace time.Duration) {
	select {
	case <-time.After(grace):
	case <-old.failed:
	case <-p.stop:
	}
	p.mu.Lock()
	delete(p.draining, old.id)
	p.mu.Unlock()
	old.close(p.cfg.DeliveryTimeout) // at once if it has failed
}

// Close waits, at most until ctx ends, for records under way, and closes. What
// is left then has an unknown outcome.
func (p *Producer) Close(ctx context.Context) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	close(p.stop)
	p.end()
	open := []*incarnation{p.current}
	for _, i := range p.draining {
		open = append(open, i)
	}
	p.mu.Unlock()
	limit := p.cfg.DeliveryTimeout
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, max(0, time.Until(deadline)))
	}
	if p.lanes != nil {
		p.lanes.close(limit) // first: it takes its ids out of the registry
	}
	for _, i := range open {
		i.close(limit)
	}
	p.drains.Wait()
	p.searches.reads.Wait()
}

// queued is the number of records that wait for an acknowledgement.
func (p *Producer) queued() float64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	n := p.current.queued()
	if p.lanes != nil {
		n += p.lanes.waiting()
	}
	for _, i := range p.draining {
		n += i.queued()
	}
	return float64(n)
}
