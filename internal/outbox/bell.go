package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// asleepFor is how long a relay sleeps that nobody wakes, unrungFor the same where the
	// table has no trigger to wake it.
	asleepFor, unrungFor = 2 * time.Second, 100 * time.Millisecond
	// openPause is between two queries while a transaction is open that has inserted rows
	// and will not ring.
	openPause = 20 * time.Millisecond
)

// bell wakes a relay that sleeps. The trigger of the table rings it (schema.sql).
//
// NOTIFY takes a lock of the whole database until the commit, so the trigger uses it only
// while the relay sleeps. How it knows: a relay that sleeps holds an advisory lock. The
// trigger tries to share it, until its transaction ends, and rings if it cannot. So a
// relay cannot fall asleep while a transaction is open that inserted rows and did not ring.
type bell struct {
	conn      *pgx.Conn // it has the session's lock, too; nobody else uses it meanwhile
	table     *table
	installed bool
}

func newBell(ctx context.Context, conn *pgx.Conn, t *table) (*bell, error) {
	b := &bell{conn: conn, table: t}
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
		WHERE g.tgrelid = $1 AND g.tgenabled <> 'D' AND p.prosrc LIKE '%pg_try_advisory_xact_lock_shared%')`, t.oid).Scan(&b.installed)
	if err == nil && b.installed {
		_, err = conn.Exec(ctx, `LISTEN `+pgx.Identifier{t.channel()}.Sanitize())
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return b, nil
}

// sleep waits until the bell rings, or for a while. empty is asked when the bell is set: if
// it finds something, sleep returns at once.
func (b *bell) sleep(ctx context.Context, empty func(context.Context) (bool, error)) error {
	if !b.installed {
		return b.wait(ctx, unrungFor)
	}
	asked, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var set bool
	if err := b.conn.QueryRow(asked, `SELECT pg_try_advisory_lock($1)`, b.table.sleepKey()).Scan(&set); err != nil {
		return fmt.Errorf("set the bell: %w", err)
	}
	if !set {
		return b.wait(ctx, openPause)
	}
	none, err := empty(asked)
	if err == nil && none {
		err = b.wait(ctx, asleepFor)
	}
	if err != nil {
		return err
	}
	_, err = b.conn.Exec(asked, `SELECT pg_advisory_unlock($1)`, b.table.sleepKey())
	if err != nil {
		return fmt.Errorf("unset the bell: %w", err)
	}
	return nil
}

// wait waits for a notification, at most for a while. It fails if the connection is lost.
func (b *bell) wait(ctx context.Context, limit time.Duration) error {
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := b.conn.WaitForNotification(waiting)
	if err == nil || waiting.Err() != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return fmt.Errorf("wait for rows: %w", err)
}
