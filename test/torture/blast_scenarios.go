package torture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/backoff"
)

// blastScenario is a way to take a broker, or one partition's replicas, away.
type blastScenario struct {
	name  string
	begin func(ctx context.Context, w *world, victim int) (heal func(context.Context) error, err error)
	harms func(partition int32, victim int) bool
	stuck bool // the harmed partition cannot take records meanwhile
}

func blastScenarios() []blastScenario {
	return []blastScenario{
		{name: "frozen", harms: onBroker, begin: func(_ context.Context, w *world, victim int) (func(context.Context) error, error) {
			node := w.kafka.nodes[victim-1]
			return func(context.Context) error { return node.Resume() }, node.Pause()
		}},
		{name: "killed", harms: onBroker, begin: func(_ context.Context, w *world, victim int) (func(context.Context) error, error) {
			node := w.kafka.nodes[victim-1]
			return node.Restart, node.Kill()
		}},
		{name: "silent", harms: onBroker, begin: isolate},
		{name: "below-min", harms: func(p int32, _ int) bool { return p == 0 }, stuck: true, begin: belowMin},
	}
}

// onBroker tells whether a partition has a replica there.
func onBroker(p int32, victim int) bool { return slices.Contains(spread(p), int32(victim)) }

// spread is where a partition's three replicas are, the preferred leader first: on all
// of four brokers but one.
func spread(p int32) []int32 {
	const brokers, replicas = 4, 3
	ids := make([]int32, 0, replicas)
	for i := range int32(replicas) {
		ids = append(ids, (p+1+(i+p/brokers)%replicas)%brokers+1)
	}
	return ids
}

// isolate cuts a broker off from the gateways and from the controllers, in both
// directions and without a word: nothing passes, and nothing is reset.
func isolate(_ context.Context, w *world, victim int) (func(context.Context) error, error) {
	cutOff := w.kafka.toBroker(victim - 1)
	for l, p := range w.kafka.links {
		if l.from == victim || l.to == victim {
			cutOff = append(cutOff, p)
		}
	}
	return disturb(cutOff, setting{mode: drop, where: both}, 0, "").heal, nil
}

// belowMin leaves partition 0 one replica, where two must be in sync.
func belowMin(ctx context.Context, w *world, _ int) (func(context.Context) error, error) {
	assign := func(ctx context.Context, ids []int32) error {
		return retryAdmin(ctx, "move replicas", func(ctx context.Context) error {
			var req kadm.AlterPartitionAssignmentsReq
			req.Assign(blastType, 0, ids)
			responses, err := w.kafka.admin.AlterPartitionAssignments(ctx, req)
			return errors.Join(err, responses.Error())
		})
	}
	return func(ctx context.Context) error { return assign(ctx, spread(0)) }, assign(ctx, spread(0)[:1])
}

// createSpread creates a topic whose partitions are where spread says.
func (k *kafka) createSpread(ctx context.Context, topic string, partitions int) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, -1, -1
	for p := range int32(partitions) {
		a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		a.Partition, a.Replicas = p, spread(p)
		t.ReplicaAssignment = append(t.ReplicaAssignment, a)
	}
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, k.client)
	if err != nil {
		return fmt.Errorf("create topic: %w", err)
	}
	for _, t := range resp.Topics {
		if t.ErrorMessage != nil {
			return fmt.Errorf("create topic: %s", *t.ErrorMessage)
		}
	}
	return k.settle(ctx, topic)
}

// settle waits until every partition has its three replicas in sync, and its preferred
// leader.
func (k *kafka) settle(ctx context.Context, topic string) error {
	const limit, pause = 2 * time.Minute, 500 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		unsettled, err := k.unsettled(ctx, topic)
		if err == nil && len(unsettled) == 0 {
			return nil
		}
		if err == nil {
			_, err = k.admin.ElectLeaders(ctx, kadm.ElectPreferredReplica, kadm.TopicsSet{topic: unsettled})
		}
		if !backoff.Sleep(ctx, pause) {
			return fmt.Errorf("wait for the replicas of %v: %w", unsettled, errors.Join(err, context.Cause(ctx)))
		}
	}
}

func (k *kafka) unsettled(ctx context.Context, topic string) (map[int32]struct{}, error) {
	md, err := k.admin.Metadata(ctx, topic)
	if err != nil {
		return nil, err
	}
	found := map[int32]struct{}{}
	for _, p := range md.Topics[topic].Partitions {
		if want := spread(p.Partition); len(p.ISR) != len(want) || len(p.Replicas) != len(want) || p.Leader != want[0] {
			found[p.Partition] = struct{}{}
		}
	}
	if len(md.Topics[topic].Partitions) == 0 {
		return nil, errors.New("the topic has no partitions yet")
	}
	return found, nil
}
