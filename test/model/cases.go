package model

import "slices"

// Case is a rule left out, with the bounds within which a promise then breaks.
type Case struct {
	Rule   Rule
	Config Config
	// Holds says that no promise breaks without the rule, within the bounds.
	Holds bool
}

// both runs a case under both guarantees.
func both(r Rule, c Config) []Case {
	c.Without = Only(r)
	idempotent, transactional := c, c
	idempotent.Guarantee, transactional.Guarantee = Idempotent, Transactional
	return []Case{{Rule: r, Config: idempotent}, {Rule: r, Config: transactional}}
}

func one(r Rule, g Guarantee, c Config) []Case {
	c.Without, c.Guarantee = Only(r), g
	return []Case{{Rule: r, Config: c}}
}

// bounds of a case: a search for a violation needs no progress check.
func bounds(attempts, faults int, kinds Kinds) Config {
	return Config{Attempts: attempts, Faults: faults, Kinds: kinds, Partitions: 1, SafetyOnly: true}
}

func (c Config) partitions() Config    { c.Partitions = 2; return c }
func (c Config) traffic() Config       { c.Traffic = true; return c }
func (c Config) takeOverFirst() Config { c.Order = TakeOverFirst; return c }

// process are the faults of gateways and of Kafka; the others are those of Redis.
const process = Crash | Timeout | Refusal | LostReply | Truncation

// Cases are all rules left out, one at a time, under each guarantee to which the
// rule applies. With full, rules that make no difference are searched further.
func Cases(full bool) []Case {
	var all []Case
	for _, cases := range [][]Case{breaking(), breakingTakeOverFirst(), breakingMeasured(full), breakingEarly(), unneeded(full)} {
		all = append(all, cases...)
	}
	return all
}

func breaking() []Case {
	return slices.Concat(
		both(RecoveryRead, bounds(2, 0, 0)),
		both(TokenPerAttempt, bounds(2, 0, 0)),
		one(TokenPerTakeOver, Transactional, Config{ // a retry breaks it: progress is checked
			Attempts: 2, Faults: 3, Kinds: LostReply | Failover, Partitions: 1, OneGateway: true,
		}),
		one(CompareWhole, Idempotent, bounds(3, 0, 0)),
		one(CompareLease, Idempotent, bounds(2, 2, LostReply|Flush)),
		both(ReleaseOwn, bounds(3, 1, LostReply|Refusal)),
		both(ReleaseAfterRead, bounds(3, 1, Timeout)),
		both(MarkerInClaim, bounds(2, 1, Flush)),
		both(MarkerInTakeOver, bounds(3, 1, Failover)),
		one(UnknownWaits, Idempotent, bounds(2, 1, Timeout)),
		one(EndBeyondWatermark, Idempotent, bounds(2, 0, 0)),
		one(EndSentAfterLease, Idempotent, bounds(2, 0, 0).traffic()),
		one(ClockCheck, Idempotent, bounds(2, 0, 0)),
		one(RequestsEndInLease, Idempotent, bounds(2, 0, 0)),
		one(Fence, Transactional, bounds(2, 0, 0)),
		one(FenceBeforeTakeOver, Transactional, bounds(3, 0, 0)),
		one(FenceOwn, Transactional, bounds(2, 0, 0)),
		one(ClaimStays, Transactional, bounds(2, 0, 0)),
		one(AnswerAfterCommit, Transactional, bounds(1, 1, Crash)),
		one(EndBeyondStable, Transactional, bounds(2, 0, 0).traffic()),
		one(AbortRetires, Transactional, bounds(2, 1, Refusal)),
		one(FencedUnknown, Transactional, bounds(2, 0, 0)),
		one(RebuildWaits, Idempotent, bounds(2, 1, Flush)),
		one(RebuildFencesAll, Transactional, bounds(2, 1, Flush)),
		one(ListedFirst, Transactional, bounds(2, 1, Flush)),
		both(RebuildLock, bounds(2, 2, Flush)),
		both(RebuildReplid, bounds(2, 2, Flush|Failover)),
	)
}

// breakingTakeFirst are rules that only the order of the design needs.
func breakingTakeOverFirst() []Case {
	return slices.Concat(
		both(FromKept, bounds(3, 0, 0).takeOverFirst()),
		both(PartitionsAdded, bounds(3, 0, 0).partitions().takeOverFirst()),
	)
}

// unneeded are rules without which no promise breaks.
func unneeded(full bool) []Case {
	bounds := func(g Guarantee) Config {
		switch {
		case full:
			return Config{Attempts: 3, Faults: 1, Kinds: AllFaults, Partitions: 1}
		case g == Idempotent:
			return Config{Attempts: 3, Faults: 1, Kinds: process | Flush, Partitions: 1}
		default:
			return Config{Attempts: 2, Faults: 2, Kinds: process | Flush, Partitions: 1}
		}
	}
	var all []Case
	for _, g := range []Guarantee{Idempotent, Transactional} {
		c := bounds(g)
		all = slices.Concat(all,
			one(FromKept, g, c),
			one(PartitionsAdded, g, c.partitions()),
			one(SettleOwn, g, c),
			one(Renewal, g, c.takeOverFirst()),
		)
		if g == Idempotent {
			all = slices.Concat(all, one(TokenPerTakeOver, g, c))
		} else {
			all = slices.Concat(all, one(CompareWhole, g, c), one(CompareLease, g, c))
		}
	}
	for i := range all {
		all[i].Holds = true
	}
	return all
}
