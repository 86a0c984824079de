package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

// restartFaults restart a Redis with what it had on its disk.
func restartFaults() []faultKind {
	alone := func(o *Options) bool { return o.Redis != redisReplica } // its replica would have more than it
	return []faultKind{
		{name: "redis-restart", part: partStore, loses: true, fits: alone, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			return restartRedis(w, dice, func(*services.Redis) (string, error) { return "", nil })
		}},
		{name: "redis-aof-cut", part: partStore, loses: true, fits: alone, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			return restartRedis(w, dice, func(r *services.Redis) (string, error) { return cutAOF(dirOf(r), dice) })
		}},
		{name: "redis-snapshot", part: partStore, loses: true, fits: alone, begin: restoreSnapshot},
	}
}

// restartRedis stops a server in order, changes its files, and starts it again.
func restartRedis(w *world, dice *rand.Rand, change func(*services.Redis) (string, error)) (*fault, error) {
	n, down := w.store.draw(dice), between(dice, 0, 2*time.Second)
	r := w.store.servers[n]
	if err := r.Stop(); err != nil {
		return nil, err
	}
	what, err := change(r)
	return &fault{target: fmt.Sprintf("server %d%s", n, what), wait: lasting(down), heal: func(ctx context.Context) error {
		return w.store.restart(ctx, n)
	}}, err
}

func dirOf(r *services.Redis) string { return filepath.Dir(r.LogPath()) }

// mostCut is about a second of claims.
const mostCut = 128 << 10

// cutAOF takes bytes off the end of the newest file: what a host loses that goes down
// before it has written its pages (appendfsync everysec).
func cutAOF(dir string, dice *rand.Rand) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) == 0 {
		return "", errors.Join(errors.New("cut the append-only file: there is none"), err)
	}
	newest, size, written := "", int64(0), time.Time{}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return "", fmt.Errorf("cut the append-only file: %w", err)
		}
		if !info.ModTime().Before(written) {
			newest, size, written = f, info.Size(), info.ModTime()
		}
	}
	cut := min(size, 1+dice.Int64N(mostCut))
	if err := os.Truncate(newest, size-cut); err != nil {
		return "", fmt.Errorf("cut the append-only file: %w", err)
	}
	return fmt.Sprintf(", %d bytes cut off", cut), nil
}

// restoreSnapshot takes a snapshot and, some seconds later, restarts the server with
// nothing else.
func restoreSnapshot(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
	n, age, down := w.store.draw(dice), between(dice, 500*time.Millisecond, 5*time.Second), between(dice, 0, 2*time.Second)
	r := w.store.servers[n]
	if err := w.store.do(ctx, n, "bgsave"); err != nil {
		return nil, err
	}
	if err := w.store.waitFor(ctx, n, "rdb_bgsave_in_progress:0", "info", "persistence"); err != nil {
		return nil, err
	}
	backoff.Sleep(ctx, age)
	if err := r.Kill(); err != nil {
		return nil, err
	}
	return &fault{target: fmt.Sprintf("server %d, %v old", n, age.Round(time.Millisecond)), wait: lasting(down), heal: func(ctx context.Context) error {
		if err := onlySnapshot(dirOf(r)); err != nil {
			return err
		}
		return w.store.restart(ctx, n)
	}}, nil
}

// onlySnapshot makes the snapshot the whole of an append-only log: its base may be one.
func onlySnapshot(dir string) error {
	const base = "appendonly.aof.1.base.rdb"
	log := filepath.Join(dir, "appendonlydir")
	err := os.RemoveAll(log)
	err = errors.Join(err, os.Mkdir(log, 0o755), os.Rename(filepath.Join(dir, "dump.rdb"), filepath.Join(log, base)),
		os.WriteFile(filepath.Join(log, "appendonly.aof.manifest"), []byte("file "+base+" seq 1 type b\n"), 0o600))
	if err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	return nil
}
