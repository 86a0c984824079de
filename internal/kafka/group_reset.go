package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Starts are the offsets at which a reading of topics would begin.
func (a *GroupAdmin) Starts(ctx context.Context, start Start, topics ...string) (map[Partition]int64, error) {
	admin, err := a.client()
	if err != nil {
		return nil, err
	}
	var listed kadm.ListedOffsets
	switch {
	case start.Earliest:
		listed, err = admin.ListStartOffsets(ctx, topics...)
	case start.Time.IsZero():
		listed, err = admin.ListCommittedOffsets(ctx, topics...)
	default:
		listed, err = admin.ListOffsetsAfterMilli(ctx, start.Time.UnixMilli(), topics...)
	}
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask kafka for offsets of topics: %w", err)
	}
	offsets := map[Partition]int64{}
	listed.Each(func(o kadm.ListedOffset) { offsets[Partition{o.Topic, o.Partition}] = o.Offset })
	return offsets, nil
}

// Hidden reports whether an error says that this user may not see a topic, which may exist or not.
func Hidden(err error) bool { return errors.Is(err, kerr.TopicAuthorizationFailed) }

// SetOffsets commits offsets without metadata, from outside a group: Kafka refuses it while
// the group has members.
func (a *GroupAdmin) SetOffsets(ctx context.Context, group string, to map[Partition]int64) error {
	admin, err := a.client()
	if err != nil {
		return err
	}
	offsets := kadm.Offsets{}
	for p, at := range to {
		offsets.AddOffset(p.Topic, p.Number, at, -1)
	}
	done, err := admin.CommitOffsets(ctx, group, offsets)
	if err == nil {
		err = done.Error()
	}
	if err != nil {
		return fmt.Errorf("set the offsets of group %s: %w", group, err)
	}
	return nil
}
