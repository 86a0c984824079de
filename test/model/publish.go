package model

// finishUnwritten finishes an attempt that certainly wrote nothing. A taker may say
// that of the attempts before it only if its read was complete.
func (x *expansion) finishUnwritten(s *State, i int) {
	a := &s.att[i]
	settlement := release
	if a.tookOver == 1 && a.readDone == 0 && !x.without(ReleaseAfterRead) {
		settlement = markUnknown
	}
	a.finish(notWritten, settlement, a.token)
}

// publish gives the record to the producer that the claim names, if the attempt
// may still publish.
func (x *expansion) publish(s *State, i int) {
	n := *s
	a := &n.att[i]
	gw := &n.gw[a.gateway]
	allowed := true
	if x.tx {
		if a.inc != gw.inc && x.without(ClaimStays) {
			a.inc = gw.inc
		}
		allowed = a.inc == gw.inc
		if allowed && has(gw.finishing, a.inc) {
			return // the next transaction begins when this commit has returned
		}
		if allowed && !has(gw.fenced, a.inc) {
			gw.open |= 1 << a.inc
		}
	} else if a.lease == leaseEnded && !x.without(ClockCheck) {
		allowed = false
	}
	if !allowed {
		x.finishUnwritten(&n, i)
		x.add(stepGiveUp, i, 0, &n)
		return
	}
	a.phase, a.record = waiting, inFlight
	x.add(stepPublish, i, 0, &n)
}

// await adds the answers that an attempt may get about its record.
func (x *expansion) await(s *State, i int) {
	if x.tx {
		x.awaitCommit(s, i)
	} else if s.att[i].record == committed {
		n := *s
		n.att[i].finishWritten(i, s.att[i].token)
		x.add(stepAcked, i, 0, &n)
	}
	if !x.tx && s.att[i].record == inFlight && x.faulty(s, Refusal) {
		n := *s
		n.att[i].record = nowhere
		x.finishUnwritten(&n, i)
		x.add(stepRefused, i, 0, &n)
	}
	if x.faulty(s, Timeout) {
		n := *s
		a := &n.att[i]
		if x.tx && (a.record == committed || has(n.gw[a.gateway].finishing, a.inc)) {
			x.retire(&n, a.gateway, a.inc) // the commit timed out
		}
		a.finish(unknown, markUnknown, s.att[i].token)
		x.add(stepTimeout, i, 0, &n)
	}
}

// deliver moves attempt i's record towards the log, or loses it.
func (x *expansion) deliver(s *State, i int) {
	a := &s.att[i]
	if a.record != inFlight && a.record != late {
		return
	}
	if x.tx {
		gw := &s.gw[a.gateway]
		if has(gw.open, a.inc) && !has(gw.fenced, a.inc) && !has(gw.finishing, a.inc) {
			n := *s
			n.append(a.part, uint8(i)+1)
			n.att[i].record = appended
			x.add(stepAppend, i, 0, &n)
		}
	} else {
		n := *s
		n.append(a.part, uint8(i)+1)
		n.att[i].record = appended
		if x.cfg.LeaderAlone {
			n.replicate(int(a.part))
		}
		x.add(stepAppend, i, 0, &n)
	}
	if a.phase == done {
		n := *s
		n.att[i].record = nowhere
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
		s.att[e-1].record = committed
	}
	l.watermark++
}

// partition adds the replication and the truncation of a partition, in idempotent
// mode.
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

// eachFrom visits the starting points of reads. They stand for times, so a record
// appended to a truncated log comes after them.
func (s *State) eachFrom(p int, fn func(*uint8)) {
	fn(&s.redis.claim.from[p])
	fn(&s.replica.claim.from[p])
	fn(&s.loss.old.claim.from[p])
	for _, r := range []*redis{&s.redis, &s.replica, &s.loss.old} {
		if beat := &r.ready.beat[p]; *beat != 0 {
			*beat--
			fn(beat)
			*beat++
		}
	}
	for g := range s.rebuild {
		fn(&s.rebuild[g].from[p])
	}
	for gen := range s.loss.raised {
		fn(&s.loss.raised[gen][p])
	}
	for i := range s.att {
		fn(&s.att[i].from[p])
		fn(&s.att[i].found.from[p])
	}
}

// truncate removes an entry. A producer whose lease still runs sends it again.
func (s *State) truncate(entry uint8) {
	switch {
	case entry == other:
		s.traffic.state = trafficSent
	case s.att[entry-1].phase == waiting && s.att[entry-1].lease == leaseRunning:
		s.att[entry-1].record = inFlight
	default:
		s.att[entry-1].record = nowhere
	}
}

// leases end by Redis' clock. In idempotent mode no produce request outlives the
// lease that it was sent under; this is an assumption.
func (x *expansion) leases(s *State) {
	for i := range s.att {
		a := &s.att[i]
		if a.lease != leaseRunning || !x.tx && a.record == inFlight && !x.without(RequestsEndInLease) {
			continue
		}
		n := *s
		n.att[i].lease = leaseEnded
		x.add(stepLeaseEnds, i, 0, &n)
	}
}

// otherTraffic adds the steps of another client's record on partition 0.
func (x *expansion) otherTraffic(s *State) {
	if !x.cfg.Traffic {
		return
	}
	n := *s
	t := &n.traffic
	switch {
	case t.state == noTraffic && !x.quiet:
		t.state = trafficSent
		if x.tx { // sending alone tells nothing
			n.append(0, other)
			t.state = trafficAppended
		} else {
			t.after = s.endedBefore()
		}
	case t.state == trafficSent:
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
		if x.without(EndSentAfterLease) {
			t.after = s.endedBefore()
		}
	default:
		return
	}
	x.add(stepTraffic, int(t.state), b2i(s.traffic.state == noTraffic), &n)
}

func (s *State) endedLeases() (mask uint8) {
	for i := range s.att {
		if s.att[i].lease == leaseEnded {
			mask |= 1 << i
		}
	}
	return mask
}

// endedBefore is what a record sent now comes after: the leases that have ended,
// and the waits of the rebuilds that now read.
func (s *State) endedBefore() uint8 {
	mask := s.endedLeases()
	for g := range s.rebuild {
		if s.rebuild[g].phase == rebuildReading {
			mask |= afterWait(g)
		}
	}
	return mask
}

// afterWait is the bit of gateway g's rebuild in traffic.after, beside the attempts'.
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
