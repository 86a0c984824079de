package idempotency

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// beforeScript calls do once, before a script is run for the first time.
type beforeScript struct {
	sha  string
	once sync.Once
	do   func()
}

func (h *beforeScript) DialHook(next goredis.DialHook) goredis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (h *beforeScript) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		if slices.Contains(cmd.Args(), any(h.sha)) {
			h.once.Do(h.do)
		}
		return next(ctx, cmd)
	}
}

func (h *beforeScript) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

// A node of a Cluster may answer before a rebuild is announced there, and the state of the
// rebuild be there when it is asked for. A helper that did not restore that node's claims
// must not note that it has read anything. Not parallel: Redis is asked once.
func TestHelperKnowsAllBuckets(t *testing.T) {
	l := newMiniLab(t)
	leader, helper := l.gateway(t), l.gateway(t)
	leader.intervals.lockTTL = patience
	rebuilder := leader.rebuilder(nil)
	locks := newBucketLocks(rebuilder)
	_, err := locks.acquire(t.Context(), allBuckets(), lockWrong)
	require.NoError(t, err)
	const here = bucketCount / 2
	early := newBucketLocks(rebuilder)
	early.token = locks.token
	for _, b := range allBuckets()[:here] {
		early.add(b)
	}
	require.NoError(t, early.announce(t.Context(), ""))
	helper.scripts.rdb.AddHook(&beforeScript{sha: noteScript.Hash(), do: func() {
		_, err := rebuilder.beginShared(context.Background(), locks, part{buckets: allBuckets(), from: time.Now()}, &gathering{Rebuilder: rebuilder, locks: locks})
		if err != nil {
			t.Error(err)
		}
	}})
	shared, err := helper.rebuilder(nil).findShared(t.Context(), false)
	require.NoError(t, err)
	require.EqualValues(t, bucketCount, shared.covered.count.Load())
}
