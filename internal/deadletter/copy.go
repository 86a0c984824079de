package deadletter

import (
	"strconv"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

// ByKey as a record's partition lets the producer choose as Java's does: by the key.
const ByKey int32 = -1

// Where copies go.
type (
	// Target says where the copy of a dead letter goes.
	Target struct {
		Kind Kind
		// Name is a subscription's or a topic's; empty: the one that the letter came from.
		Name string
		// ReplayTopic is a subscription's topic for replays, by its name; "" for one that is
		// not configured. Only for ToSubscription.
		ReplayTopic func(subscription string) string
	}
	// Kind is a kind of target.
	Kind string
)

// The kinds.
const (
	ToSubscription Kind = "subscription" // its replay topic, which it reads alone
	ToTopic        Kind = "topic"        // for all who read it
	ToDoor         Kind = "door"         // the gateway's own, which validates anew
)

// Obstacle is why a letter cannot be replayed to a target, for people; counted by its text.
type Obstacle string

// Why letters are left out.
const (
	obstacleNotCopied      Obstacle = "the dead letter names the record only, and does not have its value; replay the record from its own topic"
	obstacleNoOrigin       Obstacle = "it does not say which topic it came from; name one with --to topic:NAME"
	obstacleUnvalidated    Obstacle = "it is a webhook's delivery that fits no event type, and topics take validated events; use --to door"
	obstacleNoSubscription Obstacle = "it did not come from a subscription; name one with --to subscription:NAME"
	obstacleForeign        Obstacle = "its subscription is not in the configuration"
)

// Obstacle says why a letter cannot go to the target, "" if it can.
func (t *Target) Obstacle(l *Letter) Obstacle {
	if l.NotCopied {
		return obstacleNotCopied
	}
	switch t.Kind {
	case ToSubscription:
		name := t.subscription(l)
		if name == "" {
			return obstacleNoSubscription
		}
		if t.ReplayTopic(name) == "" {
			return obstacleForeign
		}
	case ToTopic:
		if l.Dialect == Webhook {
			return obstacleUnvalidated
		}
		if t.Name == "" && l.Origin == nil {
			return obstacleNoOrigin
		}
	case ToDoor:
	}
	return ""
}

// Subscription is the one that a letter goes to, "" if it goes to none.
func (t *Target) Subscription(l *Letter) string {
	if t.Kind != ToSubscription {
		return ""
	}
	return t.subscription(l)
}

func (t *Target) subscription(l *Letter) string {
	if t.Name == "" && l.Dialect == Subscription {
		return l.Consumer
	}
	return t.Name
}

// Words names the target of a letter for people and the ledger.
func (t *Target) Words(l *Letter) string {
	switch t.Kind {
	case ToSubscription:
		return "subscription " + t.subscription(l)
	case ToTopic:
		return "topic " + t.topic(l)
	case ToDoor:
	}
	return "door"
}

// topic is where the copy goes; "" for the door.
func (t *Target) topic(l *Letter) string {
	switch {
	case t.Kind == ToSubscription:
		return t.ReplayTopic(t.subscription(l))
	case t.Kind == ToTopic && t.Name != "":
		return t.Name
	case t.Kind == ToTopic && l.Origin != nil:
		return l.Origin.Topic
	}
	return ""
}

// Copy is the record that goes to a target that is a topic.
func (t *Target) Copy(r *kafka.Record, l *Letter, now time.Time) *kafka.Record {
	c := &kafka.Record{Topic: t.topic(l), Partition: ByKey, Key: r.Key, Value: r.Value, Timestamp: now}
	c.Headers = Headers(r, l)
	add := func(name, value string) {
		c.Headers = append(c.Headers, kafka.RecordHeader{Key: name, Value: []byte(value)})
	}
	add(event.DeadRounds, strconv.Itoa(l.Rounds))
	add(event.ReplayOf, l.Place.String())
	add(event.ReplayTime, now.UTC().Format(time.RFC3339Nano))
	switch {
	case t.Kind == ToSubscription:
		from, at := l.Place, l.Written
		if l.Origin != nil {
			from, at = *l.Origin, l.OriginTime
		}
		add(event.DeadTopic, from.Topic)
		add(event.DeadPartition, strconv.Itoa(int(from.Partition)))
		add(event.DeadOffset, strconv.FormatInt(from.Offset, 10))
		if !at.IsZero() {
			add(event.DeadTimestamp, at.UTC().Format(time.RFC3339Nano))
		}
	case l.Origin != nil && l.Origin.Topic == c.Topic && (l.Dialect != Subscription || r.Key == nil):
		// Others may have chosen the partition in their own way. The gateway chooses by key,
		// also after partitions were added.
		c.Partition = l.Origin.Partition
	}
	return c
}

// Headers are those of the record before it became a dead letter, but for the claim under
// which it was published: a copy is not that record.
func Headers(r *kafka.Record, l *Letter) []kafka.RecordHeader {
	kept := make([]kafka.RecordHeader, 0, len(r.Headers)+8)
	for _, h := range r.Headers {
		if provenance(l.Dialect, h.Key) || h.Key == event.HeaderClaim || h.Key == event.HeaderFingerprint {
			continue
		}
		kept = append(kept, h)
	}
	return kept
}
