package delivery

import (
	"container/heap"
	"context"
	"time"

	"eventgateway/internal/kafka"
)

const (
	// A commit begins when so many events are finished, or so long after the one before.
	// No attempt begins while maxUnsaved are finished and not committed: what is delivered
	// again after a kill is at most that, and what was in flight. While Kafka is slow, or
	// refuses commits, it is maxUnsavedSlow.
	commitEvents   = 50
	maxUnsaved     = 1000
	maxUnsavedSlow = 200
	commitInterval = 100 * time.Millisecond
	commitTimeout  = 5 * time.Second
)

// commit begins a commit if one is due; one is on at a time.
func (m *member) commit(ctx context.Context, now time.Time) {
	if m.saving || (m.unsaved < commitEvents || m.commitFailed) && now.Sub(m.saved) < commitInterval {
		return
	}
	commits := map[kafka.Partition]kafka.Committed{}
	for _, w := range m.order {
		if w.dirty && !w.closing {
			w.dirty = false
			p := w.progress()
			commits[w.part] = kafka.Committed{Offset: p.base, Metadata: p.encode()}
		}
	}
	if len(commits) == 0 {
		return
	}
	m.saving, m.saved, m.savingOf, m.unsaved = true, now, m.unsaved, 0
	m.commits++
	number := m.commits
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
		defer cancel()
		err := m.group.Commit(ctx, commits)
		m.send(func() {
			of := m.savingOf
			m.saving, m.savingOf, m.commitFailed = false, 0, err != nil
			if err == nil {
				m.sub.metrics.commits.WithLabelValues(m.cfg.Name, "done").Inc()
				m.committed = number
				m.reviewUncommitted()
				return
			}
			m.unsaved += of
			if !kafka.Rebalancing(err) {
				m.sub.metrics.commits.WithLabelValues(m.cfg.Name, "failed").Inc()
				m.logger.Warn("a commit failed, and is tried again", "error", err)
			}
			for part := range commits {
				if w := m.windows[part]; w != nil {
					w.dirty = true
				}
			}
		})
	}()
}

// reviewUncommitted looks again at the events that waited for a commit.
func (m *member) reviewUncommitted() {
	for _, e := range m.uncommitted {
		heap.Push(&m.waiting, e)
	}
	m.uncommitted = nil
}

// mostUnsaved is how many events may be finished and not committed.
func (m *member) mostUnsaved(now time.Time) int {
	if m.commitFailed || m.saving && now.Sub(m.saved) > commitInterval {
		return maxUnsavedSlow
	}
	return maxUnsaved
}
