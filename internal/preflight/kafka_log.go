package preflight

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The log decides what became of a key; Redis only remembers it. These rules check
// whether the log keeps the events that a retry looks for, and whether they can be found.

const publishedAgain = "a retry, or a key that Redis lost, finds its event gone and is published again"

func (c topicCheck) size() []ruleResult {
	most, known := c.facts.Settings.Number("max.message.bytes")
	if !known || c.needs.MaxData == 0 {
		return nil
	}
	what := fmt.Sprintf("max.message.bytes is %d, key and headers included, and %s may have %d bytes of data: ", most, c.needs.Largest, c.needs.MaxData)
	do := c.set("max.message.bytes", c.needs.MaxData+HeaderRoom) + ", or lower body_limit of the event type or http.body_limit"
	switch {
	case most < int64(c.needs.MaxData):
		return []ruleResult{{Error, what + "larger ones are refused with 413 event-too-large", do}}
	case most < int64(c.needs.MaxData+HeaderRoom):
		return []ruleResult{{Warning, what + "the largest are refused with 413 event-too-large because of their headers", do}}
	}
	return fine("takes records of %d bytes; events have at most %d", most, c.needs.MaxData)
}

// policies are the values of cleanup.policy.
func (c topicCheck) policies() []string {
	return strings.Split(strings.ReplaceAll(c.facts.Settings["cleanup.policy"], " ", ""), ",")
}

func (c topicCheck) retention() []ruleResult {
	kept, known := c.facts.Settings.Duration("retention.ms", time.Millisecond)
	if !known || !slices.Contains(c.policies(), "delete") {
		return nil
	}
	need, window := c.kafka.needs.Retention(), c.kafka.needs.KeyWindow
	do := c.set("retention.ms", need.Milliseconds()) + ", or shorten idempotency.ttl"
	var found []ruleResult
	switch {
	case kept < window:
		found = append(found, ruleResult{Error, fmt.Sprintf("records are kept for %s and keys for %s (idempotency.ttl): after %[1]s %[3]s", span(kept), span(window), publishedAgain), do})
	case kept < need:
		found = append(found, ruleResult{Warning, fmt.Sprintf("records are kept for %s, hardly longer than keys (%s): a rebuild that takes long, or a clock that is off, misses events", span(kept), span(window)), do})
	}
	if size, ok := c.facts.Settings.Number("retention.bytes"); ok && size >= 0 {
		found = append(found, ruleResult{
			Warning, fmt.Sprintf("retention.bytes is %d: a partition that gets more than %.0f bytes/s deletes records before %s are over, and then %s",
				size, float64(size)/need.Seconds(), span(need), publishedAgain),
			c.set("retention.bytes", -1) + ", and give the disks room for " + span(need),
		})
	}
	switch {
	case found != nil:
		return found
	case kept == Forever:
		return fine("keeps records forever")
	}
	return fine("keeps records for %s; %s are needed", span(kept), span(need))
}

// deadLetters checks how long people have to see to dead letters.
func (c topicCheck) deadLetters() []ruleResult {
	kept, known := c.facts.Settings.Duration("retention.ms", time.Millisecond)
	if !c.needs.DeadLetters || !known || !slices.Contains(c.policies(), "delete") {
		return nil
	}
	if kept < leastDeadLetterRetention {
		return []ruleResult{{
			Warning, fmt.Sprintf("dead letters are deleted after %s: what nobody has replayed by then is lost", span(kept)),
			c.set("retention.ms", DeadLetterRetention.Milliseconds()),
		}}
	}
	if kept == Forever {
		return fine("dead letters are kept forever")
	}
	return fine("dead letters are kept for %s", span(kept))
}

func (c topicCheck) compaction() []ruleResult {
	policies := c.policies()
	if _, known := c.facts.Settings["cleanup.policy"]; !known {
		return nil
	}
	if !slices.Contains(policies, "compact") && len(c.needs.Tombstones) > 0 {
		return []ruleResult{{
			Warning, fmt.Sprintf("%s may be deleted by key (tombstones), and the topic is not compacted: a record without a value is written, and Kafka removes no older record of the entity because of it", several(c.needs.Tombstones)),
			c.set("cleanup.policy", "compact") + " and " + c.set("min.compaction.lag.ms", c.kafka.needs.Retention().Milliseconds()) + "; or remove \"tombstones\" from x-event",
		}}
	}
	if !slices.Contains(policies, "compact") {
		return fine("not compacted")
	}
	var found []ruleResult
	if len(c.needs.Keyless) > 0 {
		found = append(found, ruleResult{
			Error, fmt.Sprintf("the topic is compacted and takes no records without a key: all events of %s are refused", several(c.needs.Keyless)),
			"give those event types a topic of their own, or a key in x-event; or " + c.set("cleanup.policy", "delete"),
		})
	}
	need := c.kafka.needs.Retention()
	if lag, known := c.facts.Settings.Duration("min.compaction.lag.ms", time.Millisecond); !known || lag < need {
		found = append(found, ruleResult{
			Error, fmt.Sprintf("the topic is compacted after %s (min.compaction.lag.ms) and keys are kept for %s: once a younger event of an entity is there, the older ones may go, and then %s, behind the younger one",
				span(lag), span(c.kafka.needs.KeyWindow), publishedAgain),
			c.set("min.compaction.lag.ms", need.Milliseconds()),
		})
	}
	kept, known := c.facts.Settings.Duration("delete.retention.ms", time.Millisecond)
	if len(c.needs.Tombstones) > 0 && known && kept < leastTombstoneRetention {
		found = append(found, ruleResult{
			Warning, fmt.Sprintf("tombstones may go %s after they were compacted (delete.retention.ms): a consumer that is further behind does not learn of the deletion", span(kept)),
			c.set("delete.retention.ms", leastTombstoneRetention.Milliseconds()),
		})
	}
	if found == nil {
		return fine("compacted, but nothing that is younger than %s", span(need))
	}
	return found
}

// leastTombstoneRetention is Kafka's default for delete.retention.ms: shorter ones let
// consumers miss deletions that they would have seen otherwise.
const leastTombstoneRetention = 24 * time.Hour

// LeastMarkerAge is the bound of a topic's message.timestamp.before.max.ms from which on
// transactions can be trusted to end. A broker holds the marker that ends one to the
// bound, too, by the time at which it made it, a moment before; the coordinator does not
// try a refused marker again (Kafka 4.1), so that the transaction stays open, hides what
// comes after it from consumers, and can neither be committed nor fenced until the
// coordinator moves.
const LeastMarkerAge = 10 * time.Second

func (c topicCheck) timestamps() []ruleResult {
	switch c.facts.Settings["message.timestamp.type"] {
	case "":
		return nil
	case "LogAppendTime":
		return []ruleResult{{
			Warning, "records carry the brokers' time (LogAppendTime), and a recovery read looks for them by the gateways' time: with clocks more than 10 s apart it begins behind a record, and the event is published again",
			c.set("message.timestamp.type", "CreateTime") + ", or keep the clocks of brokers and gateways within 10 s",
		}}
	}
	before, err := strconv.ParseInt(c.facts.Settings["message.timestamp.before.max.ms"], 10, 64)
	if err == nil && c.kafka.facts.Transactions != nil && before < LeastMarkerAge.Milliseconds() {
		return []ruleResult{{
			Error, "message.timestamp.before.max.ms is " + strconv.FormatInt(before, 10) + ": Kafka refuses the marker of a transaction that is older by a moment, and never ends the transaction; events are refused",
			c.set("message.timestamp.before.max.ms", LeastMarkerAge.Milliseconds()),
		}}
	}
	return fine("records carry the gateway's time")
}
