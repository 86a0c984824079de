package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"eventgateway/internal/event"
)

// session is one relay's time as the active one, over one set of connections.
type session struct {
	*Relay
	table *table

	leader *pgx.Conn      // holds the lock of the outbox, and listens
	query  *pgx.Conn      // of the reader
	check  shared         // asks whether rows are still there
	write  shared         // deletes rows, writes the state
	repl   *pgconn.PgConn // of the write-ahead log; nil: not used

	state    *stateKeeper
	reader   reader
	expiring chan []event.ClaimID
}

// expiringBatches is how many batches of claims may wait to expire soon. Those beyond
// expire with the window.
const expiringBatches = 256

// lead waits until this relay has the lock of the outbox. The session must be closed.
func (r *Relay) lead(ctx context.Context) (s *session, err error) {
	s = &session{Relay: r, expiring: make(chan []event.ClaimID, expiringBatches)}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.leader, err = connect(ctx, r.cfg.listenDSN(), r.cfg.Name); err != nil {
		return s, err
	}
	if s.table, err = inspectTable(ctx, s.leader, r.cfg); err != nil {
		return s, err
	}
	if err := s.lock(ctx); err != nil {
		return s, err
	}
	for _, conn := range []**pgx.Conn{&s.query, &s.check.conn, &s.write.conn} {
		if *conn, err = connect(ctx, r.cfg.DSN, r.cfg.Name); err != nil {
			return s, err
		}
	}
	return s, nil
}

// standbyPause is between two tries of a standby to get the lock, which the database gives
// free when the connection of its holder ends.
const standbyPause = time.Second

func (s *session) lock(ctx context.Context) error {
	for waited := false; ; waited = true {
		var got bool
		asking, cancel := context.WithTimeout(ctx, queryTimeout)
		err := s.leader.QueryRow(asking, `SELECT pg_try_advisory_lock($1)`, s.table.leaderKey()).Scan(&got)
		cancel()
		if err != nil {
			return fmt.Errorf("lock the outbox: %w", err)
		}
		if got {
			return nil
		}
		if !waited {
			s.status.set(standby, nil)
			s.logger.Info("another relay is active: this one stands by", "outbox", s.cfg.Name)
		}
		if !s.pause(ctx, standbyPause) {
			return ctx.Err()
		}
	}
}

// run relays until ctx ends or anything fails.
func (s *session) run(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	if err := s.openReader(ctx); err != nil {
		return err
	}
	s.status.set(active, nil)
	s.logger.Info("relaying rows", "outbox", s.cfg.Name, "table", s.cfg.Table)
	group, ctx := errgroup.WithContext(ctx)
	rows, done := make(chan found), make(chan []finished, 4)
	group.Go(func() error { return s.reader.run(ctx, rows) })
	group.Go(func() error { return s.publish(ctx, rows, done) })
	group.Go(func() error { return s.writeAll(ctx, done) })
	group.Go(func() error { return s.expireAll(ctx) })
	group.Go(func() error { return s.watchLock(ctx) })
	group.Go(func() error { return s.observe(ctx) })
	return group.Wait()
}

func (s *session) openReader(ctx context.Context) error {
	if s.cfg.WAL {
		w, err := newWALReader(ctx, s)
		s.reader = w
		return err
	}
	b, err := newBell(ctx, s.leader, s.table)
	s.reader = newPollReader(s, s.query, b)
	return err
}

// watchLock fails when the connection that holds the lock is lost: another relay is active
// then. The polling reader uses that connection itself.
func (s *session) watchLock(ctx context.Context) error {
	if !s.cfg.WAL {
		return nil
	}
	for {
		asking, cancel := context.WithTimeout(ctx, queryTimeout)
		_, err := s.leader.Exec(asking, `SELECT 1`)
		cancel()
		if err != nil {
			return fmt.Errorf("hold the lock of the outbox: %w", err)
		}
		if !s.pause(ctx, standbyPause) {
			return ctx.Err()
		}
	}
}

func (s *session) close() {
	if s.repl != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.repl.Close(ctx) // as for the others
	}
	for _, conn := range []*pgx.Conn{s.query, s.check.conn, s.write.conn, s.leader} {
		closeConn(conn)
	}
}
