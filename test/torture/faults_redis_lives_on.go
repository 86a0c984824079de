package torture

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

func isCluster(o *Options) bool { return o.Redis == redisCluster }

// noCluster: a node of a Cluster follows only nodes of its own.
func noCluster(o *Options) bool { return !isCluster(o) }

// livingStoreFaults change what a Redis says of itself, and lose nothing.
func livingStoreFaults() []faultKind {
	return []faultKind{
		{name: "redis-backup", part: partStore, loses: true, begin: backUpRedis},
		{name: "redis-replica-attached", part: partStore, loses: true, fits: noCluster, begin: attachReplica},
		// The slots' keys are all there, but nobody can tell.
		{name: "redis-reshard", part: partStore, loses: true, fits: isCluster, begin: reshard},
		// Longer than a gateway tries: it then takes this Redis to be away.
		{name: "redis-hang", part: partStore, begin: hangRedis},
	}
}

const (
	// backlogTTL makes the backlog that a backup leaves expire within the run: the
	// replication id changes then once more. By default it lives for an hour.
	backlogTTL = 3 * time.Second
	// backupSilence ends a backup: the snapshot is there when no more comes.
	backupSilence = 500 * time.Millisecond
)

// backUpRedis reads a snapshot as `redis-cli --rdb` does, which is a replica for as long
// as that takes. The first replica of a server gives it another replication id.
func backUpRedis(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
	n, expires := w.store.draw(dice), dice.IntN(2) == 0
	f := &fault{target: fmt.Sprintf("server %d", n)}
	if expires && w.store.kind != redisReplica {
		f.target += ", its backlog expires"
		if err := w.store.do(ctx, n, "config", "set", "repl-backlog-ttl", int(backlogTTL.Seconds())); err != nil {
			return nil, err
		}
		f.wait = lasting(backlogTTL + 2*time.Second) // Redis looks once a second
	}
	return f, snapshotOf(ctx, w.store.servers[n].Addr())
}

// snapshotOf reads a whole snapshot and ends the connection.
func snapshotOf(ctx context.Context, addr string) error {
	const limit = 20 * time.Second
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("back up redis: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("PSYNC ? -1\r\n")); err != nil {
		return fmt.Errorf("back up redis: %w", err)
	}
	in, ends, silence := bufio.NewReader(conn), time.Now().Add(limit), limit
	for read := 0; time.Now().Before(ends); {
		_ = conn.SetReadDeadline(time.Now().Add(silence))
		got, err := in.Discard(1)
		read += got
		var stalled net.Error
		switch {
		case errors.As(err, &stalled) && stalled.Timeout() && read > 0:
			return nil
		case err != nil:
			return fmt.Errorf("back up redis, after %d bytes: %w", read, err)
		}
		read += in.Buffered()
		_, _ = in.Discard(in.Buffered())
		silence = backupSilence
	}
	return nil
}

// attachReplica starts a replica of a server that runs already, and takes it away.
func attachReplica(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
	n, d := w.store.draw(dice), between(dice, 500*time.Millisecond, 4*time.Second)
	w.store.attached++
	cfg := services.RedisConfig{Dir: filepath.Join(w.dir, fmt.Sprintf("redis-late-%d", w.store.attached))}
	cfg.ReplicaOf = w.store.servers[n].Addr()
	late, err := services.StartRedis(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &fault{target: fmt.Sprintf("server %d", n), wait: lasting(d), heal: func(context.Context) error { return late.Kill() }}, nil
}

func hangRedis(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
	n, d := w.store.draw(dice), between(dice, 6*time.Second, 12*time.Second)
	if err := w.store.servers[n].Pause(); err != nil {
		return nil, err
	}
	return &fault{target: fmt.Sprintf("server %d", n), wait: lasting(d), heal: func(context.Context) error {
		return w.store.servers[n].Resume()
	}}, nil
}

// slotsMoved is how many slots are moved at most; a server has buckets in about 80.
const slotsMoved = 12

// reshard moves slots that have claims to another server of the Cluster, one key at a
// time, as `redis-cli --cluster reshard` does.
func reshard(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
	s, from := w.store, w.store.draw(dice)
	to := (from + 1 + dice.IntN(len(s.servers)-1)) % len(s.servers)
	slots, err := s.slotsWithKeys(ctx, from)
	if err != nil {
		return nil, err
	}
	dice.Shuffle(len(slots), func(i, j int) { slots[i], slots[j] = slots[j], slots[i] })
	slots = slots[:min(len(slots), 1+dice.IntN(slotsMoved))]
	for _, slot := range slots {
		if err := s.moveSlot(ctx, slot, from, to); err != nil {
			return nil, fmt.Errorf("move slot %d from server %d to %d: %w", slot, from, to, err)
		}
		backoff.Sleep(ctx, between(dice, 0, 100*time.Millisecond))
	}
	return &fault{target: fmt.Sprintf("%d slots from server %d to %d", len(slots), from, to)}, nil
}
