//go:build integration

package idempotency

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRedisThatRefusesWrites: a Redis that answers, but takes no writes, takes no claims;
// and it is noticed without a claim.
func TestRedisThatRefusesWrites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ refuse, take []any }{
		"out of memory": {[]any{"CONFIG", "SET", "maxmemory", "1"}, []any{"CONFIG", "SET", "maxmemory", "0"}},
		"few replicas":  {[]any{"CONFIG", "SET", "min-replicas-to-write", "1"}, []any{"CONFIG", "SET", "min-replicas-to-write", "0"}},
		"may not write": {[]any{"ACL", "SETUSER", "default", "-set"}, []any{"ACL", "SETUSER", "default", "+@all"}},
		"may not INFO":  {[]any{"ACL", "SETUSER", "default", "-info"}, []any{"ACL", "SETUSER", "default", "+@all"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := ownRedis(t).Addr()
			r := newRig(t, newBackend(addr, 0), notRunning)
			log := r.watched(t)
			do(t, addr, c.refuse...)
			require.Eventually(t, func() bool { return r.Availability().Away != nil }, patience, pollEvery)
			_, err := r.Claim(t.Context(), r.newClaim())
			requireAway(t, err)
			do(t, addr, c.take...)
			require.Eventually(t, func() bool { return r.Availability().Away == nil }, patience, pollEvery)
			r.mustWin(t, r.newClaim())
			require.Equal(t, 1, log.count("redis takes no claims"))
			require.Equal(t, 1, log.count("redis takes claims again"))
		})
	}
}

// TestRealRedisHangs tests it on one server, and with a script for each bucket, as on a
// Cluster.
func TestRealRedisHangs(t *testing.T) {
	t.Parallel()
	for name, grouped := range map[string]bool{"single": false, "cluster": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(ownRedis(t).Addr(), 0)
			b.grouped = grouped
			testRedisHangs(t, b)
		})
	}
}
