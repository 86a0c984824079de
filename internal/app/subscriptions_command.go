package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"eventgateway/internal/config"
	"eventgateway/internal/delivery"
	"eventgateway/internal/kafka"
	"eventgateway/internal/schema"
)

// SubscriptionStatus is what a command shows of a subscription.
type SubscriptionStatus struct {
	Name     string    `json:"name"`
	URL      string    `json:"url"`
	Topics   []string  `json:"topics"`
	Paused   bool      `json:"paused"`
	Reason   string    `json:"reason,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Group    string    `json:"group"`
	State    string    `json:"state"` // of the group, in Kafka's words
	Members  int       `json:"members"`
	Behind   int64     `json:"behind"` // offsets from the commits to the ends
	Finished int       `json:"finished_beyond"`
	Failing  int       `json:"failing"`
	Held     int       `json:"held"`

	Partitions []SubscriptionPartition `json:"partitions,omitempty"`
}

// SubscriptionPartition is how far a subscription is in one partition.
type SubscriptionPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed int64  `json:"committed"` // -1: nothing
	End       int64  `json:"end"`
	Behind    int64  `json:"behind"`
	Finished  int    `json:"finished_beyond"`
	Failing   int    `json:"failing"`
	Held      int    `json:"held"`
	Host      string `json:"host,omitempty"`
}

// UnknownSubscriptionError is a name that the configuration does not have.
type UnknownSubscriptionError struct {
	Name  string
	Known []string
}

func (e *UnknownSubscriptionError) Error() string {
	return fmt.Sprintf("the configuration has no subscription %q; it has %v", e.Name, e.Known)
}

func subscriptionNames(cfg *config.Config) []string {
	names := make([]string, len(cfg.Subscriptions))
	for i, s := range cfg.Subscriptions {
		names[i] = s.Name
	}
	return names
}

func knownSubscription(cfg *config.Config, name string) error {
	if names := subscriptionNames(cfg); !slices.Contains(names, name) {
		return &UnknownSubscriptionError{name, names}
	}
	return nil
}

// SubscriptionStates asks Kafka about the subscriptions of a configuration; only is the
// name of one, or "".
func SubscriptionStates(ctx context.Context, cfg *config.Config, only string) ([]SubscriptionStatus, error) {
	if only != "" {
		if err := knownSubscription(cfg, only); err != nil {
			return nil, err
		}
	}
	set, err := schema.Load(cfg.Schemas.Dir)
	if err != nil {
		return nil, fmt.Errorf("schemas: %w", err)
	}
	logger := slog.New(slog.DiscardHandler)
	pauses, err := delivery.ReadPauses(ctx, StateTable(cfg, logger))
	if err != nil {
		return nil, err
	}
	admin := connection(cfg).GroupAdmin(logger)
	defer admin.Close()
	var list []SubscriptionStatus
	for _, s := range cfg.Subscriptions {
		if only != "" && s.Name != only {
			continue
		}
		one, err := subscriptionState(ctx, admin, s, subscriptionTopics(s, set))
		if err != nil {
			return nil, fmt.Errorf("subscription %s: %w", s.Name, err)
		}
		p := pauses[s.Name]
		one.Paused, one.Reason, one.Since = p.Paused, p.Reason, p.At
		list = append(list, one)
	}
	return list, nil
}

func subscriptionState(ctx context.Context, admin *kafka.GroupAdmin, s config.Subscription, topics []string) (SubscriptionStatus, error) {
	one := SubscriptionStatus{Name: s.Name, URL: s.URL, Topics: topics, Group: delivery.Group(s.Name)}
	exist, err := admin.Topics(ctx, topics...)
	if err != nil {
		return one, err
	}
	replays, err := admin.Topics(ctx, delivery.ReplayTopic(s.Name))
	if err != nil && !kafka.Hidden(err) {
		return one, err
	}
	maps.Copy(exist, replays)
	var known []string
	for topic := range exist {
		known = append(known, topic)
	}
	state, err := admin.State(ctx, one.Group, known...)
	if err != nil {
		return one, err
	}
	one.State, one.Members = state.State, state.Members
	for _, p := range state.Partitions {
		finished, failing, held := delivery.Progress(p.Committed)
		part := SubscriptionPartition{
			Topic: p.Topic, Partition: p.Number, Committed: p.Offset, End: p.End, Behind: p.Behind(),
			Finished: finished, Failing: failing, Held: held, Host: p.Host,
		}
		one.Behind += part.Behind
		one.Finished += finished
		one.Failing += failing
		one.Held += held
		one.Partitions = append(one.Partitions, part)
	}
	slices.SortFunc(one.Partitions, func(a, b SubscriptionPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return one, nil
}

// PauseSubscription pauses a subscription in all gateways; they remember it.
func PauseSubscription(ctx context.Context, cfg *config.Config, name, reason string) error {
	return changeSubscription(ctx, cfg, name, func(p *delivery.PauseState) {
		p.Paused, p.Reason = true, reason
	})
}

// ResumeSubscription ends a pause. With release, entities that are held back behind a dead
// letter go on as well.
func ResumeSubscription(ctx context.Context, cfg *config.Config, name string, release bool) error {
	return changeSubscription(ctx, cfg, name, func(p *delivery.PauseState) {
		p.Paused, p.Reason = false, ""
		if release {
			p.Released = time.Now().UTC()
		}
	})
}

func changeSubscription(ctx context.Context, cfg *config.Config, name string, change func(*delivery.PauseState)) error {
	if err := knownSubscription(cfg, name); err != nil {
		return err
	}
	table := StateTable(cfg, slog.New(slog.DiscardHandler))
	pauses, err := delivery.ReadPauses(ctx, table)
	if err != nil {
		return err
	}
	state := pauses[name]
	change(&state)
	state.At = time.Now().UTC()
	if err := delivery.WritePause(ctx, table, name, state); err != nil {
		return errors.Join(err)
	}
	return nil
}
