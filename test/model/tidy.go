package model

// tidy clears fields that can no longer matter, so that states that differ only in
// those become one.
func (x *expansion) tidy(s *State) {
	for i := range s.att {
		x.tidyAttempt(s, &s.att[i])
	}
	x.tidyLeases(s)
	for g := range s.rebuild {
		s.rebuild[g].tidy()
		if s.rebuild[g].phase != rebuildReading {
			s.rebuild[g].silent = 0
		}
		if s.rebuild[g].phase != rebuildReading {
			s.traffic.after &^= afterWait(g)
		}
	}
	if x.tx {
		s.traffic.after = 0
	}
	if x.cfg.Measured {
		s.tidyRaised()
	}
	for g := range s.gw {
		if x.tx || x.without(CompareWhole) {
			s.tidyProducers(uint8(g))
		} else {
			s.gw[g] = gateway{}
		}
	}
}

func (x *expansion) tidyAttempt(s *State, a *attempt) {
	if a.phase == idle {
		return
	}
	if a.phase != reading {
		a.readEnd = [maxPartitions]uint8{}
	}
	switch a.phase {
	case fencing, reading, takingOver, renewing:
		if !x.without(FromKept) {
			a.from = [maxPartitions]uint8{}
		}
	case owning, waiting:
		a.found = claim{}
		if !x.cfg.Measured {
			a.from = [maxPartitions]uint8{}
		}
		if a.readDone == 1 { // as good as a first owner
			a.readDone, a.tookOver = 0, 0
		}
	case done:
		x.tidyDone(s, a)
	}
	if !x.tx && !x.without(CompareWhole) {
		a.inc = 0
	}
}

func (x *expansion) tidyDone(s *State, a *attempt) {
	if a.delayed == notDelayed {
		a.gen = 0
		if !x.cfg.Measured || !a.unsettled() {
			a.token, a.parts, a.order = 0, 0, 0
			a.from = [maxPartitions]uint8{}
		}
	}
	if !a.underWay() {
		a.crashed = 0
	}
	if a.delayed != delayedTakeOver {
		a.found = claim{}
	}
	a.readDone, a.tookOver = 0, 0
	if a.settlement == noSettlement {
		a.settleToken, a.settleAt = 0, 0
	}
	if a.settlement == noSettlement && a.delayed == notDelayed && (a.record == nowhere || a.record == committed) {
		a.gateway, a.inc, a.part = 0, 0, 0
	}
	switch a.answer { // clear what can no longer turn out wrong
	case unknown:
		a.answer = noAnswer
	case notWritten:
		if a.record == nowhere {
			a.answer = noAnswer
		}
	case accepted:
		if s.att[a.at].record == committed {
			a.answer, a.at = noAnswer, 0
		}
	}
}

// tidyLeases clears the leases that nobody can ask about.
func (x *expansion) tidyLeases(s *State) {
	var asked, named uint8
	ask := func(c *claim) {
		if c.state == claimed || c.state == markedUnknown && !x.tx {
			asked |= 1 << c.attempt
		}
		if c.held() {
			named |= 1 << c.attempt
		}
	}
	ask(&s.redis.claim)
	ask(&s.replica.claim)
	ask(&s.loss.old.claim)
	for i := range s.att {
		a := &s.att[i]
		writes := a.tookOver == 1 || a.phase == owning || a.phase == waiting || a.phase == hearing || a.record == inFlight || a.record == appended
		if !x.tx && writes {
			asked |= 1 << i
		}
		if !x.tx && x.cfg.Traffic {
			ask(&a.found)
		} else if a.found.held() {
			named |= 1 << a.found.attempt
		}
	}
	for i := range s.att {
		if !has(asked, uint8(i)) {
			s.att[i].lease = noLease
		}
		if !has(asked|named, uint8(i)) {
			s.att[i].terms = 0
		}
	}
	for g := range s.rebuild {
		s.rebuild[g].leases &= asked
	}
}

// tidyRaised clears the places of generations that every marker has reached.
func (s *State) tidyRaised() {
	oldest := s.loss.generation
	for _, r := range []*redis{&s.redis, &s.replica, &s.loss.old} {
		if r.marker != 0 {
			oldest = min(oldest, r.ready.gen)
		}
	}
	for gen := range oldest + 1 {
		s.loss.raised[gen] = [maxPartitions]uint8{}
	}
}

func (r *rebuild) tidy() {
	if x := r.phase; x != rebuildLocked && x != rebuildReading && x != rebuildRaised && x != rebuildGathering {
		r.leases = 0
	}
	if r.phase != rebuildListed {
		r.listed = [gateways]uint8{}
	}
	if r.phase != rebuildReading {
		r.end = [maxPartitions]uint8{}
	}
	if r.phase != rebuildWriting {
		r.found = 0
	}
	if r.phase == rebuildWriting || r.phase == rebuildMarking {
		r.from = [maxPartitions]uint8{}
	}
}

// tidyProducers renumbers the producers of gateway g, without those that
// nobody names and that have nothing in flight.
func (s *State) tidyProducers(g uint8) {
	gw := &s.gw[g]
	named, busy := s.producersOf(g)
	named |= 1 << gw.inc
	unused := ^busy &^ (1 << gw.inc)
	gw.fenced |= unused
	gw.open &^= unused
	gw.finishing &^= unused
	if named == 2<<gw.inc-1 {
		mask := named
		gw.fenced &= mask
		return
	}
	var to [8]uint8
	next, base := uint8(0), uint8(0)
	old := *gw
	gw.fenced, gw.open, gw.finishing = 0, 0, 0
	var listed [gateways]uint8
	for inc := range old.inc + 1 {
		if inc == old.base {
			base = next
		}
		if !has(named, inc) {
			continue
		}
		to[inc] = next
		move := func(dst *uint8, src uint8) { *dst |= src >> inc & 1 << next }
		move(&gw.fenced, old.fenced)
		move(&gw.open, old.open)
		move(&gw.finishing, old.finishing)
		for r := range s.rebuild {
			move(&listed[r], s.rebuild[r].listed[g])
		}
		next++
	}
	gw.inc, gw.base = to[old.inc], base
	for r := range s.rebuild {
		s.rebuild[r].listed[g] = listed[r]
	}
	s.eachOwner(g, func(owner *uint8) {
		_, inc := ownerGateway(*owner)
		*owner = ownerOf(g, to[inc])
	})
	for i := range s.att {
		if a := &s.att[i]; a.gateway == g && a.names() {
			a.inc = to[a.inc]
		}
	}
}

// names reports whether the attempt's producer still matters.
func (a *attempt) names() bool {
	return a.phase != idle && (a.phase != done || a.settlement != noSettlement || a.delayed != notDelayed ||
		a.record != nowhere && a.record != committed)
}

// producersOf are the producers of gateway g that are named anywhere, and those
// that have something in flight.
func (s *State) producersOf(g uint8) (named, busy uint8) {
	s.eachOwner(g, func(owner *uint8) {
		_, inc := ownerGateway(*owner)
		named |= 1 << inc
	})
	for i := range s.att {
		a := &s.att[i]
		if a.gateway != g || !a.names() {
			continue
		}
		named |= 1 << a.inc
		if a.phase == waiting || a.record != nowhere && a.record != committed {
			busy |= 1 << a.inc
		}
	}
	return named, busy
}

func (s *State) eachOwner(g uint8, fn func(*uint8)) {
	visit := func(c *claim) {
		if c.held() && c.owner != 0 {
			if o, _ := ownerGateway(c.owner); o == g {
				fn(&c.owner)
			}
		}
	}
	visit(&s.redis.claim)
	visit(&s.replica.claim)
	visit(&s.loss.old.claim)
	for i := range s.att {
		visit(&s.att[i].found)
	}
}
