package model

// crash kills gateway g, which starts again at once. What it had sent to Kafka
// stays in flight; what it had queued for Redis is gone.
func (x *expansion) crash(s *State, g int) {
	if !x.faulty(s, Crash) || !s.busy(g) {
		return
	}
	n := *s
	for i := range n.att {
		a := &n.att[i]
		if a.phase == idle || a.gateway != uint8(g) {
			continue
		}
		a.settlement = noSettlement
		a.phase = done
		if x.cfg.Measured {
			a.crashed = 1
		}
	}
	if x.cfg.Measured {
		if l := &n.loss; has(l.registered, uint8(g)) {
			l.registered &^= 1 << g
			l.registered |= crashedBit(g)
		}
		n.crashListed(g)
		n.loss.gen[g], n.loss.early[g] = noGeneration, 0
		n.loss.watched &^= 1 << g
	}
	n.gw[g].inc++
	n.gw[g].base = n.gw[g].inc
	n.rebuild[g] = rebuild{}
	x.add(stepCrash, g, 0, &n)
}

// busy reports whether a crash of gateway g would change anything.
func (s *State) busy(g int) bool {
	if s.rebuild[g].phase != rebuildIdle {
		return true
	}
	for i := range s.att {
		a := &s.att[i]
		if s.loss.generation != 0 && a.gateway == uint8(g) && a.unsettled() {
			return true
		}
		if a.gateway == uint8(g) && (a.phase != idle && a.phase != done || a.settlement != noSettlement) {
			return true
		}
	}
	return false
}

// redisFaults adds the faults of Redis. A flush keeps the replication id, a
// promotion changes it. The old master accepts no more writes, because of
// min-replicas-to-write.
func (x *expansion) redisFaults(s *State) {
	if x.faulty(s, Flush) && s.redis != (redis{}) {
		n := *s
		n.redis = redis{}
		x.add(stepFlush, 0, 0, &n)
	}
	if s.stalled == 0 && x.faulty(s, Failover) {
		n := *s
		n.replica, n.stalled = s.redis, 1
		x.add(stepStall, 0, 0, &n)
	}
	if s.stalled == 1 && !x.quiet {
		n := *s
		n.redis, n.replica, n.stalled = s.replica, redis{}, 0
		n.replid++
		x.add(stepPromote, 0, 0, &n)
	}
}
