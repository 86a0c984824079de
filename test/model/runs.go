package model

// Named is a run with all rules in force.
type Named struct {
	Name   string
	Config Config
}

// Runs are those that must hold. The full ones take minutes and some GB.
func Runs(full bool) []Named {
	runs := []Named{
		{"idempotent: 3 attempts, any fault", all(Idempotent, 3, 1)},
		{"idempotent: 3 attempts, 2 faults of gateways and Kafka", only(process, all(Idempotent, 3, 2))},
		{"idempotent: 2 attempts, any 2 faults, 2 partitions", all(Idempotent, 2, 2).partitions()},
		{"idempotent: 2 attempts, any 2 faults, other traffic", all(Idempotent, 2, 2).traffic()},
		{"idempotent: 2 attempts, any fault, 2 partitions, other traffic", all(Idempotent, 2, 1).partitions().traffic()},
		{"idempotent: 2 attempts, any 2 faults, a leader without followers", alone(all(Idempotent, 2, 2))},
		{"idempotent, taking first: 3 attempts, any fault", all(Idempotent, 3, 1).takeOverFirst()},
		{"transactional: 3 attempts, a fault of gateways or Kafka", only(process, all(Transactional, 3, 1))},
		{"transactional: 2 attempts, any 2 faults", all(Transactional, 2, 2)},
		{"transactional: 2 attempts, any fault, 2 partitions", all(Transactional, 2, 1).partitions()},
		{"transactional: 2 attempts, any fault, other traffic", all(Transactional, 2, 1).traffic()},
		{"transactional, taking first: 2 attempts, 2 faults, no failover", only(AllFaults&^Failover, all(Transactional, 2, 2).takeOverFirst())},
	}
	runs = append(append(runs, measuredRuns()...), earlyRuns()...)
	if !full {
		return runs
	}
	return append(append(runs, measuredFullRuns()...),
		Named{"idempotent: 3 attempts, any 2 faults", all(Idempotent, 3, 2)},
		Named{"idempotent: 3 attempts, any fault, 2 partitions, other traffic", all(Idempotent, 3, 1).partitions().traffic()},
		Named{"idempotent: 2 attempts, any 3 faults", all(Idempotent, 2, 3)},
		Named{"idempotent: 3 attempts, any 3 faults", all(Idempotent, 3, 3)},
		Named{"transactional: 3 attempts, any fault", all(Transactional, 3, 1)},
		Named{"transactional: 2 attempts, any 3 faults", all(Transactional, 2, 3)},
		Named{"transactional: 3 attempts, any fault, 2 partitions", all(Transactional, 3, 1).partitions()},
		Named{"transactional: 3 attempts, any fault, other traffic", all(Transactional, 3, 1).traffic()},
		Named{"transactional: 3 attempts, 2 faults of gateways and Kafka", only(process, all(Transactional, 3, 2))},
	)
}

// measuredRuns are those of the proposed handling of losses.
func measuredRuns() []Named {
	return []Named{
		{"idempotent, measured: 2 attempts, any fault, no return", only(everyFault&^Return, all(Idempotent, 2, 1).measured(0))},
		{"idempotent, measured: 2 attempts, a fault of Redis, a beat, late replies", only(loss, all(Idempotent, 2, 1).measured(1).lateReplies())},
		{"idempotent, measured: 2 attempts, 2 faults of Redis, a beat, one gateway", only(loss&^(Split|Return), all(Idempotent, 2, 2).measured(1).oneGateway())},
		{"idempotent, measured, process-bound: 2 attempts, a fault of Redis", only(loss, all(Idempotent, 2, 1).measured(0).processBound())},
		{"transactional, measured: 2 attempts, any fault, no split", only(everyFault&^(Split|Return), all(Transactional, 2, 1).measured(0))},
		{"transactional, measured: 2 attempts, a failover, split or return, one gateway", only(Failover|Split|Return, all(Transactional, 2, 1).measured(1).oneGateway())},
	}
}

func measuredFullRuns() []Named {
	return []Named{
		{"idempotent, measured: 2 attempts, any fault, a beat, late replies", only(everyFault, all(Idempotent, 2, 1).measured(1).lateReplies())},
		{"idempotent, measured, process-bound: 2 attempts, any fault", only(everyFault, all(Idempotent, 2, 1).measured(0).processBound())},
		{"idempotent, measured: 2 attempts, 2 failovers, split", only(Failover|Split, all(Idempotent, 2, 2).measured(0))},
		{"idempotent, measured: 2 attempts, 2 of FLUSHALL, failover, crash", only(Flush|Failover|Crash, all(Idempotent, 2, 2).measured(0))},
		{"idempotent, measured: 2 attempts, 2 failovers, split, return, one gateway", only(Failover|Split|Return, all(Idempotent, 2, 2).measured(0).oneGateway())},
		{"transactional, measured: 2 attempts, any fault, a beat", only(everyFault, all(Transactional, 2, 1).measured(1))},
		{"transactional, measured: 3 attempts, FLUSHALL or failover, one gateway", only(Flush|Failover, all(Transactional, 3, 1).measured(0).oneGateway())},
	}
}

func all(g Guarantee, attempts, faults int) Config {
	return Config{Guarantee: g, Attempts: attempts, Faults: faults, Kinds: AllFaults, Partitions: 1}
}

func only(kinds Kinds, c Config) Config { c.Kinds = kinds; return c }

func alone(c Config) Config { c.LeaderAlone = true; return c }
