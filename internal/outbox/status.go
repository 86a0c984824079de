package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// role is what a relay does now.
type role string

const (
	starting role = "starting"
	standby  role = "standby"
	active   role = "active"
	failing  role = "failing"
	stopped  role = "stopped"
)

const (
	// stuckAfter is how long rows may wait without any being published or set aside, before
	// an active relay counts as unhealthy.
	stuckAfter = time.Minute
	// observeInterval is between two looks at what waits.
	observeInterval = 5 * time.Second
)

// status is what others may know of a relay.
type status struct {
	name    string
	metrics *Metrics

	mu       sync.Mutex
	role     role
	err      error
	progress time.Time     // the last time that rows left the table, or none waited
	oldest   time.Duration // age of the oldest row, when it was last looked at
}

func newStatus(name string, m *Metrics) *status {
	s := &status{name: name, metrics: m}
	s.set(starting, nil)
	return s
}

func (s *status) set(now role, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.role, s.err, s.progress = now, err, time.Now()
	value := 0.0
	if now == active {
		value = 1
	}
	s.metrics.active.WithLabelValues(s.name).Set(value)
}

// progressed notes that rows have left the table.
func (s *status) progressed(some bool) {
	if !some {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress = time.Now()
}

// waiting notes how long the oldest row has waited.
func (s *status) waiting(rows int64, oldest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oldest = oldest
	if rows == 0 {
		s.progress = time.Now()
	}
}

// Name is the name of the outbox.
func (r *Relay) Name() string { return r.cfg.Name }

// Health returns why the relay makes no progress; nil if it does, or stands by.
func (r *Relay) Health() error {
	s := r.status
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.role == failing && s.err != nil:
		return s.err
	case s.role == starting:
		return errors.New("it starts")
	case s.role == active && time.Since(s.progress) > stuckAfter:
		return fmt.Errorf("no row was published for %s, and the oldest waits for %s", time.Since(s.progress).Round(time.Second), s.oldest.Round(time.Second))
	}
	return nil
}

// observe looks at what waits, for metrics and health, until ctx ends. A look that fails
// ends the session: its connection is one that publishing needs.
func (s *session) observe(ctx context.Context) error {
	for {
		begun := time.Now()
		if err := s.lookAtWaiting(ctx); err != nil {
			return err
		}
		// Counting takes long where many deleted rows cannot be removed.
		if !s.pause(ctx, max(observeInterval, sweepShare*time.Since(begun))) {
			return ctx.Err()
		}
	}
}

func (s *session) lookAtWaiting(ctx context.Context) error {
	t, m := s.table, s.metrics
	var rows, dead int64
	var oldest float64
	created := "NULL::timestamptz"
	if _, ok := t.columns["created_at"]; ok {
		created = t.column("created_at") + "::timestamptz"
	}
	err := s.check.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM (SELECT FROM `+t.table+` LIMIT $1) r),
			(SELECT count(*) FROM (SELECT FROM `+t.dead+` WHERE source = $2 LIMIT $1) d),
			coalesce((SELECT greatest(extract(epoch FROM clock_timestamp() - `+created+`), 0)::float8 FROM `+t.table+` ORDER BY `+t.column("seq")+` LIMIT 1), 0)`,
			countLimit, s.cfg.Name).Scan(&rows, &dead, &oldest)
	})
	if err != nil {
		return fmt.Errorf("look at what waits: %w", err)
	}
	s.status.waiting(rows, time.Duration(oldest*float64(time.Second)))
	m.waiting.WithLabelValues(s.cfg.Name).Set(float64(rows))
	m.deadRows.WithLabelValues(s.cfg.Name).Set(float64(dead))
	m.oldest.WithLabelValues(s.cfg.Name).Set(oldest)
	if !s.cfg.WAL {
		return nil
	}
	var kept, safe float64
	err = s.check.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::float8, coalesce(safe_wal_size, -1)::float8
			FROM pg_replication_slots WHERE slot_name = $1`, s.cfg.Slot).Scan(&kept, &safe)
	})
	if err == nil {
		m.retained.WithLabelValues(s.cfg.Name).Set(kept)
		m.safe.WithLabelValues(s.cfg.Name).Set(safe)
	} else if !errors.Is(err, pgx.ErrNoRows) { // dropped: the stream will tell
		return fmt.Errorf("look at the replication slot: %w", err)
	}
	return nil
}
