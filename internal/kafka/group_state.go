package kafka

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
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
	described, err := admin.DescribeGroups(ctx, group)
	if err != nil {
		return GroupState{}, fmt.Errorf("describe group %s: %w", group, err)
	}
	d := described[group]
	state := GroupState{State: d.State, Members: len(d.Members)}
	hosts := map[Partition]string{}
	for _, m := range d.Members {
		if assigned, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range assigned.Topics {
				for _, n := range t.Partitions {
					hosts[Partition{t.Topic, n}] = strings.TrimPrefix(m.ClientHost, "/")
				}
			}
		}
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
