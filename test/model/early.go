package model

import "slices"

// Early claims: a rebuild that has restored all that a type's topics have says so in Redis,
// and claims of the type are taken before the marker is set. The model has one key, so its
// type's topics are all partitions.

// early is, in Redis, what a rebuild has said.
type early struct {
	by  uint8 // the rebuilding gateway + 1; 0 is nobody
	id  uint8 // replication id + 1
	gen uint8 // measured: of its lock
}

// announce is the script that says so, once what was found is written. With the rule left
// out that happens as soon as the rebuild has read.
func (x *expansion) announce(s *State, g int) {
	r := &s.rebuild[g]
	read := r.phase == rebuildMarking || r.phase == rebuildWriting && x.without(EarlyAfterWrite)
	if !x.cfg.EarlyClaims || !read || s.redis.early != (early{}) || s.redis.lock != uint8(g)+1 || r.replid != s.replid {
		return
	}
	n := *s
	n.redis.early = early{by: uint8(g) + 1, id: s.replid + 1, gen: r.gen}
	x.add(stepAnnounce, g, 0, &n)
}

// passesEarly reports whether attempt i's script does its work although the marker is wrong.
func (x *expansion) passesEarly(s *State, i int) bool {
	e := s.redis.early
	switch {
	case e.by == 0, s.redis.lock != 0 && s.redis.lock != e.by:
		return false
	case e.id != s.replid+1 && !x.without(EarlyNamesServer):
		return false
	}
	return !x.cfg.Measured || e.gen == x.genOf(s, i) || x.without(EarlyNamesGeneration)
}

// breakingEarly are the rules of early claims.
func breakingEarly() []Case {
	return slices.Concat(
		both(EarlyAfterWrite, bounds(2, 1, Flush).early()),
		both(EarlyNamesServer, bounds(2, 2, Flush|Failover).early()),
		both(EarlyNamesGeneration, bounds(2, 2, Flush|Failover|Split).measured(0).oneGateway().early()),
	)
}

// earlyRuns are those that must hold with early claims.
func earlyRuns() []Named {
	return []Named{
		{"idempotent, early claims: 3 attempts, any fault", all(Idempotent, 3, 1).early()},
		{"idempotent, early claims: 2 attempts, any 2 faults", all(Idempotent, 2, 2).early()},
		{"transactional, early claims: 2 attempts, any 2 faults", all(Transactional, 2, 2).early()},
		{"idempotent, measured, early claims: 2 attempts, any fault, no return", only(everyFault&^Return, all(Idempotent, 2, 1).measured(0).early())},
		{"idempotent, measured, early claims: 2 attempts, 2 faults of Redis, a beat, one gateway", only(loss&^(Split|Return), all(Idempotent, 2, 2).measured(1).oneGateway().early())},
		{"transactional, measured, early claims: 2 attempts, a failover, split or return, one gateway", only(Failover|Split|Return, all(Transactional, 2, 1).measured(1).oneGateway().early())},
	}
}
