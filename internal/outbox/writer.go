package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

// writeRows bounds what one transaction deletes.
const writeRows = 5000

// heartbeatInterval is between two writes of the state while nothing is published. With
// the write-ahead log each is a transaction of this database, by which the slot moves on
// where other databases write and this one does not.
//
// The first one comes soon after the session has begun: until the position is noted, the
// next session would read the table first.
const heartbeatInterval, firstHeartbeat = 10 * time.Second, time.Second

// writeAll deletes rows that are finished, until ctx ends. It collects what is finished
// while a transaction commits.
func (s *session) writeAll(ctx context.Context, in <-chan []finished) error {
	heartbeat := time.NewTimer(firstHeartbeat)
	defer heartbeat.Stop()
	for {
		var rows []finished
		select {
		case rows = <-in:
		case <-heartbeat.C: // without rows: it only moves the position
			heartbeat.Reset(heartbeatInterval)
		case <-ctx.Done():
			return ctx.Err()
		}
	collect:
		for len(rows) < writeRows {
			select {
			case more := <-in:
				rows = append(rows, more...)
			default:
				break collect
			}
		}
		if err := s.remove(ctx, rows); err != nil {
			return err
		}
	}
}

// remove moves dead rows to their table, deletes the others, and writes the state, in one
// transaction.
func (s *session) remove(ctx context.Context, rows []finished) error {
	var gone []int64
	var dead []finished
	var claims []event.ClaimID
	for _, f := range rows {
		switch {
		case f.problem != nil:
			dead = append(dead, f)
		case !f.gone:
			gone = append(gone, f.row.Seq)
			claims = append(claims, f.claim)
		}
	}
	position := s.reader.leaving(rows)
	epoch, since := s.state.leaving(rows)
	begun := s.now()
	if len(rows) > 0 {
		failpoint.At(failpoint.Deleting)
	}
	err := s.write.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		return s.commit(ctx, conn, gone, dead, epoch, since, position)
	})
	if err != nil {
		return fmt.Errorf("delete published rows: %w", explained(err, s.cfg))
	}
	s.open.remove(claims)
	if len(rows) > 0 {
		failpoint.At(failpoint.Deleted)
	}
	s.metrics.commit.Observe(s.now().Sub(begun).Seconds())
	s.state.left(since)
	s.status.progressed(len(rows) > 0)
	s.reader.left(rows, position)
	for _, f := range dead {
		s.logger.Warn("row cannot be published and is a dead row now: see gateway outbox dead", "outbox", s.cfg.Name,
			"seq", f.row.Seq, "id", f.row.ID, "type", f.row.Type, "reason", string(f.problem.Kind))
	}
	select {
	case s.expiring <- claims:
	default: // they expire with the window
	}
	return nil
}

func (s *session) commit(ctx context.Context, conn *pgx.Conn, gone []int64, dead []finished, epoch string, since time.Time, position uint64) error {
	t := s.table
	batch := &pgx.Batch{}
	batch.Queue(`BEGIN`)
	batch.Queue(durableSQL)
	if len(dead) > 0 {
		var seqs []int64
		var reasons, details []string
		for _, f := range dead {
			seqs, reasons, details = append(seqs, f.row.Seq), append(reasons, string(f.problem.Kind)), append(details, describe(f.problem))
		}
		columns, moved := movedColumns(s.table)
		batch.Queue(`WITH moved AS (DELETE FROM `+t.table+` WHERE `+t.column("seq")+` = ANY($1) RETURNING *)
			INSERT INTO `+t.dead+` (`+columns+`, source, reason, detail, dead_at)
			SELECT `+moved+`, $4, r.reason, r.detail, now() FROM moved m JOIN unnest($1::bigint[], $2::text[], $3::text[]) r (seq, reason, detail) ON r.seq = m.`+t.column("seq"),
			seqs, reasons, details, s.cfg.Name)
	}
	var updated int64
	if gone == nil {
		gone = []int64{} // nil would be NULL
	}
	batch.Queue(`WITH d AS (DELETE FROM `+t.table+` WHERE `+t.column("seq")+` = ANY($5) RETURNING 1)
		UPDATE `+t.state+` SET tried_since = $3, position = greatest(position, $4::text::pg_lsn), published = published + (SELECT count(*) FROM d), updated_at = now()
		WHERE source = $1 AND epoch = $2`,
		s.cfg.Name, epoch, since, pglogrepl.LSN(position).String(), gone).Exec(func(tag pgconn.CommandTag) error {
		updated = tag.RowsAffected()
		if updated == 0 {
			return errLeadership
		}
		return nil
	})
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, `COMMIT`)
	return err
}

// movedColumns lists the columns that dead rows keep, as they are called there and here.
func movedColumns(t *table) (there, here string) {
	for _, usual := range allColumns {
		if _, ok := t.columns[usual]; !ok {
			continue
		}
		if there != "" {
			there, here = there+", ", here+", "
		}
		there += t.column(usual)
		here += "m." + t.column(usual)
	}
	return there, here
}

// describe is a problem in words, for whoever looks at a dead row.
func describe(e *event.Error) string {
	text := e.Detail
	for _, v := range e.Violations {
		text += fmt.Sprintf("\n%s: %s (%s)", v.Pointer, v.Message, v.Keyword)
	}
	return text
}
