package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// GroupState is what Kafka knows of a consumer group.
type GroupState struct {
	State   string // "Stable", "Empty", "Dead" (there is none), …
	Members int
	// Partitions are those of the topics that were asked for, by topic and number.
	Partitions []GroupPartition
}

// GroupPartition is how far a group is in one partition.
type GroupPartition struct {
	Partition
	Committed // Offset is -1 for none
	End       int64
	Host      string // of the member that has it, "" for none
}

// Behind is how many offsets are between the commit and the end; offsets of aborted
// records and of transactions' markers count.
func (p GroupPartition) Behind() int64 {
	if p.Offset < 0 {
		return 0
	}
	return max(0, p.End-p.Offset)
}

// State asks for a group and its progress in topics.
func (a *GroupAdmin) State(ctx context.Context, group string, topics ...string) (GroupState, error) {
	admin, err := a.client()
	if err != nil {
		return GroupState{}, err
	}
	state, hosts, err := describeGroup(ctx, admin, group)
	if err != nil {
		return GroupState{}, err
	}
	commits, err := fetchOffsets(ctx, admin, group)
	if err != nil {
		return GroupState{}, err
	}
	if len(topics) == 0 {
		return state, nil
	}
	ends, err := admin.ListEndOffsets(ctx, topics...)
	if err != nil {
		return GroupState{}, fmt.Errorf("ask kafka for the ends of topics: %w", err)
	}
	for _, end := range ends.Offsets().Sorted() {
		p := Partition{end.Topic, end.Partition}
		one := GroupPartition{Partition: p, Committed: Committed{Offset: -1}, End: end.At, Host: hosts[p]}
		if c, ok := commits.Lookup(p.Topic, p.Number); ok {
			one.Committed = Committed{Offset: c.At, Metadata: c.Metadata}
		}
		state.Partitions = append(state.Partitions, one)
	}
	return state, nil
}

// MayUse returns why Kafka does not let this user read the offsets of a group; nil if it
// does, or if it does not answer.
func (a *GroupAdmin) MayUse(ctx context.Context, group string) error {
	admin, err := a.client()
	if err != nil {
		return nil //nolint:nilerr // the connection is checked elsewhere
	}
	if _, err = fetchOffsets(ctx, admin, group); errors.Is(err, kerr.GroupAuthorizationFailed) {
		return err
	}
	return nil
}

// describeGroup returns the state of a group of either protocol, and which host has which
// partition.
func describeGroup(ctx context.Context, admin *kadm.Client, group string) (GroupState, map[Partition]string, error) {
	hosts := map[Partition]string{}
	described, err := admin.DescribeGroups(ctx, group)
	if err != nil {
		return GroupState{}, nil, fmt.Errorf("describe group %s: %w", group, err)
	}
	d := described[group]
	for _, m := range d.Members {
		if assigned, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range assigned.Topics {
				for _, n := range t.Partitions {
					hosts[Partition{t.Topic, n}] = strings.TrimPrefix(m.ClientHost, "/")
				}
			}
		}
	}
	if d.Err == nil && d.State != "Dead" {
		return GroupState{State: d.State, Members: len(d.Members)}, hosts, nil
	}
	// Kafka answers so for a group of the protocol "consumer" (KIP-848), too. Brokers before
	// 4.0 do not know the next question, and have no such groups.
	servers, err := admin.DescribeConsumerGroups(ctx, group)
	s, ok := servers[group]
	if err != nil || !ok || s.Err != nil {
		return GroupState{State: d.State}, hosts, nil //nolint:nilerr // the answer before says it
	}
	for _, m := range s.Members {
		for topic, numbers := range m.Assignment {
			for n := range numbers {
				hosts[Partition{topic, n}] = strings.TrimPrefix(m.ClientHost, "/")
			}
		}
	}
	return GroupState{State: s.State, Members: len(s.Members)}, hosts, nil
}

func splitComma(text string) []string {
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// parseMillis is negative for a limit that there is not.
func parseMillis(text string) time.Duration {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms < 0 || ms > math.MaxInt64/int64(time.Millisecond) {
		return -1
	}
	return time.Duration(ms) * time.Millisecond
}
