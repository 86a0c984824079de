package outbox

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseSnapshot(t *testing.T) {
	t.Parallel()
	s, err := parseSnapshot("10:20:10,14,15")
	require.NoError(t, err)
	require.Equal(t, snapshot{xmax: 20, open: []uint64{10, 14, 15}}, s)
	require.True(t, s.isOpen(14))
	require.False(t, s.isOpen(11))
	s, err = parseSnapshot("4294967296:4294967300:")
	require.NoError(t, err)
	require.Equal(t, snapshot{xmax: 4294967300}, s)
	for _, text := range []string{"", "1:2", "a:b:c", "1:2:x"} {
		_, err := parseSnapshot(text)
		require.Error(t, err, text)
	}
}

// The mark passes the number of an open transaction only while that transaction is watched.
func TestMarksWatchOpenTransactions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m marks
		open := func(xmax uint64, xids ...uint64) snapshot { return snapshot{xmax: xmax, open: xids} }
		// Transaction 7 is open, and may have taken a number below 100.
		m.observe(open(50, 7), 100, true)
		require.Zero(t, m.fast, "a number that was seen just now is not passed")
		time.Sleep(markAge / 2)
		m.observe(open(60, 7), 0, true)
		time.Sleep(markAge)
		m.observe(open(70, 7, 65), 0, true)
		require.Equal(t, int64(100), m.fast)
		require.Zero(t, m.low)
		require.Equal(t, []uint64{7}, m.holders, "65 began after the number was seen")

		require.False(t, m.holderEnded(open(80, 7)))
		require.True(t, m.holderEnded(open(80)))
		m.observe(open(80), 0, false)
		require.Equal(t, []uint64{7}, m.holders, "the query did not see what 7 may have written")
		m.observe(open(80), 0, true)
		require.Empty(t, m.holders)
		require.Equal(t, int64(100), m.low)
	})
}

// A transaction takes a row's number before it has an id of its own: it is watched, too.
func TestMarksWatchTransactionsThatBeginLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m marks
		m.observe(snapshot{xmax: 50}, 100, true) // 51 has the number 99, and no id yet
		time.Sleep(markAge / 2)
		m.observe(snapshot{xmax: 52, open: []uint64{51}}, 0, true)
		time.Sleep(markAge)
		m.observe(snapshot{xmax: 60, open: []uint64{51}}, 0, true)
		require.Equal(t, int64(100), m.fast)
		require.Equal(t, []uint64{51}, m.holders)
	})
}

// The write-ahead log names transactions by the lower half of their numbers.
func TestSnapshotSees(t *testing.T) {
	t.Parallel()
	s := snapshot{xmax: 5<<32 + 100, open: []uint64{5<<32 + 90}}
	for xid, want := range map[uint32]bool{99: true, 90: false, 100: false, 1: true, 4294967295: true, 4000000000: true} {
		require.Equal(t, want, s.sees(xid), xid)
	}
	require.False(t, (&snapshot{xmax: 5<<32 - 10}).sees(3), "of the next epoch")
}
