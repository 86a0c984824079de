package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/ingest"
)

const (
	// publishing is how many batches are published at the same time: while one waits for
	// Kafka, another one is claimed.
	publishing = 4
	// batchRows and batchBytes bound one of them.
	batchRows  = 800
	batchBytes = 8 << 20
)

// finished is a row that is to leave the table.
type finished struct {
	row   *Row
	claim event.ClaimID // zero: it has none
	// problem is why it is a dead row; nil if it was published, or had left before.
	problem *event.Error
	gone    bool // it had left before
}

// publisher takes rows from the reader through the door to the writer.
type publisher struct {
	*session
	backlog *backlog
	holds   *holds               // nil: dead rows hold nothing
	dying   map[string]time.Time // entities of dead rows that are not in the table of dead rows yet
	running int
	// vanishing says that rows of the last batches had left the table.
	vanishing atomic.Bool
	results   chan published
}

// published is what became of a batch.
type published struct {
	rows       []*Row
	finished   []finished
	retryAfter map[int64]time.Duration // of those to be tried again, but for those held back
	err        error                   // ends the session
}

// publish runs until ctx ends.
func (s *session) publish(ctx context.Context, in <-chan found, out chan<- []finished) error {
	held, err := s.loadHolds(ctx)
	if err != nil {
		return err
	}
	p := &publisher{session: s, backlog: newBacklog(), holds: held, dying: map[string]time.Time{}, results: make(chan published)}
	look := time.NewTicker(holdInterval)
	defer look.Stop()
	defer func() { // batches that are under way end by themselves
		for ; p.running > 0; p.running-- {
			<-p.results
		}
	}()
	for {
		p.start(ctx)
		s.metrics.note(s.cfg.Name, p.backlog)
		var more <-chan found
		if !p.backlog.full() {
			more = in
		}
		timer, stop := p.timer()
		select {
		case f := <-more:
			p.state.read(f.rows, f.all)
			rows := p.holds.sort(f.rows)
			for _, r := range rows {
				r.order = p.orderOf(r)
			}
			p.backlog.add(rows)
		case r := <-p.results:
			p.running--
			if err := p.end(ctx, r, out); err != nil {
				stop()
				return err
			}
		case <-timer:
		case <-look.C:
			if p.holds != nil {
				if err := p.holds.release(ctx, p.dying); err != nil {
					stop()
					return err
				}
			}
		case <-ctx.Done():
			stop()
			return ctx.Err()
		}
		stop()
	}
}

// orderOf is what a row is kept in order with. Without aggregate it is the entity key in
// its data.
func (p *publisher) orderOf(r *Row) string {
	if entity := r.entity(); entity != "" {
		return entity
	}
	req := p.cfg.request(r)
	if plan := p.door.Plan(&req); plan.Key != nil {
		return "\x01" + plan.Topic + "\x00" + *plan.Key
	}
	return "\x02" + r.ID
}

// timer fires when a row that waits is to be tried.
func (p *publisher) timer() (<-chan time.Time, func()) {
	at, ok := p.backlog.next()
	if !ok || p.running == publishing {
		return nil, func() {}
	}
	t := time.NewTimer(time.Until(at))
	return t.C, func() { t.Stop() }
}

// start publishes what can be published now.
func (p *publisher) start(ctx context.Context) {
	for p.running < publishing {
		rows := p.backlog.pick(time.Now(), batchRows, batchBytes)
		if len(rows) == 0 {
			return
		}
		p.running++
		go func() { p.results <- p.batch(ctx, rows) }()
	}
}

func (p *publisher) end(ctx context.Context, r published, out chan<- []finished) error {
	if r.err != nil {
		return r.err
	}
	done := make(map[int64]bool, len(r.finished))
	for _, f := range r.finished {
		done[f.row.Seq] = true
	}
	p.backlog.published(r.rows, done, r.retryAfter, time.Now())
	p.hold(r.finished)
	if len(r.finished) == 0 {
		return nil
	}
	select {
	case out <- r.finished:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hold parks the rows of entities that have dead rows now.
func (p *publisher) hold(rows []finished) {
	if p.holds == nil {
		return
	}
	dead := false
	for _, f := range rows {
		if f.problem != nil && f.row.entity() != "" {
			p.holds.add(f.row)
			p.dying[f.row.entity()] = time.Now()
			dead = true
		}
	}
	if dead {
		p.backlog.keep(p.holds.sort)
	}
}

// batch publishes rows, at most one batch per entity at a time.
func (p *publisher) batch(ctx context.Context, rows []*Row) published {
	result := published{rows: rows, retryAfter: map[int64]time.Duration{}}
	if rows, result.err = p.withoutGone(ctx, rows, &result); result.err != nil || len(rows) == 0 {
		return result
	}
	if err := p.state.trying(ctx, rows); err != nil {
		result.err = err
		return result
	}
	failpoint.At(failpoint.Noted)
	requests := make([]ingest.Request, len(rows))
	events := make([]ingest.Relayed, len(rows))
	for i, r := range rows {
		requests[i] = p.cfg.request(r)
		events[i] = ingest.Relayed{Request: &requests[i], Plan: p.door.Plan(&requests[i])}
	}
	// What is under way ends by itself when the session does: given up, its rows would be
	// unknown, and the next session would wait for their leases.
	results := p.door.Relay(context.WithoutCancel(ctx), events, ingest.RelayRules{
		Confirm: func(ctx context.Context, held []int) ([]ingest.Standing, error) {
			standings, err := p.confirm(ctx, rows, events, held)
			failpoint.At(failpoint.Confirmed)
			result.err = err
			return standings, err
		},
		Continue: func(e *event.Error) bool {
			return errors.Is(e, ingest.ErrGone) || !p.cfg.HoldEntity && isDead(e)
		},
		Unsettled: true,
	})
	if ctx.Err() != nil {
		result.err = ctx.Err()
	}
	p.open.add(results)
	for i, res := range results {
		p.sort(&result, rows[i], events[i].Plan.ClaimID, res)
	}
	return result
}

// withoutGone sets rows aside that have left the table, while the reader tells of many that
// were published before this session: claiming them would be in vain.
func (p *publisher) withoutGone(ctx context.Context, rows []*Row, result *published) ([]*Row, error) {
	if !p.vanishing.Load() {
		return rows, nil
	}
	seqs := make([]int64, len(rows))
	for i, r := range rows {
		seqs[i] = r.Seq
	}
	there, snap, err := p.there(ctx, seqs)
	if err != nil {
		return nil, err
	}
	left := make([]*Row, 0, len(rows))
	for _, r := range rows {
		if _, found := there[r.Seq]; !found && (r.xid == 0 || snap.sees(r.xid)) {
			result.finished = append(result.finished, finished{row: r, gone: true})
		} else {
			left = append(left, r)
		}
	}
	p.vanishing.Store(len(left) < len(rows))
	return left, nil
}

// sort adds a row to those that are finished, or that are tried again.
func (p *publisher) sort(result *published, r *Row, claim event.ClaimID, res ingest.BatchResult) {
	var e *event.Error
	switch {
	case res.Err == nil:
		result.finished = append(result.finished, finished{row: r, claim: claim})
		p.metrics.published(p.cfg.Name, r, res.Result.Replayed)
	case errors.Is(res.Err, ingest.ErrGone):
		p.vanishing.Store(true)
		result.finished = append(result.finished, finished{row: r, gone: true})
	case !errors.As(res.Err, &e):
		e = event.Failure(res.Err)
		fallthrough
	default:
		if isDead(e) {
			result.finished = append(result.finished, finished{row: r, problem: e})
			p.metrics.dead.WithLabelValues(p.cfg.Name, string(e.Kind)).Inc()
			return
		}
		p.metrics.retried.WithLabelValues(p.cfg.Name, string(e.Kind)).Inc()
		if e.Kind != event.HeldBack || errors.Is(e, ingest.ErrUnclear) {
			result.retryAfter[r.Seq] = e.RetryAfter
		}
	}
}

// isDead tells whether a row can never be published as it is.
func isDead(e *event.Error) bool {
	if e.Outcome != event.NotWritten {
		return false
	}
	switch e.Kind {
	case event.MalformedJSON, event.MalformedRequest, event.UnknownEventType, event.SchemaViolation, event.KeyMissing,
		event.EventTooLarge, event.IdempotencyKeyReused:
		return true
	}
	return false
}

// confirm tells which rows whose claims are held are in the table, and which have left it.
// It fails unless the claims are those of this session's epoch, and recent.
func (p *publisher) confirm(ctx context.Context, rows []*Row, events []ingest.Relayed, held []int) ([]ingest.Standing, error) {
	claims, seqs := make([]event.ClaimID, len(held)), make([]int64, len(held))
	for at, i := range held {
		claims[at], seqs[at] = events[i].Plan.ClaimID, rows[i].Seq
	}
	same, err := p.claims.Holds(ctx, p.cfg.Name, p.state.before.epoch, claims)
	if err != nil {
		return nil, fmt.Errorf("idempotency store: %w", err)
	}
	if !same {
		return nil, errors.New("the idempotency store has lost claims, or another relay has taken over; if this comes again and again, a relay on another database has an outbox of this name: give each outbox a name of its own")
	}
	if err := p.state.fresh(); err != nil {
		return nil, err
	}
	standings := make([]ingest.Standing, len(held))
	for pause := time.Millisecond; ; pause *= 2 {
		there, snap, err := p.there(ctx, seqs)
		if err != nil {
			return nil, err
		}
		unclear := false
		for at, i := range held {
			_, found := there[seqs[at]]
			switch {
			case found:
				standings[at] = ingest.Waits
			case rows[i].xid == 0 || snap.sees(rows[i].xid):
				standings[at] = ingest.Gone
			default:
				standings[at], unclear = ingest.Unclear, true
			}
		}
		if !unclear || pause > visibleWithin || !p.pause(ctx, pause) {
			return standings, nil
		}
	}
}

// visibleWithin is about how long rows are waited for whose transaction is in the
// write-ahead log and not visible yet. That is usually a moment; with synchronous
// replication it is as long as the standby takes. Rows of which it takes longer are tried
// again.
const visibleWithin = 64 * time.Millisecond

// there tells which rows are in the table, and in which snapshot.
func (p *publisher) there(ctx context.Context, seqs []int64) (there map[int64]struct{}, snap snapshot, err error) {
	there = make(map[int64]struct{}, len(seqs))
	text, found := "", []int64(nil)
	err = p.check.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		seq := p.table.column("seq")
		return conn.QueryRow(ctx, `SELECT pg_current_snapshot()::text, ARRAY(SELECT `+seq+` FROM `+p.table.table+` WHERE `+seq+` = ANY($1))`, seqs).Scan(&text, &found)
	})
	for _, seq := range found {
		there[seq] = struct{}{}
	}
	if err == nil {
		snap, err = parseSnapshot(text)
	}
	if err != nil {
		return nil, snap, fmt.Errorf("ask for rows: %w", err)
	}
	return there, snap, nil
}
