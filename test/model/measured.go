package model

// Phases of a measured rebuild, beside those of rebuild.go.
const (
	rebuildRaised    uint8 = 16 + iota // the generation is raised, or with the rule left out the list is read
	rebuildGathering                   // living gateways join, silent ones are waited for
	rebuildSilenced                    // transactional: about to fence the silent ones
)

// measuredStep is gateway g's part in the rebuild of claims that may be missing.
func (x *expansion) measuredStep(s *State, g int) {
	x.renewMarker(s, g)
	x.beat(s, g)
	x.generations(s, g)
	x.join(s, g)
	x.announce(s, g)
	switch s.rebuild[g].phase {
	case rebuildIdle:
		x.measuredLock(s, g)
	case rebuildLocked:
		n := *s
		if x.without(RaisedFirst) {
			n.list(g)
		} else {
			n.raise(g)
		}
		n.rebuild[g].phase = rebuildRaised
		x.add(stepRaise, g, int(n.rebuild[g].gen), &n)
	case rebuildRaised:
		n := *s
		if x.without(RaisedFirst) {
			n.raise(g)
		} else {
			n.list(g)
		}
		n.rebuild[g].phase = rebuildGathering
		if n.redis.lock == uint8(g)+1 && n.replid == n.rebuild[g].replid {
			n.redis.ready.lockGen = n.rebuild[g].gen
			if !x.without(JoinsOfThisRebuild) {
				n.redis.ready.joined = 0
			}
		}
		x.add(stepRebuildList, g, 0, &n)
	case rebuildGathering:
		x.gather(s, g)
	case rebuildReading:
		x.measuredRead(s, g)
	case rebuildWriting:
		if (s.redis.lock == uint8(g)+1 && s.rebuild[g].replid == s.replid) || x.without(WritesTested) {
			x.rebuildStep(s, g)
			return
		}
		x.startOver(s, g)
	case rebuildMarking:
		x.measuredMark(s, g)
	}
}

// startOver gives up a rebuild whose lock names another Redis.
func (x *expansion) startOver(s *State, g int) {
	n := *s
	n.rebuild[g] = rebuild{}
	x.add(stepRebuildMark, g, 0, &n)
}

// measuredLock acquires the lock, or steals it, and reads in the same script what may be
// missing.
func (x *expansion) measuredLock(s *State, g int) {
	l := &s.loss
	gen := l.gen[g]
	if gen == noGeneration {
		gen = l.generation
	}
	if s.markerGood() && s.redis.ready.gen >= gen || x.unchanged(s, g) {
		return
	}
	step := stepRebuildLock
	if s.redis.lock == uint8(2-g) && s.rebuild[1-g].phase != rebuildIdle {
		if !x.faulty(s, Suspicion) {
			return
		}
		step = stepRebuildSteal
	}
	n := *s
	n.redis.lock, n.redis.ready.lockGen, n.redis.early = uint8(g)+1, 0, early{}
	r := rebuild{phase: rebuildLocked, replid: s.replid}
	tail := 0
	if s.redis.marker != 0 && s.redis.ready.beat[0] != 0 && (s.redis.ready.node == l.server.node || x.without(MovedWhole)) {
		tail = 1
		beat := s.redis.ready.beat
		if x.without(SurvivingBeat) {
			beat = l.newest
		}
		for p := range beat {
			r.from[p] = beat[p] - 1
			if next := s.redis.ready.gen + 1; next <= l.generation && !x.without(SupersededAt) {
				r.from[p] = min(r.from[p], l.raised[next][p])
			}
		}
	}
	n.rebuild[g] = r
	x.add(step, g, tail, &n)
}

func (s *State) raise(g int) {
	s.loss.generation++
	s.rebuild[g].gen = s.loss.generation
	for p := range s.log {
		s.loss.raised[s.loss.generation][p] = s.log[p].end
	}
}

// list reads who is registered, and which of their leases run.
func (s *State) list(g int) {
	r := &s.rebuild[g]
	r.list, r.leases = s.loss.registered, 0
	for i := range s.att {
		if s.att[i].lease == leaseRunning {
			r.leases |= 1 << i
		}
	}
}

// silent are the listed processes that have not joined.
func (s *State) silent(g int) uint8 {
	r := &s.rebuild[g]
	joined := uint8(0)
	if s.redis.lock == uint8(g)+1 && s.redis.ready.lockGen == r.gen {
		joined = s.redis.ready.joined
	}
	return (r.list & everyProcess) &^ joined
}

// everyProcess are the bits of processes in a list.
const everyProcess = 1<<(2*gateways) - 1

// crashListed notes in the lists of both rebuilds that gateway g is another process now.
// One that had joined before is not waited for, and stays registered.
func (s *State) crashListed(g int) {
	for o := range s.rebuild {
		r := &s.rebuild[o]
		switch {
		case has(s.silent(o), uint8(g)):
			r.list = r.list&^(1<<g) | crashedBit(g)
		case has(r.list, uint8(g)):
			r.list |= crashedBit(g) << gateways
		}
	}
}

// gather ends when every registered process has joined, or can write nothing any more.
func (x *expansion) gather(s *State, g int) {
	if s.rebuild[g].replid != s.replid && !x.without(WritesTested) && !x.without(RebuildReplid) {
		x.startOver(s, g)
		return
	}
	silent := s.silent(g)
	n := *s
	r := &n.rebuild[g]
	r.phase = rebuildReading
	if silent == 0 {
		r.end = [maxPartitions]uint8{n.log[0].end, n.log[1].end}
		x.add(stepAllJoined, g, 0, &n)
		return
	}
	if has(silent, uint8(g)) && s.redis.lock == uint8(g)+1 && s.redis.ready.lockGen == s.rebuild[g].gen {
		return // it joins its own rebuild first
	}
	r.silent = 1
	if x.tx {
		x.fenceSilent(&n, silent)
		r.end = [maxPartitions]uint8{n.log[0].end, n.log[1].end}
		x.add(stepRebuildFence, g, 0, &n)
		return
	}
	for i := range s.att {
		a := &s.att[i]
		if !a.processIn(silent) || !a.mayWrite() || a.lease != leaseRunning {
			continue
		}
		early := x.without(ConfirmationEnds) && !has(s.rebuild[g].leases, uint8(i))
		if !early && !x.without(RebuildWaits) {
			return
		}
	}
	if !x.without(ConfirmationEnds) {
		for o := range gateways {
			if has(silent, uint8(o)) {
				n.leaveGeneration(o, x)
				n.loss.gen[o] = noGeneration
			}
		}
	}
	x.add(stepRebuildWait, g, 0, &n)
}

// processIn reports whether the attempt's gateway is in the set.
func (a *attempt) processIn(set uint8) bool {
	if a.phase == idle {
		return false
	}
	if a.crashed == 1 {
		return set&crashedBit(int(a.gateway)) != 0
	}
	return has(set, a.gateway)
}

// mayWrite reports whether a record may yet come into the log under the attempt's claim.
func (a *attempt) mayWrite() bool {
	return a.phase == owning || a.phase == waiting || a.phase == hearing || a.underWay()
}

// fenceSilent fences the producers of silent processes.
func (x *expansion) fenceSilent(s *State, silent uint8) {
	survived := s.redis.claim
	for o := range gateways {
		for inc := range s.gw[o].inc + 1 {
			dead := inc < s.gw[o].base
			if dead && silent&crashedBit(o) == 0 || !dead && !has(silent, uint8(o)) {
				continue
			}
			named := survived.held() && survived.owner == ownerOf(uint8(o), inc)
			if x.without(RebuildFencesAll) && !named {
				continue
			}
			s.fenceID(uint8(o), inc)
		}
	}
}

func (x *expansion) measuredRead(s *State, g int) {
	r := &s.rebuild[g]
	all := uint8(1<<x.cfg.Partitions - 1)
	if x.tx {
		if record, ok := x.readCommitted(s, all, r.from, r.end); ok {
			x.rebuildFound(s, g, record, x.committedEnd())
		}
		return
	}
	if r.silent == 0 || x.without(EndForSilent) {
		watermarks := [maxPartitions]uint8{s.log[0].watermark, s.log[1].watermark}
		x.rebuildFound(s, g, s.firstVisible(all, r.from, watermarks), endWatermark)
		return
	}
	for _, e := range x.goodEnds(s, all, afterWait(g)) {
		x.rebuildFound(s, g, s.firstVisible(all, r.from, e.at), e.kind)
	}
}

// measuredMark is the script that opens the bucket again, under the new generation.
func (x *expansion) measuredMark(s *State, g int) {
	n := *s
	r := &s.rebuild[g]
	good := (s.redis.lock == uint8(g)+1 || x.without(RebuildLock)) && (r.replid == s.replid || x.without(RebuildReplid))
	if good {
		l := &n.loss
		m := &n.redis.ready
		n.redis.marker, n.redis.lock, n.redis.early = s.replid+1, 0, early{}
		m.run, m.node, m.gen = l.server.run, l.server.node, r.gen
		m.lockGen = 0
		if !x.without(JoinsOfThisRebuild) {
			m.joined = 0
		}
		l.registered &^= r.list & (crashedBit(0) | crashedBit(1)) &^ (r.list >> gateways)
		l.watched |= 1 << g
	}
	n.rebuild[g] = rebuild{}
	x.add(stepRebuildMark, g, b2i(good), &n)
}
