package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"eventgateway/internal/backoff"
)

func hasReplica(o *Options) bool { return o.Redis == redisReplica }

func storeFaults() []faultKind {
	return []faultKind{
		// A Redis that was killed has another replication id: its claims count as lost.
		{name: "redis-kill", part: partStore, loses: true, begin: killRedis},
		{name: "redis-pause", part: partStore, begin: pauseRedis(200*time.Millisecond, 5*time.Second)},
		{name: "redis-flushall", part: partStore, loses: true, begin: flushRedis},
		{name: "redis-failover", part: partStore, loses: true, fits: hasReplica, begin: func(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
			return failOverRedis(ctx, w, dice, false)
		}},
		{name: "redis-failover-losing-writes", part: partStore, loses: true, fits: hasReplica, begin: func(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
			return failOverRedis(ctx, w, dice, true)
		}},
	}
}

// draw returns a server that holds claims.
func (s *store) draw(dice *rand.Rand) int {
	n := dice.IntN(len(s.servers))
	if s.kind == redisReplica {
		return s.present()
	}
	return n
}

func killRedis(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
	n, down := w.store.draw(dice), between(dice, 0, 4*time.Second)
	if err := w.store.servers[n].Kill(); err != nil {
		return nil, err
	}
	return &fault{target: fmt.Sprintf("server %d", n), wait: lasting(down), heal: func(ctx context.Context) error {
		return w.store.restart(ctx, n)
	}}, nil
}

// restart starts a server again, and waits until its Cluster or its replica is whole.
func (s *store) restart(ctx context.Context, n int) error {
	if err := s.servers[n].Restart(ctx); err != nil {
		return err
	}
	switch s.kind {
	case redisCluster:
		return s.waitCluster(ctx)
	case redisReplica:
		return s.waitReplica(ctx)
	default:
		return nil
	}
}

// pauseRedis stops a server where it stands, for a time between from and to.
func pauseRedis(from, to time.Duration) func(context.Context, *world, *rand.Rand) (*fault, error) {
	return func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
		n, d := w.store.draw(dice), between(dice, from, to)
		if err := w.store.servers[n].Pause(); err != nil {
			return nil, err
		}
		return &fault{target: fmt.Sprintf("server %d", n), wait: lasting(d), heal: func(context.Context) error {
			return w.store.servers[n].Resume()
		}}, nil
	}
}

func flushRedis(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
	n := w.store.draw(dice)
	return &fault{target: fmt.Sprintf("server %d", n), heal: func(ctx context.Context) error {
		return w.store.flush(ctx, n)
	}}, nil
}

func (s *store) flush(ctx context.Context, n int) error {
	if s.kind == redisReplica {
		n = s.present()
	}
	return s.do(ctx, n, "flushall")
}

// failOverRedis loses the master. With lossy, the replica has heard nothing for
// some time by then: the claims made meanwhile are lost, and claims that were
// changed meanwhile come back as they were.
func failOverRedis(ctx context.Context, w *world, dice *rand.Rand, lossy bool) (*fault, error) {
	deaf, down := between(dice, 50*time.Millisecond, 2*time.Second), between(dice, 0, 3*time.Second)
	if lossy {
		w.store.link.set(setting{mode: drop, where: both})
		backoff.Sleep(ctx, deaf)
	}
	old := w.store.present()
	if err := w.store.failOver(ctx); err != nil {
		return nil, err
	}
	return &fault{target: fmt.Sprintf("server %d to %d", old, w.store.present()), wait: lasting(down), heal: w.store.rejoin}, nil
}
