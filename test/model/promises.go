package model

const (
	probeRetries = 4
	// measuredRetries is more, because each gateway learns from a refusal that there is
	// another generation.
	measuredRetries = 6
	probeSteps      = 200
)

// unsafe says which promise the state breaks, or "".
func (s *State) unsafe() string {
	visible := 0
	for i := range s.att {
		a := &s.att[i]
		if a.record == committed {
			visible++
			if a.answer == notWritten {
				return "answered \"not written\", and it is in the log"
			}
		}
		if a.answer == accepted && s.att[a.at].record == nowhere {
			return "answered 202, and it is not in the log"
		}
	}
	if visible > 1 {
		return "duplicate"
	}
	if c := &s.redis.claim; c.state == settled && s.att[c.at].record == nowhere {
		return "settled, and it is not in the log"
	}
	return ""
}

// stuck says why a client that goes on retrying never gets its 202, or "". It is
// asked about states in which only optional steps are left; no fault happens after
// them.
func (x *expansion) stuck(s *State) string {
	x.quiet = true
	defer func() { x.quiet = false }()
	retries := probeRetries
	if x.cfg.Measured {
		retries = measuredRetries
	}
	for first := range gateways {
		n := *s
		for try := 0; ; try++ {
			if try == retries {
				return "retries never get a 202"
			}
			x.acceptProbe(&n, (first+try)%gateways)
			answer, ok := x.settleDown(&n)
			if !ok {
				return "retries never come to an end"
			}
			if reason := n.unsafe(); reason != "" {
				return reason + ", by a retry after all this"
			}
			if answer == accepted {
				break
			}
		}
	}
	return ""
}

// acceptProbe begins a request in the slot of the progress check. A claim left
// by the request before it keeps its lease, which is over, but not its token.
func (x *expansion) acceptProbe(s *State, g int) {
	const spentToken = 100
	lease := s.att[probe].lease
	if c := &s.redis.claim; c.held() && c.attempt == probe {
		c.token = spentToken
	}
	x.accept(s, probe, g, 0)
	s.att[probe].lease = lease
}

// settleDown takes the steps that need no fault, in a fixed order, until none is
// left. It returns the answer to the probe.
func (x *expansion) settleDown(s *State) (answer uint8, ok bool) {
	for range probeSteps {
		if a := &s.att[probe]; a.phase == done && answer == noAnswer {
			answer = a.answer
			if a.answer == noAnswer { // tidied away
				answer = unknown
			}
		}
		next := x.expand(s)
		if len(next) == 0 {
			return answer, true
		}
		if k := next[0].step; k.Kind == stepAcked && k.A == probe || k.Kind == stepClaim && k.A == probe && k.B == claimReplayed || k.Kind == stepRead && k.A == probe && k.B>>4 != 0 {
			answer = accepted
		}
		*s = next[0].state
	}
	return answer, false
}
