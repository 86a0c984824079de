package model

// successor is a state one step on.
type successor struct {
	step  Step
	state State
}

// expansion collects the successors of one state. Their order is deterministic,
// because a trace is stored as the choices made.
type expansion struct {
	cfg       *Config
	procedure []uint8
	tx        bool
	out       []successor
	// quiet leaves out faults and optional steps: see promises.go.
	quiet bool
	// old says that the steps' scripts run on the old master.
	old bool
}

func newExpansion(cfg *Config) *expansion {
	return &expansion{cfg: cfg, procedure: cfg.procedure(), tx: cfg.Guarantee == Transactional}
}

// without reports whether the rule is left out.
func (x *expansion) without(r Rule) bool { return x.cfg.Without.has(r) }

// faulty reports whether the fault may happen now.
func (x *expansion) faulty(s *State, k Kinds) bool {
	return !x.quiet && x.cfg.Kinds&k != 0 && int(s.faults) < x.cfg.Faults
}

func (x *expansion) add(k kind, a, b int, s *State) {
	if x.old {
		a |= onOldMaster
	}
	x.out = append(x.out, successor{Step{k, uint8(a), uint8(b)}, *s})
	n := &x.out[len(x.out)-1].state
	if k >= firstFault {
		n.faults++
	}
	if !x.cfg.untidy {
		x.tidy(n)
	}
}

// expand returns every state that may follow s. The slice is valid until the next
// call.
func (x *expansion) expand(s *State) []successor {
	x.out = x.out[:0]
	for i := range maxAttempts {
		if a := &s.att[i]; a.phase != idle {
			x.attempt(s, i)
		}
	}
	if !x.quiet {
		x.start(s)
	}
	for p := range x.cfg.Partitions {
		x.partition(s, p)
	}
	x.leases(s)
	x.otherTraffic(s)
	for g := range x.gateways() {
		if x.tx {
			x.producers(s, g)
		}
		if x.cfg.Measured {
			x.measuredStep(s, g)
		} else {
			x.rebuildStep(s, g)
		}
		x.crash(s, g)
	}
	if x.cfg.Measured {
		x.lossFaults(s)
		x.onOld(s)
	} else {
		x.redisFaults(s)
	}
	return x.out
}

// gateways is how many are in use; the progress check uses both.
func (x *expansion) gateways() int {
	if x.cfg.OneGateway && !x.quiet {
		return 1
	}
	return gateways
}

// attempt adds every step of attempt i, its record and its queued settlement.
func (x *expansion) attempt(s *State, i int) {
	switch s.att[i].phase {
	case begun, looked:
		x.claim(s, i)
	case fencing:
		x.fence(s, i)
	case reading:
		x.read(s, i)
	case takingOver:
		x.takeOver(s, i)
	case renewing:
		x.renew(s, i)
	case owning:
		x.publish(s, i)
	case waiting:
		x.await(s, i)
	case hearing:
		x.hear(s, i)
	}
	x.deliver(s, i)
	x.settlement(s, i)
	x.delayed(s, i)
}
