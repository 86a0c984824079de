package app

import (
	"context"
	"sync"
	"time"

	"eventgateway/internal/admin"
	"eventgateway/internal/config"
	"eventgateway/internal/event"
	"eventgateway/internal/idempotency"
	"eventgateway/internal/outbox"
	"eventgateway/internal/preflight"
	"eventgateway/internal/publish"
)

// OutboxConfig translates the configuration of an outbox.
func OutboxConfig(cfg *config.Config, o config.Outbox) outbox.Config {
	return outbox.Config{
		Name: o.Name, DSN: o.DSN.Reveal(), ListenDSN: o.ListenDSN.Reveal(), WAL: o.Read == config.OutboxWAL,
		Table: o.Table, Columns: o.Columns, EventType: o.EventType, Slot: o.SlotName(), Publication: o.PublicationName(),
		Messages: o.Messages, HoldEntity: o.OnDead == config.OnDeadHoldEntity, TTL: cfg.Idempotency.TTL,
	}
}

// buildRelays makes a relay for each outbox.
func (a *App) buildRelays(door outbox.Door) {
	if len(a.cfg.Outbox) == 0 {
		return
	}
	metrics := outbox.NewMetrics(a.registry)
	for _, o := range a.cfg.Outbox {
		a.relays = append(a.relays, outbox.New(OutboxConfig(a.cfg, o), outbox.Deps{
			Door: door, Claims: outboxClaims{a.store}, Log: outboxLog{a.producer}, Logger: a.logger, Metrics: metrics,
		}))
	}
}

// AcceptGap makes relays go on when messages of a write-ahead log may be lost.
func (a *App) AcceptGap() {
	for _, r := range a.relays {
		r.AcceptGap()
	}
}

// CheckOutboxes looks at each outbox and its database until ctx ends. It changes nothing.
func CheckOutboxes(ctx context.Context, cfg *config.Config) []preflight.Finding {
	var list []preflight.Finding
	for _, o := range cfg.Outbox {
		list = append(list, preflight.Outbox(outbox.Inspect(ctx, OutboxConfig(cfg, o)))...)
	}
	return list
}

// relayChecks adds the health of each relay to what /readyz shows.
func (a *App) relayChecks(checks map[string]admin.Check) {
	for _, r := range a.relays {
		checks["outbox "+r.Name()] = func(context.Context) error { return r.Health() }
	}
}

// judgeRelays says whether a gateway that only relays is ready: each of its relays makes
// progress, or stands by.
func (a *App) judgeRelays(results map[string]error) admin.Judgement {
	for _, r := range a.relays {
		if err := results["outbox "+r.Name()]; err != nil {
			return admin.Judgement{Reason: "outbox " + r.Name() + ": " + err.Error()}
		}
	}
	return admin.Judgement{Ready: true}
}

// relayPatience bounds how long relays wait for the gateway to be ready: one topic that
// refuses records must not keep the rows of others.
const relayPatience = 10 * time.Second

// relay runs all relays until ctx ends.
func (a *App) relay(ctx context.Context) {
	first, cancel := context.WithTimeout(ctx, relayPatience)
	a.AwaitReady(first) // before, rows would only be refused
	cancel()
	var running sync.WaitGroup
	for _, r := range a.relays {
		running.Go(func() { r.Run(ctx) })
	}
	running.Wait()
}

type outboxClaims struct{ store *idempotency.Store }

func (c outboxClaims) Begin(ctx context.Context, name, epoch string) error {
	return c.store.BeginEpoch(ctx, name, epoch)
}

func (c outboxClaims) Holds(ctx context.Context, name, epoch string, like []event.ClaimID) (bool, error) {
	return c.store.HoldsEpoch(ctx, name, epoch, like)
}

func (c outboxClaims) Expire(ctx context.Context, ids []event.ClaimID, after time.Duration) error {
	return c.store.ExpireClaims(ctx, ids, after)
}

func (c outboxClaims) Settle(list []event.Settlement) {
	for _, e := range list {
		c.store.Settle(e.Claim, e.Receipt)
	}
}

type outboxLog struct{ log *publish.Log }

// Find reads the topics of all event types once.
func (l outboxLog) Find(ctx context.Context, ids map[event.ClaimID]struct{}, from time.Time) (map[event.ClaimID]struct{}, error) {
	if err := l.log.Quiesce(ctx, time.Now(), nil); err != nil {
		return nil, err
	}
	found := map[event.ClaimID]struct{}{}
	var mu sync.Mutex
	err := l.log.Replay(ctx, from, false, func(e event.LogEntry) error {
		if _, wanted := ids[e.Claim]; wanted {
			mu.Lock()
			found[e.Claim] = struct{}{}
			mu.Unlock()
		}
		return nil
	}, func([]event.TopicReplay) {}, nil)
	return found, err
}
