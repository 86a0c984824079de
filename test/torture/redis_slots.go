package torture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// moving bounds what moves one slot.
const moving = 20 * time.Second

// slotsWithKeys are the slots of a server that hold keys.
func (s *store) slotsWithKeys(ctx context.Context, server int) ([]int64, error) {
	client := s.client(server)
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, moving)
	defer cancel()
	var slots []int64
	seen := map[int64]bool{}
	for keys := client.Scan(ctx, 0, "*", 1000).Iterator(); ; {
		if !keys.Next(ctx) {
			if err := keys.Err(); err != nil {
				return nil, fmt.Errorf("find slots with keys: %w", err)
			}
			return slots, nil
		}
		slot, err := client.ClusterKeySlot(ctx, keys.Val()).Result()
		if err != nil {
			return nil, fmt.Errorf("find slots with keys: %w", err)
		}
		if !seen[slot] {
			seen[slot] = true
			slots = append(slots, slot)
		}
		const plenty = 100
		if len(slots) == plenty {
			return slots, nil
		}
	}
}

// moveSlot moves a slot with its keys.
func (s *store) moveSlot(ctx context.Context, slot int64, from, to int) error {
	ctx, cancel := context.WithTimeout(ctx, moving)
	defer cancel()
	ids := make([]string, len(s.servers))
	for i := range s.servers {
		id, err := s.ask(ctx, i, "cluster", "myid")
		if err != nil {
			return err
		}
		ids[i] = id
	}
	if err := errors.Join(s.do(ctx, to, "cluster", "setslot", slot, "importing", ids[from]), s.do(ctx, from, "cluster", "setslot", slot, "migrating", ids[to])); err != nil {
		return err
	}
	source := s.client(from)
	defer func() { _ = source.Close() }()
	host, port, err := net.SplitHostPort(s.servers[to].Addr())
	if err != nil {
		return err
	}
	for {
		const atATime = 100
		keys, err := source.ClusterGetKeysInSlot(ctx, int(slot), atATime).Result()
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			break
		}
		args := []any{"migrate", host, port, "", 0, moving.Milliseconds(), "keys"}
		for _, key := range keys {
			args = append(args, key)
		}
		// "NOKEY": they expired meanwhile.
		if err := source.Do(ctx, args...).Err(); err != nil && !strings.HasPrefix(err.Error(), "NOKEY") {
			return err
		}
	}
	for _, i := range []int{to, from, 3 - from - to} { // the new owner first, then the others
		if err := s.do(ctx, i, "cluster", "setslot", slot, "node", ids[to]); err != nil {
			return err
		}
	}
	return nil
}
