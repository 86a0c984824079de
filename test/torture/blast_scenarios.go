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
	place func(partition int32, victim int) []int32 // replicas; nil: spread
	stuck bool                                      // the harmed partition cannot take records meanwhile
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
		{name: "below-min", harms: func(p int32, _ int) bool { return p == 0 }, stuck: true, place: besides, begin: belowMin},
	}
}

const blastReplicas = 3

// wanted is where a scenario wants a partition's replicas, the leader first.
func (s blastScenario) wanted(victim int) func(int32) []int32 {
	if s.place == nil {
		return spread
	}
	return func(p int32) []int32 { return s.place(p, victim) }
}

// onBroker tells whether a partition has a replica there.
func onBroker(p int32, victim int) bool { return slices.Contains(spread(p), int32(victim)) }

// spread is where a partition's three replicas are, the preferred leader first: on all
// of four brokers but one.
func spread(p int32) []int32 {
	const brokers = blastReplicas + 1
	ids := make([]int32, 0, blastReplicas)
	for i := range int32(blastReplicas) {
		ids = append(ids, (p+1+(i+p/brokers)%blastReplicas)%brokers+1)
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

// besides is where replicas are if only partition 0 has one on the victim.
func besides(p int32, victim int) []int32 {
	ids := make([]int32, 0, blastReplicas)
	for i := range int32(blastReplicas + 1) {
		if id := (p+i)%(blastReplicas+1) + 1; id != int32(victim) {
			ids = append(ids, id)
		}
	}
	if p == 0 {
		ids[len(ids)-1] = int32(victim)
	}
	return ids
}

// belowMin kills the victim, without which partition 0 has two replicas in sync, where
// three must be: it takes nothing until the victim is back. Kafka never asks for more
// than a partition has replicas, so that one with a single replica would go on.
func belowMin(ctx context.Context, w *world, victim int) (func(context.Context) error, error) {
	need := func(ctx context.Context, replicas string) error {
		return w.kafka.setTopic(ctx, blastType, "min.insync.replicas", replicas)
	}
	node := w.kafka.nodes[victim-1]
	return func(ctx context.Context) error { return errors.Join(node.Restart(ctx), need(ctx, "2")) }, errors.Join(need(ctx, "3"), node.Kill())
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
	return k.settle(ctx, topic, spread)
}

// settle moves replicas to where they are wanted, and waits until all are in sync and
// each partition has its preferred leader.
func (k *kafka) settle(ctx context.Context, topic string, wanted func(int32) []int32) error {
	const limit, pause = 2 * time.Minute, 500 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		unsettled, move, err := k.unsettled(ctx, topic, wanted)
		if err == nil && len(unsettled) == 0 {
			return nil
		}
		if err == nil && len(move) > 0 {
			_, err = k.admin.AlterPartitionAssignments(ctx, kadm.AlterPartitionAssignmentsReq{topic: move})
		}
		if err == nil {
			_, err = k.admin.ElectLeaders(ctx, kadm.ElectPreferredReplica, kadm.TopicsSet{topic: unsettled})
		}
		if !backoff.Sleep(ctx, pause) {
			return fmt.Errorf("wait for the replicas of %v: %w", unsettled, errors.Join(err, context.Cause(ctx)))
		}
	}
}

// unsettled are the partitions that are not as they are wanted, and where those of them
// belong that are elsewhere.
func (k *kafka) unsettled(ctx context.Context, topic string, wanted func(int32) []int32) (found map[int32]struct{}, move map[int32][]int32, err error) {
	md, err := k.admin.Metadata(ctx, topic)
	if err != nil {
		return nil, nil, err
	}
	found, move = map[int32]struct{}{}, map[int32][]int32{}
	for _, p := range md.Topics[topic].Partitions {
		want := wanted(p.Partition)
		if !slices.Equal(p.Replicas, want) {
			move[p.Partition] = want
		}
		if !slices.Equal(p.Replicas, want) || len(p.ISR) != len(want) || p.Leader != want[0] {
			found[p.Partition] = struct{}{}
		}
	}
	if len(md.Topics[topic].Partitions) == 0 {
		return nil, nil, errors.New("the topic has no partitions yet")
	}
	return found, move, nil
}
