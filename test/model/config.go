package model

// Guarantee is the switch kafka.guarantee.
type Guarantee uint8

// The two guarantees of design section 7.
const (
	Idempotent Guarantee = iota
	Transactional
)

// Order says when a taker does its recovery read.
type Order uint8

const (
	// ReadFirst is the implemented order: read, compare-and-set, publish.
	ReadFirst Order = iota
	// TakeOverFirst is the order of design section 7, rules 6 and 7:
	// compare-and-set, read, renew the lease by compare-and-set, publish.
	TakeOverFirst
)

// Kinds are the faults that a run may contain.
type Kinds uint16

// Each fault takes one from the run's budget whenever it happens.
const (
	Crash      Kinds = 1 << iota // kill -9 of a gateway, which starts again as a new incarnation
	Timeout                      // an attempt stops waiting for its acknowledgement, or a recovery read gives up
	Refusal                      // a produce that surely wrote nothing; in transactional mode the gateway's own abort
	LostReply                    // the reply of a claim or of a take-over is lost: sent again, or given up and maybe run later
	Flush                        // FLUSHALL
	Failover                     // a replica that missed the newest writes is promoted
	Truncation                   // a new partition leader lacks what was above the high watermark
	Suspicion                    // a rebuilding gateway seems to be gone, and another steals its lock
	AllFaults  Kinds = 1<<iota - 1
)

// Faults of Redis in runs with [Config.Measured] only.
const (
	Change Kinds = (AllFaults + 1) << iota // another replication id, and nothing is lost: a backup, an expired backlog
	Split                                  // no fault of its own: a promotion may leave the old master up, and both take writes
	Return                                 // no fault of its own: the old master comes back with what it had, in the place of its successor
	Move                                   // a slot moved key by key to another server, which then lost one of them
)

// Config bounds a run.
type Config struct {
	Guarantee Guarantee
	Order     Order
	Attempts  int   // of the one client, 1 to 3, overlapping as they like
	Faults    int   // at most so many in a run
	Kinds     Kinds // and only of these
	// Partitions is 1, or 2 if later attempts may be placed on another
	// partition than the first, because the topic was given one more.
	Partitions int
	// LeaderAlone keeps the high watermark at the log's end. Otherwise it lags.
	LeaderAlone bool
	// Traffic lets another client produce a record to partition 0. In
	// transactional mode it is another producer's open transaction.
	Traffic bool
	// Measured runs the proposed handling of losses (measured.go) instead of the
	// implemented one (rebuild.go).
	Measured bool
	// Beats is how many beats the writer of beats may write.
	Beats int
	// LateReplies lets the reply of a claim or a take-over arrive later than the script ran.
	LateReplies bool
	// ProcessBound is for a Redis that refuses INFO in scripts: they run only in the process
	// that the marker names, because their text is unknown to every other, but they do not
	// see the replication id.
	ProcessBound bool
	// EarlyClaims lets a rebuild take claims before it sets the marker (early.go).
	EarlyClaims bool
	// Without are the rules left out.
	Without Rules
	// OneGateway leaves the second gateway idle.
	OneGateway bool
	// SafetyOnly skips the progress check.
	SafetyOnly bool
	// untidy keeps states apart that differ only in fields that no longer matter.
	untidy bool
}

// procedure lists a taker's phases between finding an abandoned claim and holding
// it.
func (c *Config) procedure() []uint8 {
	var steps []uint8
	add := func(phase uint8, leftOut ...Rule) {
		for _, r := range leftOut {
			if c.Without.has(r) {
				return
			}
		}
		steps = append(steps, phase)
	}
	tx := c.Guarantee == Transactional
	if tx && !c.Without.has(FenceBeforeTakeOver) {
		add(fencing, Fence)
	}
	if c.Order == ReadFirst && (!tx || !c.Without.has(FenceBeforeTakeOver)) {
		add(reading, RecoveryRead)
		add(takingOver)
		return steps
	}
	add(takingOver)
	if tx && c.Without.has(FenceBeforeTakeOver) {
		add(fencing, Fence)
	}
	add(reading, RecoveryRead)
	if c.Order == TakeOverFirst {
		add(renewing, Renewal)
	}
	return steps
}

// Words names the guarantee, and the order unless it is the implemented one.
func (c Config) Words() string {
	words := "idempotent"
	if c.Guarantee == Transactional {
		words = "transactional"
	}
	if c.Order == TakeOverFirst {
		words += ", taking first"
	}
	if c.Measured {
		words += ", measured"
	}
	if c.EarlyClaims {
		words += ", early claims"
	}
	return words
}
