package model

import "slices"

// loss are the faults of Redis in measured runs.
const loss = Flush | Failover | Change | Split | Return | Move

// everyFault are all faults of measured runs.
const everyFault = AllFaults | loss

func (c Config) measured(beats int) Config { c.Measured, c.Beats = true, beats; return c }
func (c Config) lateReplies() Config       { c.LateReplies = true; return c }
func (c Config) processBound() Config      { c.ProcessBound = true; return c }
func (c Config) early() Config             { c.EarlyClaims = true; return c }
func (c Config) oneGateway() Config        { c.OneGateway = true; return c }

// breakingMeasured are the rules of the proposed handling of losses.
// With full, those that take millions of states are among them.
func breakingMeasured(full bool) []Case {
	// One gateway is enough for most of them, and its search is shorter.
	single := func(attempts, faults int, kinds Kinds, beats int) Config {
		return bounds(attempts, faults, kinds).measured(beats).oneGateway()
	}
	pair := func(attempts, faults int, kinds Kinds) Config { return bounds(attempts, faults, kinds).measured(0) }
	cases := slices.Concat(
		both(MarkerInClaim, single(2, 1, Flush, 0)),
		one(MarkerInTakeOver, Idempotent, single(3, 1, Failover, 0)),
		both(RebuildLock, single(2, 2, Flush, 0)),
		one(RebuildReplid, Idempotent, single(2, 2, Flush|Failover, 0)),
		one(RebuildWaits, Idempotent, pair(2, 1, Flush)),
		one(RebuildFencesAll, Transactional, pair(2, 1, Flush)),
		both(SameProcess, single(2, 1, Failover, 0)),
		both(NeverReplica, single(2, 2, Failover, 0)),
		one(WatchedChange, Idempotent, single(2, 3, Failover|Change, 0)),
		both(BeatWhenReady, single(2, 1, Failover, 1)),
		both(SurvivingBeat, single(2, 1, Failover, 1)),
		both(MovedWhole, single(2, 1, Move, 1)),
		both(Reassert, single(2, 1, Flush, 0)),
		both(ReassertUnknown, single(2, 2, Flush|Timeout, 0)),
		both(ReassertNewest, single(3, 1, Flush, 0)),
		one(ReassertLease, Idempotent, single(2, 1, Failover, 0)),
		one(OwnTokenLease, Idempotent, single(2, 2, Failover|LostReply, 0)),
		both(VoidReplies, single(2, 1, Flush, 0).lateReplies()),
		both(GenerationInClaim, single(2, 1, Failover|Split, 0)),
		both(GenerationFromKafka, pair(2, 1, Failover|Return)),
		both(RaisedFirst, pair(2, 1, Failover|Split)),
		both(ReadAfterRegistering, pair(2, 1, Failover|Split)),
		both(RegisteredFirst, pair(2, 1, Flush)),
		one(ConfirmationEnds, Idempotent, pair(2, 1, Failover|Split)),
		one(EndForSilent, Idempotent, pair(2, 1, Flush)),
		one(WritesTested, Idempotent, single(2, 2, Failover|Return, 0)),
		both(JoinsOfThisRebuild, single(2, 2, Failover, 0)),
		both(IdentityInScript, Config{ // a retry breaks it: progress is checked
			Attempts: 2, Faults: 1, Kinds: Move, Partitions: 1,
		}.measured(0).oneGateway()),
	)
	if !full {
		return cases
	}
	return slices.Concat(cases,
		one(ReadAfterInit, Transactional, pair(3, 1, Failover|Split)),
		one(SupersededAt, Transactional, Config{ // a retry breaks it: progress is checked
			Attempts: 2, Faults: 1, Kinds: Failover | Return, Partitions: 1,
		}.measured(1)),
	)
}
