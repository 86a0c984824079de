package redis

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"
)

func TestLease(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	rdb := New(Config{Addresses: []string{m.Addr()}})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	key := func() string { return "gw:test:lag" }
	one, two := NewLease(rdb, key, time.Minute), NewLease(rdb, key, time.Minute)
	hold := func(l *Lease, want bool) {
		t.Helper()
		held, err := l.Hold(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, held)
	}

	hold(one, true)
	hold(two, false)
	m.FastForward(50 * time.Second)
	hold(one, true) // prolongs it
	m.FastForward(50 * time.Second)
	hold(two, false)
	m.FastForward(11 * time.Second) // the holder is gone
	hold(two, true)
	hold(one, false)
	require.NoError(t, one.Release(t.Context()), "what another one holds stays")
	hold(one, false)
	require.NoError(t, two.Release(t.Context()))
	hold(one, true)

	_, err := NewLease(rdb, func() string { return "" }, time.Minute).Hold(t.Context())
	require.ErrorIs(t, err, errNoKey)
	m.Close()
	held, err := one.Hold(t.Context())
	require.Error(t, err)
	require.False(t, held)
}
