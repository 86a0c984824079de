package delivery

import (
	"container/heap"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/kafka"
)

// An event is not attempted again before a commit that began after its failure is in Kafka.
func TestRetryWaitsForTheCommitOfItsFailure(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := newWindow(kafka.Partition{Topic: "orders"}, progress{}, true)
	m := &member{commits: 2, committed: 1} // the second is on
	for offset := range int64(2) {
		e := w.admit(&kafka.Record{Offset: offset})
		require.Equal(t, e, w.take(false))
		w.fail(e, now)
		e.state, e.due, e.noted = stateWaiting, now, uint64(offset)
		if offset == 1 {
			e.noted = m.commits // the commit that is on does not have it
		}
		heap.Push(&m.waiting, e)
	}
	m.wake(now)
	require.Len(t, w.retries, 1, "its failure is committed")
	m.committed = 2
	m.reviewUncommitted()
	m.wake(now)
	require.Len(t, w.retries, 1, "the next commit has the failure of the other")
	m.committed = 3
	m.reviewUncommitted()
	m.wake(now)
	require.Len(t, w.retries, 2)
}

// While Kafka is slow or refuses commits, little may be delivered that no commit says.
func TestFewEventsWaitForASlowCommit(t *testing.T) {
	t.Parallel()
	now := time.Now()
	m := &member{saving: true, saved: now}
	require.Equal(t, maxUnsaved, m.mostUnsaved(now.Add(commitInterval)))
	require.Equal(t, maxUnsavedSlow, m.mostUnsaved(now.Add(commitInterval+1)))
	m.saving = false
	require.Equal(t, maxUnsaved, m.mostUnsaved(now.Add(time.Hour)))
	m.commitFailed = true
	require.Equal(t, maxUnsavedSlow, m.mostUnsaved(now))
}

// Whoever had the partition before made all attempts, and could not write the dead letter.
func TestExhaustedEventIsNotAttemptedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.answers(func(call) int { return http.StatusInternalServerError })
	w.write(record("bad", `{}`))
	cfg := w.config()
	commitAs(t, w, 0, progress{failures: []failure{{attempts: cfg.Retry.Attempts, first: time.Unix(1_700_000_000, 0)}}}.encode())
	w.start(cfg)
	w.eventually("it is dead", func() bool { return w.committed(0).base == 1 })
	require.Zero(t, w.count())
	require.Len(t, w.dead(), 1)
	require.Equal(t, "attempts", headerOf(w.dead()[0], deadWhy))
	require.Equal(t, "3", headerOf(w.dead()[0], deadAttempts))
}
