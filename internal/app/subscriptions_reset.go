package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/internal/config"
	"eventgateway/internal/deadletter"
	"eventgateway/internal/delivery"
	"eventgateway/internal/kafka"
	"eventgateway/internal/schema"
)

// SubscriptionReset says where a subscription is to go on: at a time, at the first event that
// Kafka has, or, in some partitions, at offsets.
type SubscriptionReset struct {
	Earliest bool
	Time     time.Time
	Offsets  []deadletter.Place
}

// ResetPartition is what a reset means for a partition.
type ResetPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed int64  `json:"committed"` // -1: nothing
	To        int64  `json:"to"`
	// Again are the offsets before Committed that are delivered again, Skipped those after it
	// that are not delivered. Offsets of transactions' markers and of events that the
	// subscription does not want count as well.
	Again   int64 `json:"again"`
	Skipped int64 `json:"skipped"`
}

// resetPoll is between two looks at whether all gateways have left the group.
const resetPoll = 200 * time.Millisecond

// ResetSubscription sets where a subscription goes on. It lets gateways leave the group for
// that, and join again.
func ResetSubscription(ctx context.Context, cfg *config.Config, name string, to SubscriptionReset, dryRun bool) (list []ResetPartition, err error) {
	if err := knownSubscription(cfg, name); err != nil {
		return nil, err
	}
	set, err := schema.Load(cfg.Schemas.Dir)
	if err != nil {
		return nil, fmt.Errorf("schemas: %w", err)
	}
	logger := slog.New(slog.DiscardHandler)
	admin := connection(cfg).GroupAdmin(logger)
	defer admin.Close()
	at := slices.IndexFunc(cfg.Subscriptions, func(s config.Subscription) bool { return s.Name == name })
	r := reset{cfg: cfg, name: name, topics: subscriptionTopics(cfg.Subscriptions[at], set), admin: admin, table: StateTable(cfg, logger)}
	if list, err = r.plan(ctx, to); err != nil || dryRun {
		return list, err
	}
	return r.do(ctx, to)
}

type reset struct {
	cfg    *config.Config
	name   string
	topics []string
	admin  *kafka.GroupAdmin
	table  *kafka.Table
}

// plan compares what is committed with where the subscription is to go on.
func (r reset) plan(ctx context.Context, to SubscriptionReset) (list []ResetPartition, err error) {
	exist, err := r.admin.Topics(ctx, r.topics...)
	if err != nil {
		return nil, err
	}
	var known []string
	for topic := range exist {
		known = append(known, topic)
	}
	if len(known) == 0 {
		return nil, errors.New("none of its topics exists")
	}
	targets, err := r.targets(ctx, to, known)
	if err != nil {
		return nil, err
	}
	state, err := r.admin.State(ctx, delivery.Group(r.name), known...)
	if err != nil {
		return nil, err
	}
	for _, p := range state.Partitions {
		target, ok := targets[p.Partition]
		if !ok {
			continue
		}
		one := ResetPartition{Topic: p.Topic, Partition: p.Number, Committed: p.Offset, To: target}
		if p.Offset >= 0 {
			one.Again, one.Skipped = max(0, p.Offset-target), max(0, target-p.Offset)
		} else {
			one.Again = max(0, p.End-target)
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b ResetPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return list, nil
}

func (r reset) targets(ctx context.Context, to SubscriptionReset, topics []string) (map[kafka.Partition]int64, error) {
	if len(to.Offsets) == 0 {
		return r.admin.Starts(ctx, kafka.Start{Earliest: to.Earliest, Time: to.Time}, topics...)
	}
	first, err := r.admin.Starts(ctx, kafka.Start{Earliest: true}, topics...)
	if err != nil {
		return nil, err
	}
	end, err := r.admin.Starts(ctx, kafka.Start{}, topics...)
	if err != nil {
		return nil, err
	}
	targets := map[kafka.Partition]int64{}
	for _, p := range to.Offsets {
		part := kafka.Partition{Topic: p.Topic, Number: p.Partition}
		if _, ok := end[part]; !ok {
			return nil, fmt.Errorf("%s is not a partition that the subscription reads; its topics are %v", part, r.topics)
		}
		if p.Offset < first[part] || p.Offset > end[part] {
			return nil, fmt.Errorf("%s has the offsets from %d to %d, and not %d", part, first[part], end[part], p.Offset)
		}
		targets[part] = p.Offset
	}
	return targets, nil
}

// do lets the gateways leave, sets the offsets, and lets them come back.
func (r reset) do(ctx context.Context, to SubscriptionReset) (list []ResetPartition, err error) {
	away := time.Now().Add(delivery.MostAway)
	if err := r.setAway(ctx, away); err != nil {
		return nil, err
	}
	defer func() {
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), subscriptionBackTimeout)
		defer cancel()
		if failed := r.setAway(back, time.Time{}); failed != nil {
			err = errors.Join(err, fmt.Errorf("gateways stay out of the group until %s: %w", away.UTC().Format(time.RFC3339), failed))
		}
	}()
	waiting, cancel := context.WithDeadline(ctx, away.Add(-subscriptionBackTimeout))
	defer cancel()
	var members int
	if !backoff.Poll(waiting, resetPoll, func() bool {
		state, asked := r.admin.State(waiting, delivery.Group(r.name))
		members = state.Members
		return asked == nil && state.Members == 0
	}) {
		return nil, fmt.Errorf("%d gateways are still in the group, so that Kafka does not take its offsets; are they of an older version, or is their session not over yet? Nothing was changed", members)
	}
	if list, err = r.plan(ctx, to); err != nil { // what was finished meanwhile is committed
		return nil, err
	}
	offsets := map[kafka.Partition]int64{}
	for _, p := range list {
		offsets[kafka.Partition{Topic: p.Topic, Number: p.Partition}] = p.To
	}
	return list, r.admin.SetOffsets(ctx, delivery.Group(r.name), offsets)
}

// subscriptionBackTimeout bounds how long it takes to let gateways come back.
const subscriptionBackTimeout = 15 * time.Second

func (r reset) setAway(ctx context.Context, until time.Time) error {
	return changeSubscription(ctx, r.cfg, r.name, func(p *delivery.PauseState) { p.AwayUntil = until.UTC() })
}
