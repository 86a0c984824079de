package torture

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// OutboxRow is one row of the outbox that a transaction committed.
type OutboxRow struct {
	ID     string
	Entity string
	Step   int // of its entity, from 1, in the order in which its events must be in the topic
	Pad    int // bytes that make it large
	// Crossed says that only the order of the commits says which step comes first: the
	// transactions of this entity were open at the same time and did not wait for each other.
	Crossed bool
}

func newRow(entity string, step, pad int) OutboxRow {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	text := hex.EncodeToString(id[:])
	return OutboxRow{ID: fmt.Sprintf("%s-%s-%s-%s-%s", text[:8], text[8:12], text[12:16], text[16:20], text[20:]), Entity: entity, Step: step, Pad: pad}
}

// value is the data of its record.
func (r *OutboxRow) value() string {
	k := Key{Name: r.ID, Entity: r.Entity, Seq: r.Step, Pad: r.Pad, Valid: true}
	return k.Body(0)
}

// insert inserts it into the outbox, and notes that it will have been committed.
func (r *OutboxRow) insert(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload) VALUES ($1, 'order', $2, $3, $4)`, r.ID, r.Entity, orderType, r.value())
	if err == nil {
		_, err = tx.Exec(ctx, `INSERT INTO truth VALUES ($1, $2, $3, $4, $5)`, r.ID, r.Entity, r.Step, r.Pad, r.Crossed)
	}
	return err
}

// OutboxFacts are what the rules need to know about a run.
type OutboxFacts struct {
	// CommitOrder says that rows are promised in the order of their commits, whether or not
	// their transactions waited for each other.
	CommitOrder bool
}

// CheckOutbox compares what was committed with the whole log, which is in its order within
// each partition:
//
//	(a) every row that was committed is in the log, with its key and payload
//	(b) none is there twice
//	(c) nothing else is there: no row of a transaction that was rolled back
//	(d) within each partition, the rows of an entity are in the promised order
func CheckOutbox(committed []OutboxRow, log []Record, facts OutboxFacts) []Violation {
	rows := make(map[string]*OutboxRow, len(committed))
	for i := range committed {
		rows[committed[i].ID] = &committed[i]
	}
	var found []Violation
	report := func(rule, format string, args ...any) {
		found = append(found, Violation{Rule: rule, Text: fmt.Sprintf(format, args...)})
	}
	type place struct {
		entity    string
		partition int32
	}
	seen, claims, last := map[string]position{}, map[string]position{}, map[place]int{}
	for i := range log {
		r := &log[i]
		at := position{r.Topic, r.Partition, r.Offset}
		row := rows[r.ID]
		if row == nil {
			report("c", "%s: row %s of entity %s was never committed", at, r.ID, r.Key)
			continue
		}
		if r.Key != row.Entity || r.Value != shorten(row.value()) {
			report("a", "%s: row %s has key %q and value %s; committed were %q and %s", at, r.ID, r.Key, r.Value, row.Entity, shorten(row.value()))
		}
		first, twice := seen[r.ID]
		if other, shared := claims[r.Claim]; shared && !twice {
			report("b", "%s: row %s has the gw_claim of another one, at %s", at, r.ID, other)
		}
		if twice {
			report("b", "%s: row %s of entity %s, step %d, is there twice: also at %s", at, r.ID, r.Key, row.Step, first)
			continue
		}
		seen[r.ID], claims[r.Claim] = at, at
		in := place{row.Entity, r.Partition}
		if row.Step < last[in] && (facts.CommitOrder || !row.Crossed) {
			report("d", "%s: step %d of entity %s is behind step %d", at, row.Step, row.Entity, last[in])
		}
		last[in] = max(last[in], row.Step)
	}
	for i := range committed {
		if _, there := seen[committed[i].ID]; !there {
			report("a", "row %s, step %d of entity %s, was committed and is not in the log", committed[i].ID, committed[i].Step, committed[i].Entity)
		}
	}
	slices.SortStableFunc(found, func(a, b Violation) int { return cmp.Compare(a.Rule, b.Rule) })
	return found
}

func (p position) String() string { return fmt.Sprintf("%s/%d@%d", p.topic, p.partition, p.offset) }
