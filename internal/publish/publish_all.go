package publish

import (
	"context"

	"eventgateway/internal/event"
)

// sending is a record that is published together with others.
type sending struct {
	record  *event.Record
	follows bool // it must not be written unless the one before it is
	done    chan ack
	refused *event.Error
}

// KeepsOrder reports whether PublishAll takes records that follow others.
func (p *Producer) KeepsOrder() bool { return p.backend.keepsOrder() }

// PublishAll begins to publish records. Those of a partition are written in the order in
// which they are given. follows[i] is the position of the record that the i-th has to
// follow, or -1: it is not written unless that one was. If that one is refused, it is held
// back, or refused with it; if what became of that one is unknown, so may it be. The caller
// calls wait once for each record.
func (p *Producer) PublishAll(ctx context.Context, records []event.Record, follows []int) (wait func(i int) (event.Position, error)) {
	all := make([]sending, len(records))
	groups := map[event.Placement][]*sending{}
	var order []event.Placement
	for i := range records {
		s := &all[i]
		s.record = &records[i]
		if before := follows[i]; before >= 0 {
			s.follows = true
			if all[before].refused != nil || records[before].Placement != s.record.Placement {
				s.refused = heldBack()
				continue
			}
		}
		if s.refused = p.inadmissible(records[i]); s.refused != nil {
			continue
		}
		group := groups[s.record.Placement]
		if group == nil {
			order = append(order, s.record.Placement)
		}
		groups[s.record.Placement] = append(group, s)
	}
	for _, place := range order {
		group := groups[place]
		if refused := p.monitor.quarantine.pass(place.Topic, place.Partition); refused != nil {
			refuseAll(group, refused)
			continue
		}
		p.backend.sendAll(group)
	}
	return func(i int) (event.Position, error) {
		if refused := all[i].refused; refused != nil {
			return event.Position{}, refused
		}
		return p.await(ctx, all[i].done)
	}
}

func refuseAll(group []*sending, refused *event.Error) {
	for _, s := range group {
		s.refused = refused
	}
}

func heldBack() *event.Error {
	return event.Refuse(event.HeldBack, "An earlier record of its partition was not written, so this one was held back to keep their order. Nothing was written; send it again.")
}

func (b *idempotent) keepsOrder() bool { return b.franz }

// sendAll gives records, all of one placement, to the incarnation that it names.
func (b *idempotent) sendAll(group []*sending) {
	inc := b.find(group[0].record.Owner)
	if inc == nil {
		refuseAll(group, b.monitor.failed(ownerGone()))
		return
	}
	inc.sendAll(group)
}

func (*txPool) keepsOrder() bool { return false }

func (pool *txPool) sendAll(group []*sending) {
	for _, s := range group {
		s.done, s.refused = pool.send(*s.record)
	}
}
