package idempotency

import (
	"context"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestUnsuitableRedis(t *testing.T) {
	t.Parallel()
	const replication = "role:master\r\nmaster_replid:" + "0123456789012345678901234567890123456789" + "\r\n"
	for name, c := range map[string]struct {
		info  func(c *server.Peer, section string)
		lacks string // "": it is suitable
	}{
		"Redis": {func(c *server.Peer, _ string) { c.WriteBulk(replication) }, ""},
		"INFO refused in scripts": {
			func(c *server.Peer, _ string) { c.WriteError("ERR This Redis command is not allowed from script") },
			"refuses INFO in scripts",
		},
		"the user may not run INFO": {func(c *server.Peer, _ string) { c.WriteError("NOPERM no permissions") }, ""},
		"no replication id":         {func(c *server.Peer, _ string) { c.WriteBulk("role:master\r\n") }, "no master_replid"},
		"active-active": {
			func(c *server.Peer, _ string) {
				c.WriteBulk(strings.Replace(replication, "role:master", "role:active-replica", 1))
			},
			"active-active",
		},
		"Dragonfly": {
			func(c *server.Peer, section string) {
				if section == "server" {
					c.WriteBulk("dragonfly_version:df-v1.30.0\r\n")
				} else {
					c.WriteBulk(replication)
				}
			},
			"Dragonfly",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := miniredis.NewMiniRedis()
			require.NoError(t, m.Start())
			t.Cleanup(m.Close)
			m.Server().SetPreHook(func(p *server.Peer, cmd string, args ...string) bool {
				if !strings.EqualFold(cmd, "INFO") || len(args) != 1 {
					return false
				}
				c.info(p, args[0])
				return true
			})
			r := newRig(t, newBackend(m.Addr(), 0), withoutMarkers)
			require.Equal(t, c.lacks == "", r.available.learnSuitable(t.Context()))
			if c.lacks == "" {
				require.NoError(t, r.available.refuse(0))
				return
			}
			_, err := r.Claim(t.Context(), r.newClaim())
			var away *event.StoreAway
			require.ErrorAs(t, err, &away)
			require.ErrorContains(t, err, c.lacks)
			require.ErrorContains(t, r.Availability().Away, c.lacks)
			require.Equal(t, bucketCount, r.Availability().AwayBuckets)

			log := &fakeLog{}
			ctx, cancel := context.WithTimeout(t.Context(), 3*shortIntervals.check)
			defer cancel()
			r.rebuilder(log).Guard(ctx)
			require.Zero(t, log.passes.Load(), "nothing is rebuilt there")
		})
	}
}
