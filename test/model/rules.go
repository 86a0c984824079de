package model

// Rule is one rule of the protocol that a run can leave out.
type Rule uint8

// The rules, each named by what it demands.
const (
	RecoveryRead Rule = iota
	TokenPerAttempt
	TokenPerTakeOver
	FromKept
	PartitionsAdded
	MarkerInClaim
	MarkerInTakeOver
	ReleaseOwn
	ReleaseAfterRead
	UnknownWaits
	CompareWhole
	CompareLease
	EndBeyondWatermark
	EndSentAfterLease
	ClockCheck
	Renewal
	RequestsEndInLease
	RebuildWaits
	RebuildLock
	RebuildReplid
	Fence
	FenceBeforeTakeOver
	FenceOwn
	ClaimStays
	AnswerAfterCommit
	EndBeyondStable
	AbortRetires
	FencedUnknown
	RebuildFencesAll
	ListedFirst
	SettleOwn
	SameProcess
	NeverReplica
	WatchedChange
	BeatWhenReady
	SurvivingBeat
	MovedWhole
	Reassert
	ReassertUnknown
	ReassertNewest
	ReassertLease
	OwnTokenLease
	VoidReplies
	GenerationInClaim
	GenerationFromKafka
	RaisedFirst
	ReadAfterRegistering
	RegisteredFirst
	ConfirmationEnds
	ReadAfterInit
	EndForSilent
	JoinsOfThisRebuild
	IdentityInScript
	WritesTested
	SupersededAt
	EarlyAfterWrite
	EarlyNamesServer
	EarlyNamesGeneration
	ruleCount
)

// Rules is a set of rules.
type Rules uint64

// Only is the set of one rule.
func Only(r Rule) Rules { return 1 << r }

func (rs Rules) has(r Rule) bool { return rs&(1<<r) != 0 }

var ruleNames = [ruleCount]string{
	RecoveryRead:        "a taker reads the log before it publishes",
	TokenPerAttempt:     "a token for every attempt, not one per gateway",
	TokenPerTakeOver:    "a take-over has a token of its own, not that of the attempt's claim",
	FromKept:            "`from` is kept by later owners",
	PartitionsAdded:     "a taker adds its partition, never overwrites",
	MarkerInClaim:       "the claim script tests the marker; nobody looks first and claims then",
	MarkerInTakeOver:    "the take-over script tests the marker too",
	ReleaseOwn:          "a release compares the token",
	ReleaseAfterRead:    "a taker whose read is not complete releases nothing",
	UnknownWaits:        "an unknown claim is taken only after its lease",
	CompareWhole:        "a take-over compares the whole record, not its owner",
	CompareLease:        "the lease end is part of what is compared, besides the token",
	EndBeyondWatermark:  "the high watermark at lease end is not an end of the read",
	EndSentAfterLease:   "an acknowledged record is an end only if it was handed over after the lease",
	ClockCheck:          "an owner looks at its clock before it publishes",
	Renewal:             "a taker renews its lease after the read",
	RequestsEndInLease:  "(assumption) no produce request outlives its lease",
	RebuildWaits:        "a rebuild waits a whole lease before it reads",
	RebuildLock:         "the marker is set only under the rebuild's lock",
	RebuildReplid:       "the marker is set only if the replication id is still the one the rebuild began with",
	Fence:               "the owner's id is fenced before the read",
	FenceBeforeTakeOver: "the fence comes before the compare-and-set",
	FenceOwn:            "one's own id is fenced too, after taking a new one",
	ClaimStays:          "a claim of a fenced producer does not pass to its successor",
	AnswerAfterCommit:   "202 only when the commit has returned",
	EndBeyondStable:     "the last stable offset is not an end of the read",
	AbortRetires:        "an abort with records unacknowledged retires the id",
	FencedUnknown:       "fenced is unknown, not \"not written\"",
	RebuildFencesAll:    "a rebuild fences every id listed in Kafka, not only those in surviving claims",
	ListedFirst:         "an id is listed in Kafka before its first use",
	SettleOwn:           "a settle compares the token, or finds no record",

	SameProcess:          "a changed replication id is no loss only under the marker's run_id",
	NeverReplica:         "a changed replication id is no loss only without a master_replid2",
	WatchedChange:        "a changed replication id is no loss only if this gateway saw the one before less than a backlog's time ago",
	BeatWhenReady:        "a beat is written only where the marker is right",
	SurvivingBeat:        "the read begins at the newest beat that survived, not at the newest acknowledged",
	MovedWhole:           "after its slot has moved, a bucket is rebuilt from the whole window",
	Reassert:             "a gateway re-asserts its claims before it joins a generation",
	ReassertUnknown:      "claims with an unknown outcome are re-asserted too, also after their lease",
	ReassertNewest:       "a re-asserted claim replaces no later one",
	ReassertLease:        "a re-asserted claim gets a lease by the new server's clock, although it survived",
	OwnTokenLease:        "a claim sent again gets a lease by the new server's clock",
	VoidReplies:          "replies to scripts that were sent before the gateway joined are void",
	GenerationInClaim:    "claims and take-overs name the gateway's generation, and the marker must have it",
	GenerationFromKafka:  "a gateway starts with the generation in Kafka, not that of the marker",
	RaisedFirst:          "the generation is raised in Kafka before the registered gateways are listed",
	ReadAfterRegistering: "a gateway reads the generation after it has registered",
	RegisteredFirst:      "a gateway registers in Kafka before its first claim",
	ConfirmationEnds:     "a silent gateway publishes nothing under a generation that it has not confirmed within a lease",
	ReadAfterInit:        "a new producer reads the generation in Kafka after its registration",
	EndForSilent:         "the high watermark is an end of the rebuild's read only if no gateway was silent",
	JoinsOfThisRebuild:   "a join counts for the rebuild whose generation it names",
	WritesTested:         "joins and what the rebuild found are written only under its lock, on the Redis where that was taken",
	SupersededAt:         "where the marker's generation is not the newest, the read begins no later than the next one was raised",
	EarlyAfterWrite:      "claims are taken before the marker is set only once what was read of their topics is written",
	EarlyNamesServer:     "early claims are taken only in the Redis in which the rebuild restored",
	EarlyNamesGeneration: "early claims are taken only from gateways in the rebuild's generation",
	IdentityInScript:     "the script compares the identity; it is not compared in the reply, to undo what was done",
}

func (r Rule) String() string { return ruleNames[r] }
