package model

// endUnwritten ends an attempt that surely wrote nothing. A taker may say that
// of the attempts before it only if its read was complete.
func (x *expansion) endUnwritten(s *State, i int) {
	a := &s.att[i]
	ending := release
	if a.tookOver == 1 && a.readDone == 0 && !x.without(ReleaseAfterRead) {
		ending = doubt
	}
	a.finish(notWritten, ending, a.token)
}

// handOver gives the record to the producer that the claim names, if that
// makes sense still.
func (x *expansion) handOver(s *State, i int) {
	n := *s
	a := &n.att[i]
	gw := &n.gw[a.gateway]
	given := true
	if x.tx {
		if a.inc != gw.inc && x.without(ClaimStays) {
			a.inc = gw.inc
		}
		given = a.inc == gw.inc
		if given && has(gw.finishing, a.inc) {
			return // the next transaction begins when this commit has returned
		}
		if given && !has(gw.fenced, a.inc) {
			gw.open |= 1 << a.inc
		}
	} else if a.lease == leaseOver && !x.without(ClockCheck) {
		given = false
	}
	if !given {
		x.endUnwritten(&n, i)
		x.add(stepGiveBack, i, 0, &n)
		return
	}
	a.phase, a.flight = waiting, flying
	x.add(stepHand, i, 0, &n)
}

// await is what an attempt may hear of its record.
func (x *expansion) await(s *State, i int) {
	if x.tx {
		x.awaitCommit(s, i)
	} else if s.att[i].flight == committed {
		n := *s
		n.att[i].finishWritten(i, s.att[i].token)
		x.add(stepAcked, i, 0, &n)
	}
	if !x.tx && s.att[i].flight == flying && x.faulty(s, Refusal) {
		n := *s
		n.att[i].flight = nowhere
		x.endUnwritten(&n, i)
		x.add(stepRefused, i, 0, &n)
	}
	if x.faulty(s, TimeOut) {
		n := *s
		a := &n.att[i]
		if x.tx && (a.flight == committed || has(n.gw[a.gateway].finishing, a.inc)) {
			n.retire(a.gateway, a.inc) // the commit timed out
		}
		a.finish(unknown, doubt, s.att[i].token)
		x.add(stepTimeOut, i, 0, &n)
	}
}

// flight moves attempt i's record towards the log.
func (x *expansion) flight(s *State, i int) {
	a := &s.att[i]
	if a.flight != flying && a.flight != late {
		return
	}
	if x.tx {
		gw := &s.gw[a.gateway]
		if has(gw.open, a.inc) && !has(gw.fenced, a.inc) && !has(gw.finishing, a.inc) {
			n := *s
			n.append(a.part, uint8(i)+1)
			n.att[i].flight = appended
			x.add(stepAppend, i, 0, &n)
		}
	} else {
		n := *s
		n.append(a.part, uint8(i)+1)
		n.att[i].flight = appended
		if x.cfg.LeaderAlone {
			n.replicate(int(a.part))
		}
		x.add(stepAppend, i, 0, &n)
	}
	if a.phase == done {
		n := *s
		n.att[i].flight = nowhere
		x.add(stepDrop, i, 0, &n)
	}
}

func (s *State) append(p, entry uint8) {
	l := &s.log[p]
	l.entry[l.end] = entry
	l.end++
}

// replicate moves the high watermark over one entry.
func (s *State) replicate(p int) {
	l := &s.log[p]
	if e := l.entry[l.watermark]; e <= maxAttempts {
		s.att[e-1].flight = committed
	}
	l.watermark++
}

// partition is what happens to a partition by itself, in idempotent mode.
func (x *expansion) partition(s *State, p int) {
	l := &s.log[p]
	if x.tx || l.watermark == l.end {
		return
	}
	n := *s
	n.replicate(p)
	x.add(stepReplicate, p, 0, &n)
	if !x.faulty(s, Truncation) {
		return
	}
	n = *s
	for at := l.watermark; at < l.end; at++ {
		n.truncate(l.entry[at])
		n.log[p].entry[at] = 0
	}
	n.log[p].end = l.watermark
	n.eachFrom(p, func(from *uint8) { *from = min(*from, l.watermark) })
	x.add(stepTruncate, p, 0, &n)
}

// eachFrom visits the begins of reads. They are times really, so what is
// appended to a log that was cut is later than they are.
func (s *State) eachFrom(p int, fn func(*uint8)) {
	fn(&s.redis.claim.from[p])
	fn(&s.replica.claim.from[p])
	for i := range s.att {
		fn(&s.att[i].from[p])
		fn(&s.att[i].found.from[p])
	}
}

// truncate takes an entry back. A producer that still has time sends it again.
func (s *State) truncate(entry uint8) {
	switch {
	case entry == other:
		s.traffic.state = trafficHanded
	case s.att[entry-1].phase == waiting && s.att[entry-1].lease == leaseRuns:
		s.att[entry-1].flight = flying
	default:
		s.att[entry-1].flight = nowhere
	}
}

// leases end by Redis' clock. In idempotent mode no produce request outlives
// the lease that it was sent under: the assumption.
func (x *expansion) leases(s *State) {
	for i := range s.att {
		a := &s.att[i]
		if a.lease != leaseRuns || !x.tx && a.flight == flying && !x.without(RequestsEndInLease) {
			continue
		}
		n := *s
		n.att[i].lease = leaseOver
		x.add(stepLeaseEnds, i, 0, &n)
	}
}

// otherTraffic is another client's record on partition 0.
func (x *expansion) otherTraffic(s *State) {
	if !x.cfg.Traffic {
		return
	}
	n := *s
	t := &n.traffic
	switch {
	case t.state == noTraffic && !x.quiet:
		t.state = trafficHanded
		if x.tx { // the hand-over alone tells nothing
			n.append(0, other)
			t.state = trafficAppended
		} else {
			t.after = s.overBy()
		}
	case t.state == trafficHanded:
		n.append(0, other)
		t.state = trafficAppended
		if x.cfg.LeaderAlone {
			n.replicate(0)
		}
	case t.state == trafficAppended && x.tx:
		t.state = trafficAcked
		l := &n.log[0]
		for at := range l.entry {
			if l.entry[at] == other {
				l.entry[at] = filler
			}
		}
	case t.state == trafficAppended && s.trafficAt() < s.log[0].watermark:
		t.state = trafficAcked
		if x.without(EndHandedAfterLease) {
			t.after = s.overBy()
		}
	default:
		return
	}
	x.add(stepTraffic, int(t.state), b2i(s.traffic.state == noTraffic), &n)
}

func (s *State) leasesOver() (mask uint8) {
	for i := range s.att {
		if s.att[i].lease == leaseOver {
			mask |= 1 << i
		}
	}
	return mask
}

// overBy is what a record handed over now comes after: the leases that are
// over, and the waits of the rebuilds that now read.
func (s *State) overBy() uint8 {
	mask := s.leasesOver()
	for g := range s.rebuild {
		if s.rebuild[g].phase == rebuildReading {
			mask |= afterWait(g)
		}
	}
	return mask
}

// afterWait stands beside the attempts in traffic.after.
func afterWait(g int) uint8 { return 1 << (maxAttempts + g) }

// trafficAt is the offset of the other client's record.
func (s *State) trafficAt() uint8 {
	for at, e := range s.log[0].entry {
		if e == other {
			return uint8(at)
		}
	}
	return maxLog
}

func has(mask, n uint8) bool { return mask&(1<<n) != 0 }
