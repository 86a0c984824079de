package delivery

import (
	"slices"
	"time"

	"eventgateway/internal/delivery/endpoint"
	"eventgateway/internal/kafka"
)

// Config is one subscription.
type Config struct {
	Name   string
	Topics []string
	Types  []string // event types that are wanted; empty: all, also records without a type
	Filter Filter

	Endpoint endpoint.Config
	Binary   bool // CloudEvents binary mode, else structured
	Ordered  bool // per entity

	Concurrency     int
	Start           kafka.Start // of a subscription that has committed nothing
	Retry           Retry
	HoldEntity      bool // after a dead letter, the entity's events wait for a release
	WhenFull        Full // what a full window does
	OnExpiring      OnExpiring
	OnLost          OnLost // what happens when Kafka no longer has the next record
	DeadLetterTopic string // "": <topic>.<subscription>.dlt
	Session         time.Duration
	ServerSide      bool // group.protocol=consumer
}

// Retry bounds the attempts for one event.
type Retry struct {
	Attempts     int
	Initial, Max time.Duration
	Total        time.Duration // from the first failure on; 0: no limit
}

// Full says what a full window does.
type Full string

// The policies.
const (
	FullWait       Full = "wait"
	FullDeadLetter Full = "dead-letter" // of the event that has failed longest
)

// OnExpiring says what happens when Kafka is about to delete records that wait.
type OnExpiring string

// The policies.
const (
	ExpiringWait       OnExpiring = "wait" // with a warning
	ExpiringDeadLetter OnExpiring = "dead-letter"
)

// OnLost says what happens when records were deleted before they were delivered.
type OnLost string

// The policies.
const (
	LostStop     OnLost = "stop"     // until an operator sets the offset
	LostEarliest OnLost = "earliest" // goes on with the first record that there is
)

// Group is the consumer group of a subscription.
func Group(name string) string { return groupPrefix + name }

const groupPrefix = "gateway.subscription."

// ReplayTopic is the topic from which a subscription alone reads dead letters that are
// replayed to it.
func ReplayTopic(name string) string { return Group(name) + ".replay" }

// DeadLetters is the topic for the dead letters of a topic. An event that was replayed here
// and comes from a topic that the subscription does not read belongs to its first one.
func (c Config) DeadLetters(topic string) string {
	if c.DeadLetterTopic != "" {
		return c.DeadLetterTopic
	}
	if len(c.Topics) > 0 && !slices.Contains(c.Topics, topic) {
		topic = c.Topics[0]
	}
	return topic + "." + c.Name + ".dlt"
}
