package outbox

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"eventgateway/internal/backoff"
)

const (
	// readRows and readBytes bound what one query brings into memory. A query that finds
	// more than the bytes is given up behind the row that passes them.
	readRows  = 2000
	readBytes = 16 << 20
	// busyPause is between two queries that find little, while writers are active: it lets
	// rows gather, and is most of what a row waits then.
	busyPause = 10 * time.Millisecond
	// sweepInterval is between two queries for rows with any number. It becomes longer
	// where they take long.
	sweepInterval = 3 * time.Second
	sweepShare    = 30 // of the time, at most one part of so many is spent on sweeps
)

// pollReader asks the table for rows.
//
// A row's number is taken before its transaction commits, so rows with lower numbers may
// appear later, and no number may be passed for good. But to begin each query at the lowest
// number that ever may appear takes longer and longer while some transaction stays open,
// because the index keeps its entries of deleted rows until then. So a query begins above
// a mark, and queries that begin at any number are made
//
//   - when a transaction ends that may have taken a number below the mark. This keeps
//     rows in order: a row may follow another only if its transaction began after the
//     other's had ended, or waited for it, and then a query that sees it comes after that end;
//   - every few seconds, for rows whose number was taken in another way.
type pollReader struct {
	session *session
	conn    *pgx.Conn
	bell    *bell

	mu    sync.Mutex
	taken map[int64]struct{} // rows that were found and have not left

	again bool // rows are to be found again, whatever their numbers

	marks     marks
	rowBytes  int // of a row, about
	swept     time.Time
	sweepTook time.Duration
	all       bool // a sweep has found everything once
}

func newPollReader(s *session, conn *pgx.Conn, b *bell) *pollReader {
	return &pollReader{session: s, conn: conn, bell: b, taken: map[int64]struct{}{}, rowBytes: readBytes / 100}
}

func (*pollReader) leaving([]finished) uint64 { return 0 }

func (p *pollReader) left(rows []finished, _ uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range rows {
		delete(p.taken, f.row.Seq)
	}
}

func (*pollReader) park([]*Row) {}

func (p *pollReader) reread(_ context.Context, _ string, seqs []int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, seq := range seqs {
		delete(p.taken, seq)
	}
	p.again = true
	return nil
}

func (p *pollReader) run(ctx context.Context, out chan<- found) error {
	for {
		rows, more, err := p.read(ctx)
		if err != nil {
			return err
		}
		if len(rows) > 0 || p.all {
			select {
			case out <- found{rows, p.all}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		switch {
		case more:
		case len(rows) > 0:
			backoff.Sleep(ctx, busyPause)
		default:
			if err := p.bell.sleep(ctx, p.empty); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// empty reports whether a last look, made after the bell was set, finds nothing.
func (p *pollReader) empty(ctx context.Context) (bool, error) {
	var exists bool
	err := p.conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM `+p.session.table.table+` WHERE `+p.session.table.column("seq")+` > $1 AND `+
		p.session.table.column("seq")+` <> ALL($2))`, p.marks.fast, p.takenList()).Scan(&exists)
	return !exists, err
}

// takenList is never nil, which would be NULL.
func (p *pollReader) takenList() []int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.AppendSeq(make([]int64, 0, len(p.taken)), maps.Keys(p.taken))
}

// read makes one query, or two. more says that there is more to be read now.
func (p *pollReader) read(ctx context.Context) (rows []*Row, more bool, err error) {
	limit := max(1, min(readRows, readBytes/p.rowBytes))
	above, sweep := p.marks.fast, p.sweepDue()
	if sweep {
		above = math.MinInt64
	}
	begun := time.Now()
	rows, snap, more, err := p.query(ctx, above, limit)
	if err == nil && !sweep && p.marks.holderEnded(snap) {
		above = p.marks.low
		rows, snap, more, err = p.query(ctx, above, limit)
	}
	if err != nil {
		return nil, false, err
	}
	if sweep {
		p.swept = begun
		p.sweepTook = time.Since(begun)
	}
	p.marks.observe(snap, highest(rows), above <= p.marks.low && (!more || highest(rows) >= p.marks.fast))
	p.all = p.all || !more // the first query is a sweep
	p.take(rows)
	return rows, more, nil
}

// sweepDue tells whether the next query begins at any number.
func (p *pollReader) sweepDue() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	due := p.again || time.Since(p.swept) > max(sweepInterval, sweepShare*p.sweepTook)
	p.again = false
	return due
}

func highest(rows []*Row) int64 {
	if len(rows) == 0 {
		return 0
	}
	return rows[len(rows)-1].Seq
}

func (p *pollReader) take(rows []*Row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range rows {
		p.taken[r.Seq] = struct{}{}
	}
}

// query returns rows above a number that are not taken, and the snapshot in which it saw
// them.
func (p *pollReader) query(ctx context.Context, above int64, limit int) (list []*Row, snap snapshot, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	t := p.session.table
	seq := t.column("seq")
	rows, err := p.conn.Query(ctx, `SELECT pg_current_snapshot()::text, o.* FROM (VALUES (1)) one LEFT JOIN LATERAL (SELECT `+t.list+` FROM `+t.table+
		` WHERE `+seq+` > $1 AND `+seq+` <> ALL($2) ORDER BY `+seq+` LIMIT $3) o ON true`, above, p.takenList(), limit)
	if err != nil {
		return nil, snap, false, fmt.Errorf("read rows: %w", err)
	}
	defer rows.Close()
	var text string
	size := 0
	for rows.Next() {
		if rows.RawValues()[1] == nil { // no row
			if err := rows.Scan(append([]any{&text}, make([]any, len(rows.FieldDescriptions())-1)...)...); err != nil {
				return nil, snap, false, fmt.Errorf("read rows: %w", err)
			}
			continue
		}
		if size > readBytes {
			more = true
			continue // read to the end, which the protocol wants, but not kept
		}
		r := new(Row)
		var created *time.Time
		if err := rows.Scan(append([]any{&text}, r.targets(&created)...)...); err != nil {
			return nil, snap, false, fmt.Errorf("read rows: %w", err)
		}
		if created != nil {
			r.CreatedAt = *created
		}
		size += r.size()
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return nil, snap, false, fmt.Errorf("read rows: %w", err)
	}
	if len(list) > 0 {
		p.rowBytes = max(1, (p.rowBytes+3*size/len(list))/4)
	}
	snap, err = parseSnapshot(text)
	return list, snap, more || len(list) == limit, err
}
