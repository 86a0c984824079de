package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"golang.org/x/sync/errgroup"
)

const (
	// statusInterval is between two status messages to the database, which ends a
	// connection without any for wal_sender_timeout. They are sent whatever else happens.
	statusInterval = 2 * time.Second
	// queueRows and queueBytes bound what was received and waits for the publisher.
	queueRows  = 4000
	queueBytes = 24 << 20
)

// walReader follows the write-ahead log. Rows come in the order in which their
// transactions committed.
//
// A row stays in the table until it is published, so nothing depends on the slot: rows that
// it does not tell of, because it is new, are read from the table first (scan), and rows
// that are still there long after the log has passed them, because somebody changed the
// publication, are found by the sweep.
type walReader struct {
	session *session
	repl    *pgconn.PgConn
	decoder *decoder
	scan    *pollReader // nil: not needed
	events  *messages   // nil: there are none

	mu       sync.Mutex
	queue    []*Row
	bytes    int
	queued   chan struct{} // receives when rows were queued
	drained  chan struct{} // receives when rows were taken
	taken    map[int64]*transaction
	open     []*transaction // those that are not published, in order, and the one that is being read
	received pglogrepl.LSN  // everything before was received
	safe     pglogrepl.LSN  // everything before has left the table, or soon will
	confirm  pglogrepl.LSN  // the same, committed: what the slot may forget
	began    pglogrepl.LSN  // the end of the log when the session began
}

// transaction is one whose rows are not all published.
type transaction struct {
	xid    uint32
	commit pglogrepl.LSN
	end    pglogrepl.LSN // behind its commit; 0: not received yet
	left   int
}

func newWALReader(ctx context.Context, s *session) (*walReader, error) {
	if err := checkPublication(ctx, s.query, s.cfg, s.table); err != nil {
		return nil, err
	}
	repl, err := replicationConn(ctx, s.cfg, s.app)
	if err != nil {
		return nil, err
	}
	s.repl = repl
	w := &walReader{
		session: s, repl: repl, decoder: &decoder{cfg: s.cfg, table: s.table}, taken: map[int64]*transaction{},
		queued: make(chan struct{}, 1), drained: make(chan struct{}, 1),
	}
	position := pglogrepl.LSN(s.state.before.position)
	copied, err := s.loadCopied(ctx)
	if err != nil {
		return nil, err
	}
	scan, confirmed, err := s.openSlot(ctx, repl, position, copied)
	if err != nil {
		return nil, err
	}
	if w.events, err = s.openMessages(ctx, position, copied, confirmed); err != nil {
		return nil, err
	}
	if scan {
		w.scan = newPollReader(s, s.query, nil)
		// Until all these rows have left the table, the position stays behind the slot's, and
		// the next session would read the table as well.
		w.open = append(w.open, &transaction{})
	}
	var now string
	if err := s.query.QueryRow(ctx, `SELECT pg_current_wal_lsn()::text`).Scan(&now); err != nil {
		return nil, fmt.Errorf("read position of the log: %w", err)
	}
	if w.began, err = pglogrepl.ParseLSN(now); err != nil {
		return nil, err
	}
	w.safe, w.received = position, position
	w.confirm = max(position, confirmed) // never less: the slot would move back
	return w, nil
}

func (w *walReader) run(ctx context.Context, out chan<- found) error {
	if w.scan != nil {
		if err := w.scanTable(ctx, out); err != nil {
			return err
		}
	}
	if err := w.session.startReplication(ctx, w.repl, w.confirm); err != nil {
		return fmt.Errorf("start replication: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return w.receive(ctx) })
	group.Go(func() error { return w.forward(ctx, out) })
	group.Go(func() error { return w.sweep(ctx) })
	return group.Wait()
}

// scanTable reads the rows that are in the table, in the order of their numbers.
func (w *walReader) scanTable(ctx context.Context, out chan<- found) error {
	for more := true; more; {
		rows, left, err := w.scan.read(ctx)
		if err != nil {
			return err
		}
		more = left
		w.mu.Lock()
		for _, r := range rows {
			w.taken[r.Seq] = w.open[0]
		}
		w.open[0].left += len(rows)
		if !more {
			w.open[0].end = w.confirm
		}
		w.mu.Unlock()
		select {
		case out <- found{rows, !more}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.session.logger.Info("rows that were in the table are read", "outbox", w.session.cfg.Name)
	return nil
}

// forward sends what is queued to the publisher.
func (w *walReader) forward(ctx context.Context, out chan<- found) error {
	for {
		w.mu.Lock()
		rows, all := w.queue, w.received >= w.began
		w.queue, w.bytes = nil, 0
		w.mu.Unlock()
		select {
		case w.drained <- struct{}{}:
		default:
		}
		if len(rows) > 0 || all {
			select {
			case out <- found{rows, all}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		select {
		case <-w.queued:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// receive reads messages, and sends a status in time.
func (w *walReader) receive(ctx context.Context) error {
	// The deadline is the connection's own: a context for each message costs more than the
	// message.
	conn := w.repl.Conn()
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
	status := time.Now()
	for asked := true; ; {
		if asked || time.Since(status) >= statusInterval {
			asked, status = false, time.Now()
			if err := w.sendStatus(ctx); err != nil {
				return err
			}
			_ = conn.SetReadDeadline(status.Add(statusInterval))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if w.full() {
			select {
			case <-w.drained:
			case <-time.After(time.Until(status.Add(statusInterval))):
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		message, err := w.repl.ReceiveMessage(context.Background())
		if err != nil {
			if pgconn.Timeout(err) || ctx.Err() != nil {
				continue
			}
			return fmt.Errorf("receive from the write-ahead log: %w", err)
		}
		if asked, err = w.message(ctx, message); err != nil {
			return err
		}
	}
}

func (w *walReader) full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue) >= queueRows || w.bytes >= queueBytes
}

// sendStatus tells what the slot may forget.
func (w *walReader) sendStatus(ctx context.Context) error {
	w.mu.Lock()
	confirm := w.confirm
	w.mu.Unlock()
	err := pglogrepl.SendStandbyStatusUpdate(ctx, w.repl, pglogrepl.StandbyStatusUpdate{WALWritePosition: confirm})
	if err != nil {
		return fmt.Errorf("send status to the database: %w", err)
	}
	return nil
}

// message takes in one message. asked says that the database wants a status.
func (w *walReader) message(ctx context.Context, m pgproto3.BackendMessage) (asked bool, err error) {
	switch m := m.(type) {
	case *pgproto3.ErrorResponse:
		return false, fmt.Errorf("receive from the write-ahead log: %w", pgconn.ErrorResponseToPgError(m))
	case *pgproto3.CopyData:
		switch m.Data[0] {
		case pglogrepl.PrimaryKeepaliveMessageByteID:
			k, err := pglogrepl.ParsePrimaryKeepaliveMessage(m.Data[1:])
			if err != nil {
				return false, fmt.Errorf("read keepalive: %w", err)
			}
			w.reached(k.ServerWALEnd)
			return k.ReplyRequested, nil
		case pglogrepl.XLogDataByteID:
			x, err := pglogrepl.ParseXLogData(m.Data[1:])
			if err != nil {
				return false, fmt.Errorf("read message: %w", err)
			}
			return false, w.logical(ctx, x.WALData)
		}
	}
	return false, nil
}

func (w *walReader) logical(ctx context.Context, data []byte) error {
	m, err := pglogrepl.Parse(data)
	if err != nil {
		return fmt.Errorf("read message of the write-ahead log: %w", err)
	}
	switch m := m.(type) {
	case *pglogrepl.BeginMessage:
		w.events.begin(m)
		w.mu.Lock()
		w.open = append(w.open, &transaction{xid: m.Xid, commit: m.FinalLSN})
		w.mu.Unlock()
	case *pglogrepl.RelationMessage:
		w.decoder.relation(m)
	case *pglogrepl.InsertMessage:
		r, err := w.decoder.row(m)
		if errors.Is(err, errOtherColumns) {
			if w.scan != nil && w.reading() <= w.began {
				return nil // the scan has found it
			}
			w.session.rescan = true
		}
		if err != nil || r == nil {
			return err
		}
		w.add(r)
	case *pglogrepl.LogicalDecodingMessage:
		return w.events.add(ctx, m)
	case *pglogrepl.CommitMessage:
		if err := w.events.committed(ctx); err != nil {
			return err
		}
		w.committed(m.TransactionEndLSN)
	}
	return nil
}

// reading is the commit of the transaction that is being received.
func (w *walReader) reading() pglogrepl.LSN {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open[len(w.open)-1].commit
}

// add queues a row, unless it was found before.
func (w *walReader) add(r *Row) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.taken[r.Seq]; known {
		return // by the scan; if it has left since, it is not found in the table
	}
	tx := w.open[len(w.open)-1]
	tx.left++
	r.xid = tx.xid
	w.taken[r.Seq] = tx
	w.queue = append(w.queue, r)
	w.bytes += r.size()
	if len(w.queue) >= queueRows/4 { // of a large transaction
		w.ring()
	}
}

func (w *walReader) ring() {
	select {
	case w.queued <- struct{}{}:
	default:
	}
}

func (w *walReader) committed(end pglogrepl.LSN) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[len(w.open)-1].end = end
	w.received = max(w.received, end)
	w.settle()
	w.ring()
}

// reached takes in that the database has sent everything before a position.
func (w *walReader) reached(end pglogrepl.LSN) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.open); n > 0 && w.open[n-1].end == 0 {
		return // in the middle of a transaction
	}
	before := w.received
	w.received = max(w.received, end)
	w.settle()
	if before < w.began && w.received >= w.began {
		w.ring()
	}
}

// settle moves safe over the transactions that are published. It is called with mu held.
func (w *walReader) settle() {
	done := 0
	for _, tx := range w.open {
		if tx.end == 0 || tx.left > 0 {
			break
		}
		w.safe = max(w.safe, tx.end)
		done++
	}
	w.open = w.open[done:]
	if len(w.open) == 0 && w.received > 0 {
		w.safe = max(w.safe, w.received)
	}
}

// leaving says that rows are about to be deleted, and returns up to where the log is not
// needed once they are.
func (w *walReader) leaving(rows []finished) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range rows {
		if tx := w.taken[f.row.Seq]; tx != nil {
			tx.left--
			w.taken[f.row.Seq] = nil
		}
	}
	w.settle()
	return uint64(w.safe)
}

func (w *walReader) left(rows []finished, position uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range rows {
		delete(w.taken, f.row.Seq)
	}
	w.confirm = max(w.confirm, pglogrepl.LSN(position))
	if w.scan != nil {
		w.scan.left(rows, 0)
	}
}
