package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// holdInterval is between two looks for entities whose dead rows were retried or dropped.
const holdInterval = 2 * time.Second

// holds are the entities that have dead rows, while on_dead is hold-entity, and the numbers
// of their rows that wait. The rows themselves are not kept in memory. It belongs to the
// publisher.
type holds struct {
	session  *session
	entities map[string]map[int64]struct{}
}

// loadHolds finds the entities that are held, and their rows. It returns nil if on_dead is
// continue.
func (s *session) loadHolds(ctx context.Context) (*holds, error) {
	if !s.cfg.HoldEntity {
		return nil, nil //nolint:nilnil // nothing is held, and that is no error
	}
	h := &holds{session: s, entities: map[string]map[int64]struct{}{}}
	held, err := h.read(ctx)
	if err != nil {
		return nil, err
	}
	for entity := range held {
		h.entities[entity] = map[int64]struct{}{}
	}
	if !s.cfg.WAL || len(held) == 0 {
		return h, nil // the rows will be found
	}
	t := s.table
	var list []*Row
	err = s.check.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT o.`+t.column("seq")+`, o.`+t.column("aggregatetype")+`, o.`+t.column("aggregateid")+` FROM `+t.table+` o
			WHERE EXISTS (SELECT FROM `+t.dead+` d WHERE d.source = $1 AND d.`+t.column("aggregatetype")+` = o.`+t.column("aggregatetype")+` AND d.`+t.column("aggregateid")+` = o.`+t.column("aggregateid")+`)`, s.cfg.Name)
		if err != nil {
			return err
		}
		var r Row
		_, err = pgx.ForEachRow(rows, []any{&r.Seq, &r.AggregateType, &r.AggregateID}, func() error {
			one := r
			list = append(list, &one)
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read rows of held entities: %w", err)
	}
	for _, r := range list {
		if h.entities[r.entity()] == nil { // dead since the look before
			h.entities[r.entity()] = map[int64]struct{}{}
		}
		h.entities[r.entity()][r.Seq] = struct{}{}
	}
	s.reader.park(list)
	return h, nil
}

// read lists the entities that have dead rows.
func (h *holds) read(ctx context.Context) (map[string]bool, error) {
	held := map[string]bool{}
	s, t := h.session, h.session.table
	err := s.check.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT DISTINCT `+t.column("aggregatetype")+`, `+t.column("aggregateid")+` FROM `+t.dead+` WHERE source = $1 AND `+t.column("aggregateid")+` <> ''`, s.cfg.Name)
		if err != nil {
			return err
		}
		var r Row
		_, err = pgx.ForEachRow(rows, []any{&r.AggregateType, &r.AggregateID}, func() error { held[r.entity()] = true; return nil })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read held entities: %w", err)
	}
	return held, nil
}

// add holds the entity of a dead row.
func (h *holds) add(r *Row) {
	if entity := r.entity(); h != nil && entity != "" && h.entities[entity] == nil {
		h.entities[entity] = map[int64]struct{}{}
	}
}

// sort returns the rows that are not held. The others are parked: the reader does not find
// them again, and does not wait for them.
func (h *holds) sort(rows []*Row) []*Row {
	if h == nil || len(h.entities) == 0 {
		return rows
	}
	var free, parked []*Row
	for _, r := range rows {
		if waiting := h.entities[r.entity()]; waiting != nil {
			waiting[r.Seq] = struct{}{}
			parked = append(parked, r)
		} else {
			free = append(free, r)
		}
	}
	if len(parked) > 0 {
		h.session.reader.park(parked)
	}
	return free
}

// release lets go of entities that have no dead rows any more: their rows are read again.
func (h *holds) release(ctx context.Context, dying map[string]time.Time) error {
	held, err := h.read(ctx)
	if err != nil {
		return err
	}
	for entity, since := range dying {
		if held[entity] || time.Since(since) > queryTimeout {
			delete(dying, entity)
		}
	}
	for entity, waiting := range h.entities {
		if _, soon := dying[entity]; soon || held[entity] {
			continue
		}
		delete(h.entities, entity)
		seqs := make([]int64, 0, len(waiting))
		for seq := range waiting {
			seqs = append(seqs, seq)
		}
		if err := h.session.reader.reread(ctx, entity, seqs); err != nil {
			return err
		}
	}
	for entity := range held {
		if h.entities[entity] == nil {
			h.entities[entity] = map[int64]struct{}{}
		}
	}
	return nil
}
