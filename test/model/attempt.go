package model

// start accepts the client's next request at either gateway. Gateways are
// alike, so the first goes to the first.
func (x *expansion) start(s *State) {
	i := 0
	for i < x.cfg.Attempts && s.att[i].phase != idle {
		i++
	}
	if i == x.cfg.Attempts {
		return
	}
	for g := range x.gateways() {
		for p := range x.cfg.Partitions {
			if i == 0 && (g > 0 || p > 0) {
				continue
			}
			n := *s
			x.accept(&n, i, g, p)
			x.add(stepStart, i, g<<4|p, &n)
		}
	}
}

func (x *expansion) accept(s *State, i, g, p int) {
	a := &s.att[i]
	*a = attempt{phase: begun, gateway: uint8(g), inc: s.gw[g].inc, part: uint8(p), token: uint8(i) + 1}
	if x.without(TokenPerAttempt) {
		a.token = uint8(g) + 1
	}
	for q := range a.from {
		a.from[q] = s.log[q].end
	}
}

// finish answers an attempt and queues a settlement after the answer.
func (a *attempt) finish(answer, settlement, token uint8) {
	a.phase, a.answer, a.settlement, a.settleToken = done, answer, settlement, token
}

func (a *attempt) finishWritten(record int, token uint8) {
	a.finish(accepted, settle, token)
	a.at, a.settleAt = uint8(record), uint8(record)
}

// takeOverToken is the token of the attempt's take-over.
func (x *expansion) takeOverToken(a *attempt) uint8 {
	const takeOver = 8
	if x.without(TokenPerAttempt) || x.without(TokenPerTakeOver) {
		return a.token
	}
	return a.token | takeOver
}

// claim runs the claim script, and the ways in which it may fail.
func (x *expansion) claim(s *State, i int) {
	if s.loss.gen[s.att[i].gateway] == noGeneration {
		return
	}
	if x.without(MarkerInClaim) && s.att[i].phase == begun {
		n := *s
		if !x.ready(s, x.genOf(s, i)) {
			n.att[i].finish(notWritten, noSettlement, 0)
		} else {
			n.att[i].phase = looked
		}
		x.add(stepLook, i, int(n.att[i].answer), &n)
		return
	}
	n := *s
	outcome := x.claimed(&n, i)
	x.add(stepClaim, i, outcome, &n)
	if !x.faulty(s, LostReply) {
		return
	}
	if outcome == claimWon && s.redis.claim.state == absent { // sent again: the step above, once more
		lost := n
		lost.att[i].phase = begun
		x.add(stepClaimLost, i, 0, &lost)
	}
	gaveUp := *s
	gaveUp.att[i].gen = x.genOf(s, i)
	gaveUp.att[i].finish(notWritten, release, s.att[i].token)
	gaveUp.att[i].delayed = delayedClaim
	x.add(stepClaimGivenUp, i, 0, &gaveUp)
}

// Outcomes of a claim, for the trace.
const (
	claimWon = iota
	claimNoMarker
	claimReplayed
	claimInProgress
	claimUnknown
	claimAbandoned
)

// claimScript is the part of the claim that runs in Redis.
func (x *expansion) claimScript(s *State, i int) int {
	a, r := &s.att[i], &s.redis.claim
	token := a.token
	switch {
	case !x.passes(s, i) && !x.without(MarkerInClaim):
		return claimNoMarker
	case r.state == absent:
		*r = claim{
			state: claimed, token: token, attempt: uint8(i), owner: ownerOf(a.gateway, a.inc),
			from: a.from, parts: 1 << a.part, term: s.newLease(i), run: s.loss.server.run,
		}
		if x.cfg.Measured {
			r.order = x.nextOrder(s, i)
			a.parts, a.order = r.parts, r.order
		}
		return claimWon
	case r.held() && r.token == token:
		x.ownClaim(s, i)
		return claimWon
	case r.state == settled:
		return claimReplayed
	case s.att[r.attempt].lease == leaseEnded || r.run != s.loss.server.run: // another clock
		return claimAbandoned
	case r.state == claimed:
		return claimInProgress
	case x.tx || x.without(UnknownWaits):
		return claimAbandoned
	default:
		return claimUnknown
	}
}

// genOf is the generation that attempt i's script names.
func (x *expansion) genOf(s *State, i int) uint8 {
	if a := &s.att[i]; a.phase != done {
		return s.loss.gen[a.gateway]
	}
	return s.att[i].gen
}

// nextOrder tells attempt i's new claim from earlier ones of the key: by the generation,
// then by the server's clock.
func (x *expansion) nextOrder(s *State, i int) uint8 {
	const serials = 16
	s.loss.claims++
	return x.genOf(s, i)*serials + s.loss.claims
}

// ownClaim is what a script does that finds its own token: it was sent twice.
func (x *expansion) ownClaim(s *State, i int) {
	a, r := &s.att[i], &s.redis.claim
	if !x.cfg.Measured {
		return
	}
	if r.run != s.loss.server.run && !x.without(OwnTokenLease) {
		r.run, r.term = s.loss.server.run, s.newLease(i)
		r.state = claimed
	}
	a.from, a.parts, a.order = r.from, r.parts, r.order
}

// newLease begins a lease. Two claims of one attempt differ only in the ends of
// their leases: see the package comment.
func (s *State) newLease(i int) (term uint8) {
	a := &s.att[i]
	a.lease = leaseRunning
	a.terms++
	s.traffic.after &^= 1 << i
	return a.terms
}

// claimed runs the script and acts on its reply.
func (x *expansion) claimed(s *State, i int) int {
	a := &s.att[i]
	outcome := x.claimScript(s, i)
	switch outcome {
	case claimWon:
		a.phase = owning
		if x.cfg.LateReplies {
			a.phase = hearing
		}
		if x.foreign(s) {
			a.finish(notWritten, release, a.token)
		}
	case claimNoMarker:
		a.finish(notWritten, noSettlement, 0)
		if g := a.gateway; s.redis.ready.gen > s.loss.gen[g] { // it has to catch up
			s.leaveGeneration(int(g), x)
			s.loss.gen[g] = noGeneration
		}
	case claimReplayed:
		a.finish(accepted, noSettlement, 0)
		a.at = s.redis.claim.at
	case claimAbandoned:
		if x.foreign(s) {
			a.finish(notWritten, noSettlement, 0)
			break
		}
		a.found = s.redis.claim
		x.enter(s, i, x.procedure[0])
	default:
		a.finish(unknown, noSettlement, 0)
	}
	return outcome
}

// enter begins a phase of the take-over.
func (x *expansion) enter(s *State, i int, phase uint8) {
	a := &s.att[i]
	a.phase = phase
	if phase == reading && x.tx {
		for p := range a.readEnd {
			a.readEnd[p] = s.log[p].end
		}
	}
}

// proceed moves to the next phase of the take-over.
func (x *expansion) proceed(s *State, i int) {
	for n, phase := range x.procedure {
		if phase == s.att[i].phase && n+1 < len(x.procedure) {
			x.enter(s, i, x.procedure[n+1])
			return
		}
	}
	s.att[i].phase = owning
}

// takeOver is the compare-and-set, and the ways in which it may fail.
func (x *expansion) takeOver(s *State, i int) {
	if s.loss.gen[s.att[i].gateway] == noGeneration {
		return
	}
	n := *s
	outcome := x.takeOverScript(&n, i)
	won := n // Redis after the script
	switch outcome {
	case takeOverWon:
		x.proceed(&n, i)
		if x.cfg.LateReplies {
			n.att[i].phase = hearing
		}
		if x.foreign(s) {
			n.att[i].finish(unknown, markUnknown, n.att[i].token)
		}
	default:
		n.att[i].finish(unknown, noSettlement, 0)
	}
	x.add(stepTakeOver, i, outcome, &n)
	if !x.faulty(s, LostReply) {
		return
	}
	if outcome == takeOverWon && s.redis != won.redis {
		x.add(stepTakeOverLost, i, 0, &won)
	}
	gaveUp := *s
	gaveUp.att[i].gen = x.genOf(s, i)
	gaveUp.att[i].finish(unknown, noSettlement, 0)
	gaveUp.att[i].delayed = delayedTakeOver
	x.add(stepTakeOverGivenUp, i, 0, &gaveUp)
}

// Outcomes of a take-over, for the trace.
const (
	takeOverWon = iota
	takeOverNoMarker
	takeOverBeaten
)

// takeOverScript is the part of the take-over that runs in Redis.
func (x *expansion) takeOverScript(s *State, i int) int {
	a, r := &s.att[i], &s.redis.claim
	token := x.takeOverToken(a)
	if !x.passes(s, i) && !x.without(MarkerInTakeOver) {
		return takeOverNoMarker
	}
	same := *r == a.found
	if x.without(CompareLease) {
		c := a.found
		c.term = r.term
		same = *r == c
	}
	if x.without(CompareWhole) {
		same = r.held() && r.owner == a.found.owner
	}
	if !same {
		if r.held() && r.token == token {
			x.ownClaim(s, i)
			return takeOverWon
		}
		return takeOverBeaten
	}
	*r = claim{
		state: claimed, token: token, attempt: uint8(i), owner: ownerOf(a.gateway, a.inc),
		from: a.found.from, parts: a.found.parts | 1<<a.part, term: s.newLease(i),
	}
	if x.without(FromKept) {
		r.from = a.from
	}
	if x.without(PartitionsAdded) {
		r.parts = 1 << a.part
	}
	if x.cfg.Measured {
		r.run, r.order = s.loss.server.run, x.nextOrder(s, i)
		a.from, a.parts, a.order = r.from, r.parts, r.order
	}
	a.token, a.tookOver = token, 1
	return takeOverWon
}

// hear is the reply that a claim or take-over went through.
func (x *expansion) hear(s *State, i int) {
	n := *s
	a := &n.att[i]
	void := a.void
	switch {
	case void == 0:
		a.phase = owning
	case a.tookOver == 1:
		a.finish(unknown, markUnknown, a.token)
	default:
		a.finish(notWritten, release, a.token)
	}
	a.void = 0
	x.add(stepHear, i, int(void), &n)
}

// renew moves the lease end. It succeeds only if nobody has taken over meanwhile.
func (x *expansion) renew(s *State, i int) {
	n := *s
	r, outcome := &n.redis.claim, takeOverBeaten
	switch {
	case !s.markerGood():
		outcome = takeOverNoMarker
	case r.state == claimed && r.token == s.att[i].token:
		outcome = takeOverWon
		r.term = n.newLease(i)
		x.proceed(&n, i)
	}
	if outcome != takeOverWon {
		n.att[i].finish(unknown, noSettlement, 0)
	}
	x.add(stepRenew, i, outcome, &n)
}

// delayed runs a script that its gateway has given up.
func (x *expansion) delayed(s *State, i int) {
	g := s.att[i].delayed
	if g == notDelayed || x.quiet {
		return
	}
	n := *s
	if g == delayedClaim {
		x.claimScript(&n, i)
	} else {
		x.takeOverScript(&n, i)
	}
	n.att[i].delayed = notDelayed
	x.add(stepDelayed, i, int(g), &n)
}

// settlement applies the settlement that is queued after the answer.
func (x *expansion) settlement(s *State, i int) {
	e := &s.att[i]
	if e.settlement == noSettlement {
		return
	}
	n := *s
	r := &n.redis.claim
	mine := r.held() && r.token == e.settleToken
	switch e.settlement {
	case settle:
		if mine || r.state == absent || r.held() && x.without(SettleOwn) {
			*r = claim{state: settled, at: e.settleAt}
		}
	case markUnknown:
		if mine {
			r.state = markedUnknown
		}
	case release:
		if mine || x.without(ReleaseOwn) {
			*r = claim{}
		}
	}
	n.att[i].settlement = noSettlement
	x.add(stepSettlement, i, int(e.settlement), &n)
}
