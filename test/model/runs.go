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
	if !full {
		return runs
	}
	return append(runs,
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

func all(g Guarantee, attempts, faults int) Config {
	return Config{Guarantee: g, Attempts: attempts, Faults: faults, Kinds: AllFaults, Partitions: 1}
}

func only(kinds Kinds, c Config) Config { c.Kinds = kinds; return c }

func alone(c Config) Config { c.LeaderAlone = true; return c }
