package model

// retire makes gateway g start a new producer if inc is its present one.
func (x *expansion) retire(s *State, g, inc uint8) {
	if s.gw[g].inc != inc {
		return
	}
	s.gw[g].inc++
	if x.cfg.Measured && !x.without(ReadAfterInit) {
		s.leaveGeneration(int(g), x)
		s.loss.gen[g] = noGeneration
	}
}

// abort ends the ongoing transaction of a producer without its records.
func (s *State) abort(g, inc uint8) {
	for i := range s.att {
		a := &s.att[i]
		if a.record != appended || a.gateway != g || a.inc != inc {
			continue
		}
		a.record = nowhere
		l := &s.log[a.part]
		for at := range l.entry {
			if l.entry[at] == uint8(i)+1 {
				l.entry[at] = filler
			}
		}
	}
	s.gw[g].open &^= 1 << inc
	s.gw[g].finishing &^= 1 << inc
}

// fenceID is InitTransactions on the id by another producer: its transaction is
// aborted, and nothing of the old epoch is appended or committed after that.
func (s *State) fenceID(g, inc uint8) {
	s.abort(g, inc)
	s.gw[g].fenced |= 1 << inc
}

// fence is a taker's fencing of the abandoned claim's owner.
func (x *expansion) fence(s *State, i int) {
	n := *s
	a := &n.att[i]
	g, inc := ownerGateway(a.found.owner)
	own := g == a.gateway && inc == n.gw[g].inc
	if own && !x.without(FenceOwn) {
		x.retire(&n, g, inc)
	}
	if !own || !x.without(FenceOwn) {
		n.fenceID(g, inc)
	}
	if a.tookOver == 0 {
		a.inc = n.gw[a.gateway].inc // the producer it will name in its claim
	}
	x.proceed(&n, i)
	x.add(stepFence, i, int(g<<3|inc), &n)
}

// awaitCommit adds the answers that a waiting attempt may get in transactional mode.
func (x *expansion) awaitCommit(s *State, i int) {
	a := &s.att[i]
	early := x.without(AnswerAfterCommit) && a.record == appended
	if a.record == committed || early {
		n := *s
		n.att[i].finishWritten(i, s.att[i].token)
		x.add(stepAcked, i, 0, &n)
	}
	if !has(s.gw[a.gateway].fenced, a.inc) {
		return
	}
	n := *s
	x.retire(&n, a.gateway, a.inc)
	if x.without(FencedUnknown) {
		n.att[i].finish(notWritten, release, s.att[i].token)
	} else {
		n.att[i].finish(unknown, markUnknown, s.att[i].token)
	}
	x.add(stepFenced, i, 0, &n)
}

// producers adds every step of the transactions of gateway g's producers.
func (x *expansion) producers(s *State, g int) {
	gw := &s.gw[g]
	for inc := uint8(0); inc <= gw.inc; inc++ {
		ongoing, finishing := has(gw.open, inc), has(gw.finishing, inc)
		alive, current := inc >= gw.base, inc == gw.inc
		records := s.recordsOf(uint8(g), inc)
		switch {
		case finishing:
			x.commit(s, g, inc, alive)
		case ongoing && alive && records.appended && !records.inFlight:
			n := *s
			n.gw[g].finishing |= 1 << inc
			x.add(stepCommitSent, g, int(inc), &n)
		case !ongoing && current && alive && records.late && !has(gw.fenced, inc):
			n := *s // a record of another client begins the id's next transaction
			n.gw[g].open |= 1 << inc
			x.add(stepNextTransaction, g, int(inc), &n)
		}
		if ongoing && !finishing && !current {
			n := *s
			n.fenceID(uint8(g), inc)
			x.add(stepCoordinatorAborts, g, int(inc), &n)
		}
		if ongoing && !finishing && current && records.waiting && x.faulty(s, Refusal) {
			x.ownAbort(s, g, inc, records.inFlight)
		}
	}
}

// records says what a producer has in flight.
type records struct{ inFlight, late, appended, waiting bool }

func (s *State) recordsOf(g, inc uint8) (r records) {
	for i := range s.att {
		a := &s.att[i]
		if a.gateway != g || a.inc != inc {
			continue
		}
		r.waiting = r.waiting || a.phase == waiting
		switch a.record {
		case inFlight:
			r.inFlight = true
		case late:
			r.late = true
		case appended:
			r.appended = true
		}
	}
	return r
}

// commit is a commit request that has reached the coordinator, or that was lost
// with its sender.
func (x *expansion) commit(s *State, g int, inc uint8, alive bool) {
	n := *s
	for i := range n.att {
		if a := &n.att[i]; a.record == appended && a.gateway == uint8(g) && a.inc == inc {
			a.record = committed
		}
	}
	n.gw[g].open &^= 1 << inc
	n.gw[g].finishing &^= 1 << inc
	x.add(stepCommitted, g, int(inc), &n)
	if !alive {
		n = *s
		n.gw[g].finishing &^= 1 << inc
		x.add(stepCommitDropped, g, int(inc), &n)
	}
}

// ownAbort is the gateway's abort of its own transaction, because a record in it
// was refused. The attempts that wait in it are answered "not written".
func (x *expansion) ownAbort(s *State, g int, inc uint8, unacknowledged bool) {
	n := *s
	n.abort(uint8(g), inc)
	for i := range n.att {
		a := &n.att[i]
		if a.gateway != uint8(g) || a.inc != inc {
			continue
		}
		if a.phase == waiting && s.att[i].record != committed {
			x.finishUnwritten(&n, i)
		}
		if a.record == inFlight {
			a.record = late
		}
	}
	if unacknowledged && !x.without(AbortRetires) {
		x.retire(&n, uint8(g), inc)
	}
	x.add(stepOwnAbort, g, int(inc), &n)
}
