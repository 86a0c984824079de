package event

// Headers that a dead letter of a subscription has beside the record's own. Those of an
// earlier round are replaced.
const (
	DeadPrefix       = "gw_dead_"
	DeadSubscription = DeadPrefix + "subscription"
	DeadTopic        = DeadPrefix + "topic"
	DeadPartition    = DeadPrefix + "partition"
	DeadOffset       = DeadPrefix + "offset"
	DeadTimestamp    = DeadPrefix + "timestamp" // of the record; RFC 3339
	DeadReason       = DeadPrefix + "reason"
	DeadClass        = DeadPrefix + "class" // of the last attempt
	DeadStatus       = DeadPrefix + "status"
	DeadAttempts     = DeadPrefix + "attempts"
	DeadFirst        = DeadPrefix + "first_failure" // RFC 3339
	DeadTime         = DeadPrefix + "time"          // RFC 3339
	DeadRounds       = DeadPrefix + "rounds"        // how often it became a dead letter
)

// Headers of a copy of a dead letter that was replayed. A copy for one subscription also
// keeps DeadTopic, DeadPartition, DeadOffset and DeadTimestamp: where the event is from.
const (
	ReplayPrefix = "gw_replay_"
	ReplayOf     = ReplayPrefix + "of"   // the dead letter, as topic/partition/offset
	ReplayTime   = ReplayPrefix + "time" // RFC 3339
)
