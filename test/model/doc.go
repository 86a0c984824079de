// Package model is a small executable model of the idempotency protocol
// (design section 7): a breadth-first search through all states that two
// gateways, one Redis, one Kafka partition (or two) and one client that sends
// one key up to three times can reach. It prints the shortest way to a broken
// promise, or says that there is none within its bounds.
//
// The promises (promises.go):
//
//  1. an event that was answered 202 has a record in the log, at the place of the
//     receipt, for good (acknowledged, or in a committed transaction);
//  2. consumers never see two records of one claim; all receipts are therefore
//     equal;
//  3. the record of an attempt that was answered "not written" is never seen;
//  4. a settled claim names a record in the log;
//  5. progress: from a state in which only a client can cause the next step, a
//     client that retries at either gateway gets its 202 within four tries (six if
//     measured), and no promise breaks on the way.
//
// # What is modelled
//
// Each line is one file.
//
//   - attempt.go: claim, take-over and renewal, each one script in Redis; lost
//     replies of the first two: sent again by the client library, or given up by
//     the gateway while the script may run later; settlements queued behind the
//     answer, and lost with the gateway;
//   - publish.go: publishing, late append, high watermark behind the log's end,
//     leader change, refusals, lost acknowledgements, leases that end;
//   - transactions.go: one transaction at a time per producer, its commit
//     request in progress, fences, aborts, records that come after an abort;
//   - recovery.go: where a recovery read may end;
//   - rebuild.go: rule 8, for one bucket, by both gateways at once;
//   - faults.go: kill -9 and start again, FLUSHALL, and a replica that missed
//     the newest writes and is promoted under a new replication id.
//
// Runs with [Config.Measured] have the proposed handling of losses instead of rebuild.go
// (docs/adr/0021):
//
//   - loss.go: what Redis stores for it, beats, changes without a loss, servers that are
//     promoted, restarted, split or come back with what they had;
//   - generation.go: registrations and generations in Kafka; gateways that join a
//     generation and re-assert their claims;
//   - measured.go: the rebuild; cases_measured.go: its rules, left out one at a time.
//
// There, a lease that was written by another server's clock may seem over at any time. A
// place in the log stands for a gateway's clock, as everywhere: clock differences are the
// margin of the read. One bucket stands for a whole server, so its beat covers it alone.
//
// A paused gateway needs no step: any step may come arbitrarily late. A lease
// may end at any time, but see the first assumption.
//
// rules.go lists the rules that a run can leave out, cases.go the bounds within
// which that shows, runs.go the runs that must hold with all rules in force.
// Two orders can be run: [ReadFirst], which is implemented, and [TakeOverFirst],
// which is the design's.
//
// # Assumptions
//
//   - Idempotent: no produce request outlives the lease that it was sent under.
//     [RequestsEndInLease] leaves that out, and a duplicate follows.
//   - The clock margin of the read covers the differences between the gateways'
//     clocks: `from` is a place in the log.
//   - The texts of two claims of one attempt differ by their lease ends: a claim
//     that the client library sends again may succeed a second time, after a
//     flush. [CompareLease] leaves that out.
//   - "Caught up" holds: replica.lag.time.max.ms after the lease end, the high
//     watermark is beyond everything that was in the leader's log at that time.
//   - Kafka keeps its guarantees: no unclean election; a fence that has returned has
//     resolved the transaction, markers replicated; a record that reaches the
//     broker outside a transaction is refused (Kafka 3.6 and later); an ended
//     epoch writes nothing.
//   - Redis: a promoted replica holds a prefix of its master's writes, and, unless
//     measured, the old master takes no more of them (min-replicas-to-write); scripts
//     are atomic.
//   - Measured: a process that was a replica keeps its master_replid2 for longer than a
//     gateway trusts what it last saw; with [Config.ProcessBound], no process is master
//     twice without a gateway seeing the other in between.
//
// # What is left out
//
// Several keys and the batches of scripts they share, other clients' claims,
// buckets other than the key's, fingerprints, expiry of claims and of the log,
// clocks and their skew, Redis Cluster resharding, the local memory of recent
// receipts, `on_store_failure: publish`, and a fence that times out. A read is
// complete in one step: by then, the records that it looks for no longer change. A
// gateway joins in one step too, and a rebuild reads the whole log at once.
//
// # How
//
// A [State] is about 300 bytes, without pointers. States are recognised by a
// 64-bit hash; only the two levels at the front are kept whole. A trace is
// rebuilt from the choices that led to it. Fields that can no longer matter are
// cleared (tidy.go); a test compares searches with and without that. Nothing outside the standard library is used, and nothing of
// internal/: the model is read beside the code, not compiled with it.
package model
