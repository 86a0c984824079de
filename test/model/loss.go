package model

// What the proposed handling of losses needs (measured.go). Everything here stays zero
// in runs without [Config.Measured].

// readiness is, in Redis, what tells whether and since when claims may be missing.
type readiness struct {
	// The marker beside its replication id.
	run, node, gen uint8
	// lockGen is the generation of the rebuild that holds the lock, joined the
	// gateways that have joined it.
	lockGen, joined uint8
	beat            [maxPartitions]uint8 // the log's ends when it was written, + 1; 0 is none
}

// server is the identity of the Redis process that answers.
type server struct {
	run  uint8 // run_id
	id2  uint8 // has a master_replid2: was a replica, and no backlog ended since
	node uint8 // whose ordered stream of writes this is
}

// maxGenerations is more than a run's faults can cause.
const maxGenerations = 8

// noGeneration is that of a gateway that has to read it in Kafka first.
const noGeneration = 255

// States of an old master.
const (
	oldWrites uint8 = 1 + iota // gateways may reach it, and it takes writes
	oldCutOff                  // nobody reaches it; it keeps what it has
)

// lossState is what surrounds Redis.
type lossState struct {
	server    server
	ids, runs uint8 // how many replication ids and processes there were
	last      uint8 // the process that was master before, + 1
	old       redis // the old master's data in a split brain
	oldReplid uint8
	oldServer server
	oldUp     uint8 // 0: there is none; see the constants

	generation uint8                                // the newest in Kafka
	raised     [maxGenerations][maxPartitions]uint8 // the log's ends when each was raised
	registered uint8                                // in Kafka: bits of the gateways, then of those that crashed
	beats      uint8
	claims     uint8                // and take-overs so far
	newest     [maxPartitions]uint8 // beat that was acknowledged; only without SurvivingBeat
	// Of each gateway: its generation, and whether it saw the marker right less than a
	// backlog's time ago. early is a generation read before registering.
	gen, early [gateways]uint8
	watched    uint8
}

// measured makes s the first state: the first gateway is at work, the second has not
// begun.
func (s *State) measured() {
	s.loss.generation, s.redis.ready.gen = 1, 1
	s.redis.ready.beat = [maxPartitions]uint8{1, 1}
	s.loss.newest = s.redis.ready.beat
	s.loss.gen = [gateways]uint8{1, noGeneration}
	s.loss.registered, s.loss.watched = 1, 1
}

// crashedBit is the bit of gateway g's dead processes, beside those of the living.
func crashedBit(g int) uint8 { return 1 << (gateways + g) }

// ready reports whether the marker lets a claim of this generation pass.
func (x *expansion) ready(s *State, gen uint8) bool {
	if !x.cfg.Measured {
		return s.markerGood()
	}
	return s.markerGood() && (s.redis.ready.gen == gen || x.without(GenerationInClaim))
}

// passes reports whether attempt i's script does its work.
func (x *expansion) passes(s *State, i int) bool {
	if x.cfg.EarlyClaims && x.passesEarly(s, i) {
		return true
	}
	sameGeneration := s.redis.marker != 0 && s.redis.ready.gen == x.genOf(s, i)
	switch {
	case x.without(IdentityInScript):
		return sameGeneration
	case x.cfg.ProcessBound:
		return sameGeneration && s.redis.ready.run == s.loss.server.run
	}
	return x.ready(s, x.genOf(s, i))
}

// foreign reports whether a reply says that it comes from another Redis than the
// marker's.
func (x *expansion) foreign(s *State) bool {
	return x.without(IdentityInScript) && !s.markerGood()
}

// lossFaults adds the faults of Redis, and what needs no rebuild afterwards.
func (x *expansion) lossFaults(s *State) {
	l := &s.loss
	if x.faulty(s, Change) {
		n := *s
		n.loss.ids++
		n.replid = n.loss.ids
		if l.server.id2 == 1 { // only the end of a backlog clears it, which takes its time
			n.loss.server.id2 = 0
			n.loss.watched = 0
		}
		if x.without(WatchedChange) {
			n.loss.watched = l.watched
		}
		x.add(stepChange, 0, 0, &n)
	}
	if x.faulty(s, Flush) && s.redis != (redis{}) {
		n := *s
		n.redis = redis{}
		x.add(stepFlush, 0, 0, &n)
	}
	if x.faulty(s, Move) && l.oldUp == 0 {
		n := *s
		n.takeMaster(l.runs + 1)
		n.redis.claim = claim{}
		n.loss.server.node++
		n.replica, n.stalled = redis{}, 0
		x.add(stepMove, 0, 0, &n)
	}
	if !x.quiet && x.cfg.Kinds&Return != 0 && l.oldUp != 0 {
		n := *s
		n.swapServers()
		n.dropOld()
		n.replica, n.stalled = redis{}, 0
		x.add(stepReturn, 0, 0, &n)
	}
	if s.stalled == 0 && x.faulty(s, Failover) {
		n := *s
		n.replica, n.stalled = s.redis, 1
		x.add(stepStall, 0, 0, &n)
	}
	if s.stalled == 1 && !x.quiet {
		x.promote(s)
	}
}

// promote replaces the master by one that has what was copied at the stall: a replica,
// or the same one restarted from its file. The process is a new one, or the one that was
// master before and has been a replica since.
func (x *expansion) promote(s *State) {
	n := *s
	n.takeMaster(s.loss.runs + 1)
	n.redis, n.replica, n.stalled = s.replica, redis{}, 0
	if x.cfg.Kinds&Return != 0 && s.loss.oldUp == 0 {
		n.keepOld(s, oldCutOff)
	}
	x.add(stepPromote, 0, 0, &n)
	if s.loss.last != 0 {
		back := n
		back.dropOld()
		back.loss.runs = s.loss.runs
		back.loss.server.run, back.loss.server.id2 = s.loss.last-1, 1
		x.add(stepFailback, 0, 0, &back)
	}
	if x.cfg.Kinds&Split != 0 && s.loss.oldUp == 0 {
		n.keepOld(s, oldWrites)
		n.loss.last = 0
		x.add(stepSplit, 0, 0, &n)
	}
}

// keepOld keeps the master of the state before.
func (s *State) keepOld(before *State, up uint8) {
	l := &s.loss
	l.old, l.oldReplid, l.oldServer, l.oldUp = before.redis, before.replid, before.loss.server, up
}

func (s *State) dropOld() {
	l := &s.loss
	l.old, l.oldReplid, l.oldServer, l.oldUp = redis{}, 0, server{}, 0
}

// takeMaster gives the master's place to another process.
func (s *State) takeMaster(run uint8) {
	s.loss.last = s.loss.server.run + 1
	s.loss.ids++
	s.replid = s.loss.ids
	s.loss.runs = run
	s.loss.server.run, s.loss.server.id2 = run, 0
}

func (s *State) swapServers() {
	s.redis, s.loss.old = s.loss.old, s.redis
	s.replid, s.loss.oldReplid = s.loss.oldReplid, s.replid
	s.loss.server, s.loss.oldServer = s.loss.oldServer, s.loss.server
}

// onOld adds the steps in which attempts' scripts reach the old master.
func (x *expansion) onOld(s *State) {
	if s.loss.oldUp != oldWrites || x.quiet {
		return
	}
	t := *s
	t.swapServers()
	begin := len(x.out)
	x.old = true
	for i := range t.att {
		switch t.att[i].phase {
		case begun, looked:
			x.claim(&t, i)
		case takingOver:
			x.takeOver(&t, i)
		}
		x.settlement(&t, i)
		x.delayed(&t, i)
	}
	for g := range x.gateways() {
		x.beat(&t, g)
		x.renewMarker(&t, g)
	}
	x.old = false
	for n := begin; n < len(x.out); n++ {
		x.out[n].state.swapServers()
	}
}

// beat is written by one gateway, any of them. It has its writer's clock: a place in
// the log.
func (x *expansion) beat(s *State, g int) {
	if int(s.loss.beats) >= x.cfg.Beats || x.quiet || s.loss.gen[g] == noGeneration {
		return
	}
	if !x.ready(s, s.loss.gen[g]) && !x.without(BeatWhenReady) {
		return
	}
	n := *s
	n.loss.beats++
	for p := range n.log {
		n.redis.ready.beat[p] = n.log[p].end + 1
	}
	if n.redis.ready.beat == s.redis.ready.beat {
		return
	}
	if x.without(SurvivingBeat) {
		n.loss.newest = n.redis.ready.beat
	}
	x.add(stepBeat, g, 0, &n)
}

// renewMarker makes the marker right again after a change without a loss. It is one
// script.
func (x *expansion) renewMarker(s *State, g int) {
	if !x.unchanged(s, g) {
		return
	}
	n := *s
	n.redis.marker = s.replid + 1
	x.add(stepRenewMarker, g, 0, &n)
}

// unchanged reports whether gateway g can tell that nothing was lost although the
// replication id is another one.
func (x *expansion) unchanged(s *State, g int) bool {
	r := &s.redis
	return r.marker != 0 && r.marker != s.replid+1 &&
		(r.ready.run == s.loss.server.run || x.without(SameProcess)) &&
		(s.loss.server.id2 == 0 || x.without(NeverReplica)) &&
		r.ready.gen == s.loss.gen[g] &&
		has(s.loss.watched, uint8(g))
}
