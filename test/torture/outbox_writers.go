package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"eventgateway/internal/backoff"
)

// writers are the services that write into the outbox. What they learn of their
// transactions does not matter: the database says which were committed.
type writers struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// outboxWriters is how many transactions are open at a time, at most.
const outboxWriters = 16

// rowsPerTransaction is about how many rows a transaction inserts.
const rowsPerTransaction = 2

func startWriters(w *world) *writers {
	ctx, cancel := context.WithCancel(context.Background())
	load := &writers{cancel: cancel}
	n := min(w.opts.Clients, outboxWriters)
	pause := time.Duration(n) * time.Second * rowsPerTransaction / time.Duration(w.opts.Rate)
	for i := range n {
		one := &writer{shop: w.shop, history: w.history, name: i, dice: rand.New(rand.NewPCG(w.opts.Seed, 1<<32|uint64(i)))}
		load.running.Go(func() { one.run(ctx, pause) })
	}
	return load
}

// stop waits until every writer has ended its transaction.
func (l *writers) stop() error {
	l.cancel()
	l.running.Wait()
	return nil
}

type writer struct {
	shop    *shop
	history *history
	name    int
	dice    *rand.Rand
	crossed int // pairs of transactions so far
}

// run makes one transaction after the other. A database that is away ends a connection, and
// leaves it open whether its last transaction was committed.
func (wr *writer) run(ctx context.Context, pause time.Duration) {
	for ctx.Err() == nil {
		if err := wr.connected(ctx, pause); err != nil {
			backoff.Sleep(ctx, 200*time.Millisecond)
		}
	}
}

func (wr *writer) connected(ctx context.Context, pause time.Duration) error {
	// Not ctx: a transaction that has begun ends in order.
	work := context.WithoutCancel(ctx)
	var conns [2]*pgx.Conn
	for i := range conns {
		conn, err := wr.shop.connect(work)
		if err != nil {
			return err
		}
		defer closeConn(conn)
		conns[i] = conn
	}
	for backoff.Sleep(ctx, time.Duration(wr.dice.Int64N(int64(2*pause)+1))) {
		limited, cancel := context.WithTimeout(work, 30*time.Second)
		rows, err := wr.transaction(limited, conns)
		cancel()
		if err != nil {
			return err
		}
		wr.history.countCommitted(rows)
	}
	return nil
}

// transaction makes one, or two that cross. It returns how many rows were committed.
func (wr *writer) transaction(ctx context.Context, conns [2]*pgx.Conn) (rows int, err error) {
	if wr.dice.IntN(20) == 0 {
		return wr.cross(ctx, conns)
	}
	tx, err := conns[0].Begin(ctx)
	if err != nil {
		return 0, err
	}
	entities := wr.draw()
	if wr.dice.IntN(10) == 0 { // what a savepoint takes back was never committed
		if err := wr.takenBack(ctx, tx, entities[0]); err != nil {
			return 0, err
		}
	}
	for _, name := range entities {
		if err := wr.step(ctx, tx, name); err != nil {
			return 0, err
		}
	}
	if wr.dice.IntN(50) == 0 { // numbers of later transactions are published before
		backoff.Sleep(ctx, between(wr.dice, 100*time.Millisecond, 3*time.Second))
	}
	if wr.dice.IntN(3) == 0 {
		return 0, tx.Rollback(ctx)
	}
	return len(entities), tx.Commit(ctx)
}

// draw returns entities in a fixed order, so that no two transactions wait for each other.
// A few are about a tenth of all transactions.
func (wr *writer) draw() []string {
	names := make([]string, 1+wr.dice.IntN(2*rowsPerTransaction-1))
	for i := range names {
		n := wr.dice.IntN(outboxEntities)
		if wr.dice.IntN(10) == 0 {
			n = wr.dice.IntN(5)
		}
		names[i] = fmt.Sprintf("order-%d", n)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// step counts the next step of an entity and inserts its row.
func (wr *writer) step(ctx context.Context, tx pgx.Tx, name string) error {
	var step int
	if err := tx.QueryRow(ctx, `UPDATE entities SET step = step + 1 WHERE name = $1 RETURNING step`, name).Scan(&step); err != nil {
		return err
	}
	pad := 0
	if wr.dice.IntN(200) == 0 {
		pad = 1 + wr.dice.IntN(200_000)
	}
	row := newRow(name, step, pad)
	return row.insert(ctx, tx)
}

func (wr *writer) takenBack(ctx context.Context, tx pgx.Tx, name string) error {
	inner, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	if err := wr.step(ctx, inner, name); err != nil {
		return err
	}
	return inner.Rollback(ctx)
}

// crossedPrefix begins the names of entities whose transactions cross.
const crossedPrefix = "crossed-"

// cross inserts a row in each of two transactions; the second commits first.
func (wr *writer) cross(ctx context.Context, conns [2]*pgx.Conn) (rows int, err error) {
	wr.crossed++
	entity := fmt.Sprintf("%s%d-%d-%d", crossedPrefix, wr.name, time.Now().UnixNano(), wr.crossed)
	var txs [2]pgx.Tx
	for i, conn := range conns {
		if txs[i], err = conn.Begin(ctx); err != nil {
			return 0, err
		}
		row := newRow(entity, 2-i, 0)
		row.Crossed = true
		if err := row.insert(ctx, txs[i]); err != nil {
			return 0, err
		}
	}
	if err := txs[1].Commit(ctx); err != nil {
		return 0, err
	}
	return 2, txs[0].Commit(ctx)
}

// countCommitted tallies rows for the progress of the run.
func (h *history) countCommitted(rows int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.accepted["committed"] += rows
}
