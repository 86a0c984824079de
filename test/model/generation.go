package model

// generations adds gateway g's steps in Kafka: it registers, and reads the generation.
func (x *expansion) generations(s *State, g int) {
	l := &s.loss
	if !s.wantsGeneration(g) {
		return
	}
	listed := has(l.registered, uint8(g))
	if !listed && (!x.without(ReadAfterRegistering) || l.early[g] != 0) {
		n := *s
		n.loss.registered |= 1 << g
		if x.without(ReadAfterRegistering) {
			n.loss.gen[g], n.loss.early[g] = l.early[g], 0
		}
		x.add(stepRegister, g, 0, &n)
	}
	newest := l.generation
	if x.without(GenerationFromKafka) {
		newest = s.redis.ready.gen
		if s.redis.marker == 0 || l.gen[g] != noGeneration && newest < l.gen[g] {
			newest = l.generation
		}
	}
	switch {
	case !listed && x.without(ReadAfterRegistering):
		if l.early[g] == 0 {
			n := *s
			n.loss.early[g] = newest
			x.add(stepReadGeneration, g, int(newest), &n)
		}
	case l.gen[g] != newest && (listed || x.without(RegisteredFirst)):
		n := *s
		n.leaveGeneration(g, x)
		n.loss.gen[g] = newest
		if inc := n.gw[g].inc; x.tx && has(n.gw[g].fenced, inc) {
			n.gw[g].inc++ // a generation began that it did not join: its producer was fenced
		}
		x.add(stepReadGeneration, g, int(newest), &n)
	}
}

// wantsGeneration reports whether gateway g has anything to do with it.
func (s *State) wantsGeneration(g int) bool {
	for i := range s.att {
		a := &s.att[i]
		if a.gateway != uint8(g) || a.crashed == 1 {
			continue
		}
		switch a.phase {
		case begun, looked, hearing, fencing, reading, takingOver:
			return true
		}
	}
	return false
}

// leaveGeneration makes the replies under way worthless.
func (s *State) leaveGeneration(g int, x *expansion) {
	if x.without(VoidReplies) {
		return
	}
	for i := range s.att {
		if a := &s.att[i]; a.gateway == uint8(g) && a.phase == hearing {
			a.void = 1
		}
	}
}

// join moves gateway g to the generation of the rebuild that holds the lock. It is one
// script per bucket, which re-asserts the gateway's claims there.
func (x *expansion) join(s *State, g int) {
	r := &s.redis
	if r.lock == 0 || r.ready.lockGen == 0 || has(r.ready.joined, uint8(g)) || !has(s.loss.registered, uint8(g)) {
		return
	}
	b := &s.rebuild[r.lock-1]
	if b.phase != rebuildGathering || b.gen != r.ready.lockGen || b.replid != s.replid && !x.without(WritesTested) {
		return
	}
	n := *s
	n.redis.ready.joined |= 1 << g
	n.leaveGeneration(g, x)
	n.loss.gen[g] = r.ready.lockGen
	n.loss.watched |= 1 << g
	if !x.without(Reassert) {
		for i := range n.att {
			x.reassert(&n, i, g)
		}
	}
	x.add(stepJoin, g, 0, &n)
}

// reassert writes attempt i's claim to the Redis that may have lost it.
func (x *expansion) reassert(s *State, i, g int) {
	a, r := &s.att[i], &s.redis.claim
	if a.gateway != uint8(g) || !a.unsettled() || a.phase == hearing {
		return
	}
	if a.phase == done && x.without(ReassertUnknown) && a.lease != leaseRunning {
		return
	}
	switch {
	case r.state == settled:
		return
	case r.held() && r.token == a.token && x.without(ReassertLease):
		return
	case r.held() && r.order > a.order && !x.without(ReassertNewest):
		return
	}
	if a.lease == noLease { // nobody could ask about it until now
		a.lease = leaseRunning
	}
	a.terms++
	*r = claim{
		state: claimed, token: a.token, attempt: uint8(i), owner: ownerOf(a.gateway, a.inc),
		from: a.from, parts: a.parts, term: a.terms, run: s.loss.server.run, order: a.order,
	}
	if a.phase == done {
		r.state = markedUnknown
	}
}

// unsettled reports whether the attempt holds a claim under which a record may yet come
// into the log, as far as its living gateway knows.
func (a *attempt) unsettled() bool {
	if a.crashed == 1 {
		return false
	}
	switch a.phase {
	case owning, waiting, hearing:
		return true
	case done:
		return a.underWay()
	}
	return false
}

func (a *attempt) underWay() bool {
	return a.record == inFlight || a.record == late || a.record == appended
}
