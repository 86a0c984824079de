package torture

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"strings"
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
		{name: "redis-backup", part: partStore, begin: backUpRedis},
		{name: "redis-replica-attached", part: partStore, fits: noCluster, begin: attachReplica},
		// The slots' keys are all there, but nobody can tell.
		{name: "redis-reshard", part: partStore, loses: true, fits: isCluster, begin: reshard},
		// Longer than a gateway tries: it then takes this Redis to be away.
		{name: "redis-hang", part: partStore, begin: pauseRedis(6*time.Second, 12*time.Second)},
	}
}

// backlogTTL makes the backlog that a backup leaves expire within the run: the
// replication id changes then once more. By default it lives for an hour.
const backlogTTL = 3 * time.Second

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
	_ = conn.SetDeadline(time.Now().Add(limit))
	if _, err := conn.Write([]byte("SYNC\r\n")); err != nil {
		return fmt.Errorf("back up redis: %w", err)
	}
	if err := readSnapshot(bufio.NewReader(conn)); err != nil {
		return fmt.Errorf("back up redis: %w", err)
	}
	return nil
}

// readSnapshot reads an answer to SYNC: empty lines while the snapshot is made, then
// $<length> and that many bytes, or $EOF:<40 bytes> and everything until these come again.
func readSnapshot(in *bufio.Reader) error {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		head, ok := strings.CutPrefix(strings.TrimSpace(line), "$")
		switch mark, streamed := strings.CutPrefix(head, "EOF:"); {
		case !ok && head == "":
			continue
		case !ok:
			return errors.New(head)
		case streamed:
			return readUntil(in, mark)
		}
		n, err := strconv.Atoi(head)
		if err == nil {
			_, err = in.Discard(n)
		}
		return err
	}
}

func readUntil(in *bufio.Reader, mark string) error {
	for {
		_, err := in.ReadSlice(mark[0])
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return err
		}
		rest, err := in.Peek(len(mark) - 1)
		if err != nil {
			return err
		}
		if string(rest) == mark[1:] {
			return nil
		}
	}
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
