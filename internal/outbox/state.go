package outbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"eventgateway/internal/event"
)

// state is what outlives a session: the row of the outbox in its state table.
type state struct {
	// epoch names the claims in the idempotency store at which the rest holds.
	epoch string
	// timeline names the history of the database: of its system, its promotions.
	timeline string
	// tried: rows with a higher number were never tried.
	tried int64
	// since: rows that were tried and are still in the table were first tried at this time or
	// later, by the clock of their gateway.
	since time.Time
	// position is for the write-ahead log: the transactions that committed before it are
	// published.
	position uint64
}

const (
	// triedAhead is how many numbers are noted as tried at once, so that a busy relay
	// seldom waits for it.
	triedAhead = 20_000
	// sinceAge is how old the noted time may be while nothing is outstanding. The older it
	// is, the more of the log is read if a look is needed.
	sinceAge = 10 * time.Minute
	// clockSlack is by how much clocks of gateways may differ (docs/guarantees.md).
	clockSlack = time.Minute
)

// trustedFor is how long after its claim was made a row may be tried again without looking
// for it in the log.
func (c *Config) trustedFor() time.Duration { return c.TTL - min(c.TTL/4, time.Hour) }

const timelineSQL = `SELECT (SELECT system_identifier::text FROM pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)`

// loadState reads the state, and makes one for an outbox that has none.
func (s *session) loadState(ctx context.Context) (st state, timeline string, err error) {
	conn := s.write.conn
	if err := conn.QueryRow(ctx, timelineSQL).Scan(&timeline); err != nil {
		return st, "", fmt.Errorf("read the database's timeline: %w", err)
	}
	_, err = conn.Exec(ctx, `INSERT INTO `+s.table.state+` (source, timeline) VALUES ($1, $2) ON CONFLICT DO NOTHING`, s.cfg.Name, timeline)
	if err != nil {
		return st, "", fmt.Errorf("read state: %w", err)
	}
	err = conn.QueryRow(ctx, `SELECT epoch, timeline, tried, tried_since, (position - '0/0'::pg_lsn)::bigint FROM `+s.table.state+` WHERE source = $1`, s.cfg.Name).
		Scan(&st.epoch, &st.timeline, &st.tried, &st.since, &st.position)
	if err != nil {
		return st, "", fmt.Errorf("read state: %w", err)
	}
	return st, timeline, nil
}

// begin makes sure that every row that an earlier session published and did not delete is
// recognised: by its claim, or because it is looked for in the log now.
func (s *session) begin(ctx context.Context) error {
	st, timeline, err := s.loadState(ctx)
	if err != nil {
		return err
	}
	same := st.epoch != ""
	if same {
		same, err = s.claims.Holds(ctx, s.cfg.Name, st.epoch, nil)
		if err != nil {
			return fmt.Errorf("idempotency store: %w", err)
		}
	}
	now := s.now()
	var reason string
	switch {
	case st.timeline != timeline:
		reason = "the database is another one, or was promoted"
	case st.tried > 0 && !same:
		reason = "the idempotency store is another one, or may have lost claims"
	case st.tried > 0 && now.Sub(st.since) > s.cfg.trustedFor():
		reason = "claims may have expired"
	}
	if !same {
		st.epoch = rand.Text()
		if err := s.claims.Begin(ctx, s.cfg.Name, st.epoch); err != nil {
			return fmt.Errorf("idempotency store: %w", err)
		}
	}
	if reason != "" {
		if err := s.look(ctx, reason, &st, st.timeline != timeline); err != nil {
			return err
		}
		st.since = now
	}
	st.timeline = timeline
	_, err = s.write.conn.Exec(ctx, `UPDATE `+s.table.state+` SET epoch = $2, timeline = $3, tried_since = $4, updated_at = now() WHERE source = $1`,
		s.cfg.Name, st.epoch, st.timeline, st.since)
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	s.state = &stateKeeper{state: st, before: st, session: s, outstanding: map[int64]*triedRows{}, earlier: &triedRows{at: st.since}}
	return nil
}

// look deletes the rows that may have been tried and are in the log.
func (s *session) look(ctx context.Context, reason string, st *state, all bool) error {
	where, args := "", []any{}
	if !all {
		where, args = ` WHERE `+s.table.column("seq")+` <= $1`, []any{st.tried}
	}
	created := "NULL::timestamptz"
	if _, ok := s.table.columns["created_at"]; ok {
		created = s.table.column("created_at") + "::timestamptz"
	}
	rows, err := s.write.conn.Query(ctx, `SELECT `+s.table.column("seq")+`, coalesce(`+s.table.column("id")+`::text, ''), `+created+` FROM `+s.table.table+where, args...)
	if err != nil {
		return fmt.Errorf("list rows that may have been tried: %w", err)
	}
	ids, seqs := map[event.ClaimID]struct{}{}, map[event.ClaimID][]int64{}
	from := st.since
	var seq int64
	var id string
	var at *time.Time
	_, err = pgx.ForEachRow(rows, []any{&seq, &id, &at}, func() error {
		claim := s.cfg.claimID(id)
		ids[claim] = struct{}{}
		seqs[claim] = append(seqs[claim], seq)
		if all && at != nil && at.Before(from) {
			from = *at
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list rows that may have been tried: %w", err)
	}
	if len(ids) == 0 {
		return nil
	}
	from = from.Add(-clockSlack)
	s.logger.Info("looking in kafka for rows that an earlier relay may have published", "outbox", s.cfg.Name, "reason", reason, "rows", len(ids), "from", from)
	found, err := s.log.Find(ctx, ids, from)
	if err != nil {
		return fmt.Errorf("look for rows in kafka: %w", err)
	}
	s.metrics.looked.Add(float64(len(ids)))
	var published []int64
	for claim := range found {
		published = append(published, seqs[claim]...)
	}
	if len(published) > 0 {
		if _, err := s.write.conn.Exec(ctx, `DELETE FROM `+s.table.table+` WHERE `+s.table.column("seq")+` = ANY($1)`, published); err != nil {
			return fmt.Errorf("delete rows that are in kafka: %w", err)
		}
	}
	s.logger.Info("looked in kafka for rows that an earlier relay may have published", "outbox", s.cfg.Name, "rows", len(ids), "found", len(published))
	return nil
}

// claimID is the gw_claim of a row.
func (c *Config) claimID(id string) event.ClaimID {
	return event.Identity{Kind: event.IdentityOutbox, Parts: []string{id}}.ClaimID(c.Name)
}

// errLeadership ends a session whose state another relay has changed.
var errLeadership = errors.New("another relay has taken over")

// stateKeeper keeps the state of a session. The publisher and the writer use it.
type stateKeeper struct {
	session *session

	mu          sync.Mutex
	state       state
	before      state                // when the session began
	outstanding map[int64]*triedRows // rows that may have been tried and are still there
	earlier     *triedRows           // those that an earlier session may have tried
	tries       []*triedRows         // those of this session, the oldest first
	caughtUp    bool                 // all rows that were there when the session began have been read
}

// triedRows are rows that were first tried at the same time.
type triedRows struct {
	at   time.Time
	left int // in the table
}

// oldest is when the oldest outstanding row was first tried; now if there is none. It is
// called with mu held.
func (k *stateKeeper) oldest(now time.Time) time.Time {
	for len(k.tries) > 0 && k.tries[0].left == 0 {
		k.tries = k.tries[1:]
	}
	oldest := now
	if len(k.tries) > 0 && k.tries[0].at.Before(oldest) {
		oldest = k.tries[0].at
	}
	if k.earlier.left > 0 && k.earlier.at.Before(oldest) {
		oldest = k.earlier.at
	}
	if !k.caughtUp && k.state.since.Before(oldest) {
		oldest = k.state.since // rows that an earlier session tried are still to be read
	}
	return oldest
}

// read notes rows that the session has read. all says that it has now read all rows that
// were in the table when it began.
func (k *stateKeeper) read(rows []*Row, all bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range rows {
		if r.Seq <= k.before.tried {
			k.noteTried(r, k.earlier)
		}
	}
	k.caughtUp = k.caughtUp || all
}

// errTooOld ends a session, so that the next one looks in the log.
var errTooOld = errors.New("rows have been tried for so long that their claims may expire: they will be looked for in kafka")

// trying notes that rows are about to be tried. It returns when the database has it.
func (k *stateKeeper) trying(ctx context.Context, rows []*Row) error {
	now := k.session.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	var highest int64
	for _, r := range rows {
		highest = max(highest, r.Seq)
	}
	oldest := k.oldest(now)
	if now.Sub(oldest) > k.session.cfg.trustedFor() {
		return errTooOld
	}
	if highest > k.state.tried || now.Sub(k.state.since) > sinceAge && oldest.Sub(k.state.since) > sinceAge/2 {
		tried := k.state.tried
		if highest > tried {
			tried = highest + triedAhead
		}
		if err := k.note(ctx, tried, oldest); err != nil {
			return err
		}
	}
	tries := &triedRows{at: now}
	for _, r := range rows {
		k.noteTried(r, tries)
	}
	k.tries = append(k.tries, tries)
	return nil
}

// noteTried is called with mu held.
func (k *stateKeeper) noteTried(r *Row, with *triedRows) {
	if _, ok := k.outstanding[r.Seq]; !ok {
		k.outstanding[r.Seq] = with
		with.left++
	}
}

// fresh fails if a row that is still there may have been tried so long ago that its claim
// is gone. It is asked after claims are held: a relay may have been frozen before.
func (k *stateKeeper) fresh() error {
	now := k.session.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Round(0).Sub(k.oldest(now).Round(0)) > k.session.cfg.trustedFor() { // Round(0): the monotonic clock stops with the machine
		return errTooOld
	}
	return nil
}

// note writes the state. It is called with mu held.
func (k *stateKeeper) note(ctx context.Context, tried int64, since time.Time) error {
	s := k.session
	return s.write.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return fmt.Errorf("write state: %w", err)
		}
		defer func() { _ = tx.Rollback(ctx) }()
		if _, err := tx.Exec(ctx, durableSQL); err != nil {
			return fmt.Errorf("write state: %w", err)
		}
		tag, err := tx.Exec(ctx, `UPDATE `+s.table.state+` SET tried = $3, tried_since = $4, updated_at = now() WHERE source = $1 AND epoch = $2`,
			s.cfg.Name, k.state.epoch, tried, since)
		if err != nil {
			return fmt.Errorf("write state: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errLeadership
		}
		if err := tx.Commit(ctx); err != nil {
			return fmt.Errorf("write state: %w", err)
		}
		k.state.tried, k.state.since = tried, since
		return nil
	})
}

// durableSQL makes a transaction durable, whatever the database's default is. It also lets
// the database end the transaction of a relay that is frozen in the middle of it.
const durableSQL = synchronousSQL + `, set_config('idle_in_transaction_session_timeout', '10s', true)`

// synchronousSQL does only the former.
const synchronousSQL = `SELECT set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on' ELSE current_setting('synchronous_commit') END, true)`

// leaving returns since as it is once the rows have left the table.
func (k *stateKeeper) leaving(rows []finished) (epoch string, since time.Time) {
	now := k.session.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range rows {
		if tries := k.outstanding[f.row.Seq]; tries != nil {
			tries.left--
			delete(k.outstanding, f.row.Seq)
		}
	}
	return k.state.epoch, k.oldest(now)
}

// left notes what the writer has committed.
func (k *stateKeeper) left(since time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.since = since
}
