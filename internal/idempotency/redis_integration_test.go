//go:build integration

package idempotency

import (
	"context"
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/test/services"
)

// TestStoreOnRedis runs the suite on a real Redis, in a database of its own.
func TestStoreOnRedis(t *testing.T) {
	t.Parallel()
	addr := services.Shared(t).Redis
	runConformance(t, newBackend(addr, ownDatabase(t, addr)))
}

// ownDatabase reserves a database of the shared server that no other run uses, and
// empties it. Database 0 keeps the list of the reservations.
func ownDatabase(t *testing.T, addr string) int {
	t.Helper()
	const runs = 10 * time.Minute // no run takes longer
	zero := goredis.NewClient(&goredis.Options{Addr: addr})
	t.Cleanup(func() { require.NoError(t, zero.Close()) })
	for db := 1; db < 16; db++ {
		name := fmt.Sprintf("test:idempotency:database:%d", db)
		err := zero.SetArgs(t.Context(), name, "taken", goredis.SetArgs{Mode: "NX", TTL: runs}).Err()
		if err == goredis.Nil { //nolint:errorlint // go-redis returns it bare
			continue
		}
		require.NoError(t, err)
		own := goredis.NewClient(&goredis.Options{Addr: addr, DB: db})
		t.Cleanup(func() {
			ctx := context.Background() // the test's context has ended
			require.NoError(t, own.FlushDB(ctx).Err())
			require.NoError(t, zero.Del(ctx, name).Err())
			require.NoError(t, own.Close())
		})
		require.NoError(t, own.FlushDB(t.Context()).Err())
		return db
	}
	require.FailNow(t, "all databases are taken")
	return 0
}
