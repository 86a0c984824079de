package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// DeadRow is a row that cannot be published.
type DeadRow struct {
	Seq           int64     `json:"seq"`
	ID            string    `json:"id"`
	AggregateType string    `json:"aggregatetype"`
	AggregateID   string    `json:"aggregateid"`
	Type          string    `json:"type"`
	Reason        string    `json:"reason"` // the slug of the problem
	Detail        string    `json:"detail"`
	DeadAt        time.Time `json:"dead_at"`
	// Payload and Headers are only shown one by one.
	Payload string `json:"payload,omitempty"`
	Headers string `json:"headers,omitempty"`
}

// Dead looks after the dead rows of an outbox. It must be closed.
type Dead struct {
	cfg   *Config
	conn  *pgx.Conn
	table *table
}

// OpenDead connects to the database of an outbox.
func OpenDead(ctx context.Context, c Config) (*Dead, error) {
	conn, err := connect(ctx, c.DSN, "gateway outbox "+c.Name)
	if err != nil {
		return nil, explained(err, &c)
	}
	t, err := inspectTable(ctx, conn, &c)
	if err != nil {
		closeConn(conn)
		return nil, explained(err, &c)
	}
	return &Dead{cfg: &c, conn: conn, table: t}, nil
}

// Close ends the connection.
func (d *Dead) Close() { closeConn(d.conn) }

// text lists a column as text, empty for NULL or if it does not exist.
func (d *Dead) text(usual string) string {
	if _, ok := d.table.columns[usual]; !ok {
		return "''"
	}
	if usual == "payload" && d.table.columns[usual] == "bytea" {
		return "coalesce(encode(" + d.table.column(usual) + ", 'escape'), '')"
	}
	return "coalesce(" + d.table.column(usual) + "::text, '')"
}

func (d *Dead) list() string {
	return d.table.column("seq") + ", " + d.text("id") + ", " + d.text("aggregatetype") + ", " + d.text("aggregateid") + ", " + d.text("type") + ", reason, detail, dead_at"
}

func (r *DeadRow) targets() []any {
	return []any{&r.Seq, &r.ID, &r.AggregateType, &r.AggregateID, &r.Type, &r.Reason, &r.Detail, &r.DeadAt}
}

// List returns the dead rows, the oldest first, at most so many.
func (d *Dead) List(ctx context.Context, most int) ([]DeadRow, error) {
	rows, err := d.conn.Query(ctx, `SELECT `+d.list()+` FROM `+d.table.dead+` WHERE source = $1 ORDER BY 1 LIMIT $2`, d.cfg.Name, most)
	if err != nil {
		return nil, explained(fmt.Errorf("list dead rows: %w", err), d.cfg)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r DeadRow, err error) { return r, row.Scan(r.targets()...) })
	if err != nil {
		return nil, explained(fmt.Errorf("list dead rows: %w", err), d.cfg)
	}
	return list, nil
}

// Show returns one dead row with its payload; false if there is none.
func (d *Dead) Show(ctx context.Context, seq int64) (r DeadRow, found bool, err error) {
	err = d.conn.QueryRow(ctx, `SELECT `+d.list()+`, `+d.text("payload")+`, `+d.text("headers")+` FROM `+d.table.dead+` WHERE source = $1 AND `+d.table.column("seq")+` = $2`, d.cfg.Name, seq).
		Scan(append(r.targets(), &r.Payload, &r.Headers)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, false, nil
	}
	if err != nil {
		return r, false, explained(fmt.Errorf("show dead row: %w", err), d.cfg)
	}
	return r, true, nil
}

// Retry moves dead rows back to the outbox, with their numbers and ids; none: all. It
// returns how many there were.
func (d *Dead) Retry(ctx context.Context, seqs []int64) (int64, error) {
	columns, moved := movedColumns(d.table)
	tag, err := d.conn.Exec(ctx, `WITH m AS (DELETE FROM `+d.table.dead+d.where(seqs)+` RETURNING *)
		INSERT INTO `+d.table.table+` (`+columns+`) OVERRIDING SYSTEM VALUE SELECT `+moved+` FROM m ORDER BY m.`+d.table.column("seq"), d.args(seqs)...)
	if err != nil {
		return 0, explained(fmt.Errorf("retry dead rows: %w", err), d.cfg)
	}
	return tag.RowsAffected(), nil
}

// Drop deletes dead rows; none: all. It returns how many there were.
func (d *Dead) Drop(ctx context.Context, seqs []int64) (int64, error) {
	tag, err := d.conn.Exec(ctx, `DELETE FROM `+d.table.dead+d.where(seqs), d.args(seqs)...)
	if err != nil {
		return 0, explained(fmt.Errorf("drop dead rows: %w", err), d.cfg)
	}
	return tag.RowsAffected(), nil
}

func (d *Dead) where(seqs []int64) string {
	if len(seqs) == 0 {
		return ` WHERE source = $1`
	}
	return ` WHERE source = $1 AND ` + d.table.column("seq") + ` = ANY($2)`
}

func (d *Dead) args(seqs []int64) []any {
	if len(seqs) == 0 {
		return []any{d.cfg.Name}
	}
	return []any{d.cfg.Name, seqs}
}
