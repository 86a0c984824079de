package outbox

import (
	"context"
	"crypto/rand"
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
	app   string // what the database calls all connections of this session
	table *table

	leader *pgx.Conn      // holds the lock of the outbox, and listens
	query  *pgx.Conn      // of the reader
	check  shared         // asks whether rows are still there
	write  shared         // deletes rows, writes the state
	repl   *pgconn.PgConn // of the write-ahead log; nil: not used

	state    *stateKeeper
	reader   reader
	expiring chan []event.ClaimID
	open     openClaims
}

// lead waits until this relay has the lock of the outbox. The session must be closed.
func (r *Relay) lead(ctx context.Context) (s *session, err error) {
	s = &session{Relay: r, app: "gateway outbox " + rand.Text()[:8] + " " + r.cfg.Name, expiring: make(chan []event.ClaimID, expiringBatches), open: openClaims{list: map[event.ClaimID]*event.Settlement{}}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.leader, err = connect(ctx, r.cfg.listenDSN(), s.app); err != nil {
		return s, err
	}
	if s.table, err = inspectTable(ctx, s.leader, r.cfg); err != nil {
		return s, err
	}
	if err := s.lock(ctx); err != nil {
		return s, err
	}
	for _, conn := range []**pgx.Conn{&s.query, &s.check.conn, &s.write.conn} {
		if *conn, err = connect(ctx, r.cfg.DSN, s.app); err != nil {
			return s, err
		}
	}
	return s, nil
}

const (
	// standbyPause is between two tries of a standby to get the lock, which the database gives
	// free when the connection of its holder ends.
	standbyPause = time.Second
	// aliveInterval is between two signs of life of the active relay. After silentFor without
	// one a standby ends the connection that holds the lock: its relay is frozen, or its
	// machine is gone and the database has not noticed.
	aliveInterval, silentFor = 2 * time.Second, 8 * time.Second
)

func (s *session) lock(ctx context.Context) error {
	var sign string
	var since time.Time
	for waited := false; ; waited = true {
		var got bool
		asking, cancel := context.WithTimeout(ctx, queryTimeout)
		err := s.leader.QueryRow(asking, `SELECT pg_try_advisory_lock($1)`, s.table.leaderKey()).Scan(&got)
		if err == nil && !got {
			var now string
			if now, err = s.signOfLife(asking); now != sign {
				sign, since = now, time.Now()
			}
		}
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
		if time.Since(since) > silentFor {
			since = time.Now()
			if err := s.endHolder(ctx); err != nil {
				return err
			}
		}
		if !s.pause(ctx, standbyPause) {
			return ctx.Err()
		}
	}
}

// holderSQL finds the connection that holds the lock; $1 and $2 are the halves of its key.
const holderSQL = ` FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
	AND classid = $1 AND objid = $2 AND objsubid = 1 AND granted`

// keyHalves are how pg_locks shows the key of an advisory lock.
func keyHalves(key int64) (high, low uint32) { return uint32(key >> 32), uint32(key & 0xffffffff) } //nolint:gosec // that is meant

// signOfLife is a text that changes as long as the active relay is alive.
func (s *session) signOfLife(ctx context.Context) (sign string, err error) {
	high, low := keyHalves(s.table.leaderKey())
	err = s.leader.QueryRow(ctx, `SELECT concat_ws(' ', (SELECT pid`+holderSQL+`), (SELECT alive_at FROM `+s.table.state+` WHERE source = $3))`, high, low, s.cfg.Name).Scan(&sign)
	return sign, err
}

// endHolder ends all connections of the session that holds the lock: a frozen relay may
// be in the middle of a transaction that this one would wait for.
func (s *session) endHolder(ctx context.Context) error {
	high, low := keyHalves(s.table.leaderKey())
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	s.logger.Warn("the active relay gives no sign of life: its connection is ended, and this one takes over", "outbox", s.cfg.Name, "silent_for", silentFor.String())
	if _, err := s.leader.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = (
		SELECT application_name FROM pg_stat_activity WHERE pid = (SELECT pid`+holderSQL+`)) AND datname = current_database()`, high, low); err != nil {
		return fmt.Errorf("end the connection of a silent relay: %w", err)
	}
	return nil
}

// stayAlive gives signs of life until ctx ends.
func (s *session) stayAlive(ctx context.Context) error {
	for {
		err := s.check.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, `UPDATE `+s.table.state+` SET alive_at = clock_timestamp() WHERE source = $1`, s.cfg.Name)
			return err
		})
		if err != nil {
			return fmt.Errorf("give a sign of life: %w", err)
		}
		if !s.pause(ctx, aliveInterval) {
			return ctx.Err()
		}
	}
}

// run relays until ctx ends or anything fails.
func (s *session) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.stayAlive(ctx) })
	group.Go(func() error {
		if err := s.begin(ctx); err != nil {
			return err
		}
		if err := s.openReader(ctx); err != nil {
			return err
		}
		s.status.set(active, nil)
		s.logger.Info("relaying rows", "outbox", s.cfg.Name, "table", s.cfg.Table)
		rows, done := make(chan found), make(chan []finished, 4)
		group.Go(func() error { return s.reader.run(ctx, rows) })
		group.Go(func() error { return s.publish(ctx, rows, done) })
		group.Go(func() error { return s.writeAll(ctx, done) })
		group.Go(func() error { return s.expireAll(ctx) })
		group.Go(func() error { return s.watchLock(ctx) })
		group.Go(func() error { return s.observe(ctx) })
		return nil
	})
	err := group.Wait()
	s.claims.Settle(s.open.removeAll())
	return err
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
