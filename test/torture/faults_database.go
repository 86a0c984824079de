package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"eventgateway/internal/backoff"
)

func hasOutbox(o *Options) bool { return o.Outbox != "" }

func hasSlot(o *Options) bool { return o.Outbox == readWAL }

// databaseFaults break the database of the outbox, and the relays' connections to it.
func databaseFaults() []faultKind {
	network := func(name string, draw func(w *world, dice *rand.Rand) (setting, time.Duration)) faultKind {
		return faultKind{name: "database-" + name, part: partDatabase, fits: hasOutbox, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			s, d := draw(w, dice)
			relay := dice.IntN(len(w.gateways))
			return disturb(w.shop.proxies[relay:relay+1], s, d, fmt.Sprintf("relay %d", relay)), nil
		}}
	}
	return []faultKind{
		{name: "database-kill", part: partDatabase, fits: hasOutbox, begin: killDatabase},
		{name: "database-ends-connections", part: partDatabase, fits: hasOutbox, begin: endConnections},
		{name: "slot-drop", part: partDatabase, fits: hasSlot, begin: dropSlot},
		network("cut", drawCut),
		network("half-open", drawDrop),
		network("delay", drawSlow),
		network("stall", drawLongStall),
	}
}

// killDatabase makes the server recover as after a crash. Its slot then tells again of rows
// that were published and deleted.
func killDatabase(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
	if err := w.shop.server.Kill(); err != nil {
		return nil, err
	}
	return &fault{target: "server", wait: lasting(between(dice, 0, 3*time.Second)), heal: w.shop.server.Restart}, nil
}

// endConnections ends some or all connections of relays, whatever they are doing.
func endConnections(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
	share := 1 + dice.IntN(3)
	return &fault{target: fmt.Sprintf("one in %d", share)}, w.shop.exec(ctx, fmt.Sprintf(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gateway_outbox' AND pid %% %d = 0`, share))
}

// dropSlot drops the slot, whoever uses it.
func dropSlot(ctx context.Context, w *world, _ *rand.Rand) (*fault, error) {
	const tries = 200
	w.shop.slotLost = true
	conn, err := w.shop.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	for range tries {
		if _, err := conn.Exec(ctx, `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active`); err != nil {
			return nil, fmt.Errorf("end who uses the slot: %w", err)
		}
		// A relay may have come back to it meanwhile: that is an error, and the next try.
		rows, err := conn.Query(ctx, `SELECT pg_drop_replication_slot(slot_name)::text FROM pg_replication_slots`)
		if err == nil {
			var dropped []string
			if dropped, err = pgx.CollectRows(rows, pgx.RowTo[string]); err == nil && len(dropped) > 0 {
				return &fault{target: "slot"}, nil
			}
		}
		backoff.Sleep(ctx, 25*time.Millisecond)
	}
	return &fault{target: "slot (none, or always in use)"}, nil
}
