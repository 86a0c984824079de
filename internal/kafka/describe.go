package kafka

import (
	"context"
	"errors"
	"sync"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

const (
	// describeTimeout bounds one question of Describe if its context does not.
	describeTimeout = 5 * time.Second
	// introducing is how many topics are asked for at a time when they are new.
	introducing = 8
)

// TopicState is what Kafka tells of one topic.
type TopicState struct {
	Name string
	// Err is why Kafka tells nothing, nil if it does: for a missing topic, code
	// ErrUnknownTopicOrPart.
	Err        error
	Partitions []PartitionState // by number
}

// PartitionState is what Kafka tells of one partition.
type PartitionState struct {
	Leader   int32 // a broker, -1 for none
	Replicas []int32
	InSync   []int32 // those of Replicas that have caught up
}

var errNotTold = errors.New("kafka did not answer for this topic")

// Describe asks for topics by name, for all in one question, and creates none. The
// states are in the order of names. The error concerns all of them, a state's error
// only its topic.
//
// Any broker may answer. librdkafka's DescribeTopics asks the controller only, and
// fails as long as that one is silent.
func (a *Admin) Describe(ctx context.Context, names []string) ([]TopicState, error) {
	if err := a.introduce(ctx, names); err != nil {
		return nil, err
	}
	md, err := a.Brokers(TimeLeft(ctx, describeTimeout))
	if err != nil {
		return nil, err
	}
	states := make([]TopicState, len(names))
	for i, name := range names {
		states[i] = topicState(name, md)
	}
	return states, nil
}

// introduce asks for each new topic by itself: a question for several covers those
// that librdkafka knows. It keeps them until the client is closed, wanted or not.
func (a *Admin) introduce(ctx context.Context, names []string) error {
	var (
		wg     sync.WaitGroup
		places = make(chan struct{}, introducing)
		mu     sync.Mutex
		failed error
	)
	for _, name := range names {
		if _, ok := a.known.Load(name); ok {
			continue
		}
		places <- struct{}{}
		mu.Lock()
		stop := failed != nil
		mu.Unlock()
		if stop {
			break
		}
		wg.Go(func() {
			defer func() { <-places }()
			if _, err := a.Topic(name, TimeLeft(ctx, describeTimeout)); err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return failed
}

func topicState(name string, md *librdkafka.Metadata) TopicState {
	found, ok := md.Topics[name]
	switch {
	case !ok:
		return TopicState{Name: name, Err: errNotTold}
	case found.Error.Code() != librdkafka.ErrNoError:
		return TopicState{Name: name, Err: found.Error}
	}
	state := TopicState{Name: name, Partitions: make([]PartitionState, len(found.Partitions))}
	for i := range state.Partitions {
		state.Partitions[i].Leader = -1
	}
	for _, p := range found.Partitions {
		if int(p.ID) < len(state.Partitions) {
			state.Partitions[p.ID] = PartitionState{Leader: p.Leader, Replicas: p.Replicas, InSync: p.Isrs}
		}
	}
	return state
}
