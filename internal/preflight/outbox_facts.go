package preflight

import "time"

// OutboxFacts is what is known about an outbox and its database.
type OutboxFacts struct {
	Name, Table       string
	WAL               bool // its reader follows the write-ahead log
	Slot, Publication string

	Unreachable error   // the database, or its user may not log in
	Unusable    error   // the table
	Failed      []error // questions that failed

	Version       string // of the server
	VersionNumber int    // for example 150004
	WALLevel      string
	// MaxSlotWALKeepSize is "-1" if a slot may keep any amount of the log.
	MaxSlotWALKeepSize       string
	SynchronizedStandbySlots string // from 17 on
	SynchronousStandbys      string

	Trigger       bool  // the one that wakes relays
	SequenceCache int64 // of the numbers of rows; 0: unknown
	MissingTables []string
	MissingGrants []string
	MayReplicate  bool

	Backlog, Dead int64 // rows, at most CountLimit
	CountLimit    int64
	Published     int64         // since the beginning
	Oldest        time.Duration // age of the oldest row

	ActivePID     int32 // of the active relay's connection; 0: none is active
	ActiveAddress string
	ActiveSince   time.Time

	// Holder is the oldest transaction: deleted rows that it may see cannot be removed.
	Holder OutboxHolder

	PublicationProblem error
	SlotExists         bool
	SlotActive         bool
	SlotPID            int32
	WALStatus          string // reserved, extended, unreserved or lost
	RetainedWAL        int64  // bytes that the slot keeps
	SafeWAL            int64  // bytes that may still be written before the slot is lost
	SafeWALKnown       bool
}

// OutboxHolder is a transaction.
type OutboxHolder struct {
	PID                             int32 // 0: none
	User, Application, State, Query string
	Age                             time.Duration
}
