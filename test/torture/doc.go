// Package torture runs real gateways on real Kafka and Redis, breaks them at
// random, and reads the whole log to see whether the promise held.
//
// One run ([Run]): servers and proxies are started; clients post events, each
// order of an entity after the 2xx of the one before, and repeat with the same
// key until a final answer; a scheduler injects faults that follow from the
// seed; at the end everything is healed, the clients finish, the gateways stop,
// and [Check] holds the history against the log:
//
//	(a) every 2xx is in the log where its receipt says
//	(b) no gw_claim is there twice
//	(c) a key whose every answer was not-written is not there
//	(d) events of one entity are in the order in which they were posted
//	(e) every replayed receipt equals the first
//	(f) after the faults stop, service is back within 30 s without help
//	(g) no answer is outside the contract, and no gateway panics or races
//
// Rule (b) holds in the idempotent guarantee as long as no produce request
// outlives the lease. Faults that may break that assumption (bytes, brokers or
// gateways that stand still for longer) are injected in transactional runs only.
//
// Invariants:
//
//   - The n-th fault follows from the seed and n alone. What the faults hit in
//     that moment does not: a seed repeats the schedule, not the interleaving.
//   - The checker reads through a listener of its own, past every proxy.
//   - All children die with this process.
//
// Linux only. It imports test/services and internal/crash, which names the
// points where a gateway may die, and no other package of this module.
package torture
