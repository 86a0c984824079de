package model

// rebuildStep is gateway g's part in the rebuild of lost claims (rule 8).
func (x *expansion) rebuildStep(s *State, g int) {
	r := &s.rebuild[g]
	if !x.cfg.Measured {
		x.announce(s, g)
	}
	switch r.phase {
	case rebuildIdle:
		x.rebuildLock(s, g)
	case rebuildLocked:
		x.rebuildPrepare(s, g)
	case rebuildListed:
		n := *s
		for o := range gateways {
			for inc := range n.gw[o].inc + 1 {
				if has(r.listed[o], inc) {
					n.fenceID(uint8(o), inc)
				}
			}
		}
		n.rebuild[g].phase = rebuildReading
		n.rebuild[g].end = [maxPartitions]uint8{n.log[0].end, n.log[1].end}
		x.add(stepRebuildFence, g, 0, &n)
	case rebuildReading:
		x.rebuildRead(s, g)
	case rebuildWriting:
		n := *s
		if c := &n.redis.claim; c.state != settled {
			*c = claim{state: settled, at: r.found - 1}
		}
		n.rebuild[g].phase = rebuildMarking
		x.add(stepRebuildWrite, g, int(r.found), &n)
	case rebuildMarking:
		x.rebuildMark(s, g)
	}
}

// rebuildLock acquires the lock, or steals it: from a holder that crashed, or from
// one that only seems to be gone.
func (x *expansion) rebuildLock(s *State, g int) {
	if s.markerGood() {
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
	n.redis.lock, n.redis.early = uint8(g)+1, early{}
	r := rebuild{phase: rebuildLocked, replid: s.replid}
	for i := range s.att {
		if s.att[i].lease == leaseRunning {
			r.leases |= 1 << i
		}
	}
	n.rebuild[g] = r
	x.add(step, g, 0, &n)
}

// rebuildPrepare makes sure that no record of the lost claims can still arrive: by
// waiting in idempotent mode, by listing the ids to fence in transactional mode.
func (x *expansion) rebuildPrepare(s *State, g int) {
	n := *s
	r := &n.rebuild[g]
	if !x.tx {
		if r.leases&^s.endedLeases() != 0 && !x.without(RebuildWaits) {
			return
		}
		r.phase = rebuildReading
		x.add(stepRebuildWait, g, 0, &n)
		return
	}
	r.phase = rebuildListed
	for o := range gateways {
		r.listed[o] = 2<<n.gw[o].inc - 1
	}
	if x.without(FenceOwn) {
		r.listed[g] &^= 1 << n.gw[g].inc
	} else {
		n.gw[g].inc++
	}
	if x.without(RebuildFencesAll) {
		r.listed = [gateways]uint8{}
		if c := n.redis.claim; c.held() {
			o, inc := ownerGateway(c.owner)
			r.listed[o] = 1 << inc
		}
	}
	if x.without(ListedFirst) {
		r.listed[1-g] &^= 1 << n.gw[1-g].inc
	}
	x.add(stepRebuildList, g, 0, &n)
}

func (x *expansion) rebuildRead(s *State, g int) {
	r := &s.rebuild[g]
	all := uint8(1<<x.cfg.Partitions - 1)
	if x.tx {
		if record, ok := x.readCommitted(s, all, [maxPartitions]uint8{}, r.end); ok {
			x.rebuildFound(s, g, record, x.committedEnd())
		}
		return
	}
	for _, e := range x.goodEnds(s, all, afterWait(g)) {
		x.rebuildFound(s, g, s.firstVisible(all, [maxPartitions]uint8{}, e.at), e.kind)
	}
}

func (x *expansion) rebuildFound(s *State, g int, record uint8, end int) {
	n := *s
	n.rebuild[g].phase, n.rebuild[g].found = rebuildWriting, record
	if record == 0 {
		n.rebuild[g].phase = rebuildMarking
	}
	x.add(stepRebuildRead, g, int(record)<<4|end, &n)
}

// rebuildMark is the script that opens the bucket again.
func (x *expansion) rebuildMark(s *State, g int) {
	n := *s
	good := (s.redis.lock == uint8(g)+1 || x.without(RebuildLock)) &&
		(s.rebuild[g].replid == s.replid || x.without(RebuildReplid))
	if good {
		n.redis.marker, n.redis.lock, n.redis.early = s.replid+1, 0, early{}
	}
	n.rebuild[g] = rebuild{}
	x.add(stepRebuildMark, g, b2i(good), &n)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
