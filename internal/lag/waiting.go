package lag

import (
	"context"
	"errors"
	"slices"
	"time"

	"eventgateway/internal/kafka"
)

// readWaiting reads the records at which groups wait, each once for all groups that wait
// at the same, and returns in how many partitions that was too much for one pass.
func (m *Monitor) readWaiting(ctx context.Context, found []*groupFacts) (unread int) {
	type reader struct {
		position kafka.Position
		tracks   []*track
	}
	at := map[kafka.Position]int{}
	var readers []*reader
	for _, g := range found {
		for i := range g.parts {
			p, ok := g.parts[i].toRead()
			if !ok {
				continue
			}
			n, known := at[p]
			if !known {
				n = len(readers)
				at[p] = n
				readers = append(readers, &reader{position: p})
			}
			readers[n].tracks = append(readers[n].tracks, g.parts[i].track)
		}
	}
	// Those that were left out last time come first.
	slices.SortStableFunc(readers, func(a, b *reader) int { return order(a.tracks[0].unread, b.tracks[0].unread) })
	positions := make([]kafka.Position, len(readers))
	for i, r := range readers {
		positions[i] = r.position
	}
	if len(positions) == 0 {
		return 0
	}
	for i, w := range m.source.Waiting(ctx, positions, m.cfg.ReadBudget) {
		left := errors.Is(w.Err, kafka.ErrBudget)
		for _, t := range readers[i].tracks {
			t.record, t.unread = w, left
			if left {
				unread++
			}
		}
	}
	return unread
}

// order sorts true before false.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// toRead is where a record has to be read to know what waits, unless that is known.
func (p *partFacts) toRead() (kafka.Position, bool) {
	if p.commit.Err != nil || p.bounds.Err != nil || p.commit.Offset < 0 {
		return kafka.Position{}, false
	}
	from := max(p.commit.Offset, p.bounds.Start)
	t := p.track
	known, forward := t.record, p.commit.Offset >= t.committed
	switch {
	case from >= p.bounds.Stable:
		t.record, t.unread = kafka.Waiting{Offset: -1, Clear: from}, false
		return kafka.Position{}, false
	case forward && known.Err == nil && known.Offset >= from: // it still waits
		return kafka.Position{}, false
	case forward && known.Offset < 0 && known.Clear > from: // go on after what is known
		from = known.Clear
		if from >= p.bounds.Stable {
			return kafka.Position{}, false
		}
	}
	return kafka.Position{Partition: p.commit.Partition, Offset: from, Until: p.bounds.Stable, Leader: p.bounds.Leader}, true
}

// askRetention asks how long topics keep records in which some wait.
func (m *Monitor) askRetention(ctx context.Context, found []*groupFacts) {
	now := m.now()
	wanted := map[string]bool{}
	for _, g := range found {
		for i := range g.parts {
			p := &g.parts[i]
			if k, ok := m.retention[p.commit.Topic]; p.track.record.Offset >= 0 && (!ok || now.Sub(k.asked) >= retentionAge) {
				wanted[p.commit.Topic] = true
			}
		}
	}
	for topic, k := range m.retention {
		if now.Sub(k.asked) >= 2*retentionAge {
			delete(m.retention, topic)
		}
	}
	if len(wanted) == 0 {
		return
	}
	topics := make([]string, 0, len(wanted))
	for topic := range wanted {
		topics = append(topics, topic)
	}
	slices.Sort(topics)
	times, err := m.source.Retention(ctx, topics)
	for _, topic := range topics {
		k := kept{time: times[topic], asked: now}
		if err != nil { // perhaps this user may not ask; not at each pass again
			k.asked = now.Add(time.Minute - retentionAge)
		}
		m.retention[topic] = k
	}
}
