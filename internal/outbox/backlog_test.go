package outbox

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func seqs(rows []*Row) (list []int64) {
	for _, r := range rows {
		list = append(list, r.Seq)
	}
	return list
}

func rowsOf(orders ...string) (rows []*Row) {
	for i, order := range orders {
		rows = append(rows, &Row{Seq: int64(i + 1), order: order})
	}
	return rows
}

// Rows of an entity wait behind one that waits for another try; others pass.
func TestBacklogKeepsOrder(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := newBacklog()
	b.add(rowsOf("a", "b", "a", "c", "b"))
	first := b.pick(now, 2, 1<<20)
	require.Equal(t, []int64{1, 2}, seqs(first))
	require.Equal(t, []int64{4}, seqs(b.pick(now, 10, 1<<20)), "a and b are being published")

	b.published(first, map[int64]bool{2: true}, map[int64]time.Duration{1: time.Second}, now)
	require.Equal(t, []int64{5}, seqs(b.pick(now, 10, 1<<20)), "a waits")
	at, ok := b.next()
	require.True(t, ok)
	require.GreaterOrEqual(t, at.Sub(now), time.Second)
	again := b.pick(at, 10, 1<<20)
	require.Equal(t, []int64{1}, seqs(again), "the first row of an entity that failed is tried alone")
	b.published(again, map[int64]bool{1: true}, nil, at)
	require.Equal(t, []int64{3}, seqs(b.pick(at, 10, 1<<20)))
}

func TestBacklogIsBounded(t *testing.T) {
	t.Parallel()
	b := newBacklog()
	b.add([]*Row{{Seq: 1, Payload: make([]byte, backlogBytes/2)}, {Seq: 2, Payload: make([]byte, backlogBytes/2)}})
	require.True(t, b.full())
	picked := b.pick(time.Now(), 10, batchBytes)
	require.Len(t, picked, 1, "one more than the bytes allow, so that any row fits")
	b.published(picked, map[int64]bool{1: true}, nil, time.Now())
	require.False(t, b.full())
}

// keep parks rows that are not being published.
func TestBacklogParks(t *testing.T) {
	t.Parallel()
	b := newBacklog()
	b.add(rowsOf("a", "b", "b"))
	busy := b.pick(time.Now(), 1, 1<<20)
	b.keep(func(rows []*Row) []*Row {
		require.Equal(t, []int64{2, 3}, seqs(rows))
		return nil
	})
	require.Equal(t, seqs(busy), seqs(b.rows))
	require.Equal(t, busy[0].size(), b.bytes)
}
