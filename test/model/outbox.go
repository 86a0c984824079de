package model

import (
	"fmt"
	"slices"
	"strings"
)

// The outbox (docs/adr/0026): one row, two relays that both believe to be the active one,
// one claim. What a claim does for two attempts is the model of the other files; here it
// is one step, and the questions are how long it must live, and what else must be asked.
// Time passes at any moment: a lease ends, a claim that was made to expire soon is gone,
// the window passes.

// OutboxRule is one rule of the outbox that a run can leave out.
type OutboxRule uint8

// The rules.
const (
	PresentAfterClaim OutboxRule = iota
	ExpireAfterDelete
	EpochAfterClaim
	AgeAfterClaim
	LookAfterWindow
	LookAfterLoss
	TriedFirst
	DeletedIsLookedFor
	outboxRules
)

var outboxRuleNames = [outboxRules]string{
	PresentAfterClaim:  "a row must be in the table after its claim is held",
	ExpireAfterDelete:  "a claim is made to expire soon only after the deletion has been committed",
	EpochAfterClaim:    "the epoch of the claims is compared after the claim is held",
	AgeAfterClaim:      "how long ago the row may have been tried first is looked at after the claim is held",
	LookAfterWindow:    "a row that may have been tried before the window is looked for in the log first",
	LookAfterLoss:      "a row that may have been tried in another epoch is looked for in the log first",
	TriedFirst:         "a row is noted as tried before it is claimed",
	DeletedIsLookedFor: "after a failover of the database that may have lost deletions, all rows are looked for",
}

// String is what the rule demands.
func (r OutboxRule) String() string { return outboxRuleNames[r] }

// OutboxRules lists all rules.
func OutboxRules() []OutboxRule {
	list := make([]OutboxRule, outboxRules)
	for i := range list {
		list[i] = OutboxRule(i)
	}
	return list
}

// outboxRelay is what a relay is about to do.
type outboxRelay struct {
	at    byte // see the steps below
	epoch byte // of its session
}

// The places of a relay. It begins at start, and a crash leads back there.
const (
	relayStart = iota
	relayRead  // has the row in memory
	relayTried // the row is noted as tried
	relayClaimed
	relayConfirmed
	relayPublished
	relayDeleted
)

// Lives of a claim.
const (
	claimNone = iota
	claimHeld // its owner may still publish
	claimSettled
	claimShort // settled or not, and gone soon
)

type outboxState struct {
	relays [2]outboxRelay
	row    bool // in the table
	claim  byte
	owner  byte // of a held claim
	// epoch is that of Redis, noted that of the state table.
	epoch, noted byte
	tried        bool // noted in the state table
	old          bool // the window has passed since the row was noted as tried
	records      byte // of the row, in the log
	timeline     byte // of the database: how often it lost its last deletion
	seen         byte // the one in the state table
	faults       byte
}

// OutboxResult is what a search found.
type OutboxResult struct {
	States int
	Broken string   // "": nothing
	Trace  []string // the shortest way there
}

// SearchOutbox visits all states with up to so many faults, without the rules left out.
func SearchOutbox(faults int, without ...OutboxRule) OutboxResult {
	type from struct {
		before outboxState
		step   string
	}
	first := outboxState{row: true, epoch: 1, noted: 1}
	came := map[outboxState]from{first: {}}
	queue := []outboxState{first}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if broken := s.broken(); broken != "" {
			var trace []string
			for at := s; at != first; at = came[at].before {
				trace = append(trace, came[at].step)
			}
			slices.Reverse(trace)
			return OutboxResult{len(came), broken, trace}
		}
		for step, next := range s.next(byte(faults), func(r OutboxRule) bool { return !slices.Contains(without, r) }) {
			if _, known := came[next]; !known {
				came[next] = from{s, step}
				queue = append(queue, next)
			}
		}
	}
	return OutboxResult{States: len(came)}
}

func (s outboxState) broken() string {
	switch {
	case s.records > 1:
		return "duplicate"
	case !s.row && s.records == 0:
		return "lost"
	}
	return ""
}

// next returns the states that one step leads to.
func (s outboxState) next(faults byte, rule func(OutboxRule) bool) map[string]outboxState {
	out := map[string]outboxState{}
	for i := range s.relays {
		name := fmt.Sprintf("R%d ", i+1)
		for step, next := range s.relay(i, rule) {
			out[name+step] = next
		}
		if s.faults < faults && s.relays[i].at != relayStart {
			crashed := s
			crashed.relays[i] = outboxRelay{}
			crashed.faults++
			out[name+"dies"] = crashed
		}
	}
	for step, next := range s.time() {
		out[step] = next
	}
	if s.faults < faults {
		for step, next := range s.losses() {
			out[step] = next
		}
	}
	return out
}

// time passes: a short claim is gone, a settled one after the window.
func (s outboxState) time() map[string]outboxState {
	out := map[string]outboxState{}
	if s.claim == claimShort {
		next := s
		next.claim = claimNone
		out["the short claim expires"] = next
	}
	if s.tried && !s.old {
		next := s
		next.old = true
		if s.claim == claimSettled || s.claim == claimHeld && !s.publishing() {
			next.claim = claimNone
		}
		out["the window passes"] = next
	}
	return out
}

// publishing tells whether a relay holds the claim: no claim ends before what is published
// under it.
func (s outboxState) publishing() bool {
	return slices.ContainsFunc(s.relays[:], func(r outboxRelay) bool { return r.at == relayClaimed || r.at == relayConfirmed })
}

// losses of Redis and of the database. A flush loses claims; the rebuild finds what is in the
// log, once nothing is under way any more.
func (s outboxState) losses() map[string]outboxState {
	out := map[string]outboxState{}
	if !s.publishing() {
		flushed := s
		flushed.epoch++
		flushed.faults++
		flushed.claim = claimNone
		if s.records > 0 {
			flushed.claim = claimShort // it may live no longer than that
		}
		out["Redis is flushed and rebuilt"] = flushed
	}
	if !s.row && s.records > 0 {
		back := s
		back.row = true
		back.timeline++
		back.faults++
		for i := range back.relays { // their connections are gone
			back.relays[i] = outboxRelay{}
		}
		out["the database fails over and loses the deletion"] = back
	}
	return out
}

// relay is the next step of a relay.
func (s outboxState) relay(i int, rule func(OutboxRule) bool) map[string]outboxState {
	out := map[string]outboxState{}
	next := s
	r := &next.relays[i]
	switch s.relays[i].at {
	case relayStart:
		next.start(r, rule)
		out["starts, reads the row if it is there"] = next
	case relayRead:
		if rule(TriedFirst) && !s.tried {
			next.tried, next.old = true, false
		}
		r.at = relayTried
		out["notes that it tries the row"] = next
	case relayTried:
		switch {
		case s.claim == claimSettled || s.claim == claimShort:
			r.at = relayPublished
			out["finds the receipt"] = next
		case s.claim == claimHeld && s.publishing():
			// the other relay is at work
		case s.claim == claimHeld: // abandoned: the recovery read decides
			if s.records > 0 {
				next.claim, r.at = claimSettled, relayPublished
			} else {
				next.owner, r.at = byte(i), relayClaimed
			}
			out["takes the claim over, after looking for its record"] = next
		default:
			next.claim, next.owner, r.at = claimHeld, byte(i), relayClaimed
			out["claims"] = next
		}
	case relayClaimed:
		if rule(PresentAfterClaim) && !s.row || rule(EpochAfterClaim) && r.epoch != s.epoch || rule(AgeAfterClaim) && s.old {
			next.claim = claimNone
			*r = outboxRelay{}
			out["releases: the row is gone, the epoch is another, or the row was tried long ago"] = next
			break
		}
		r.at = relayConfirmed
		out["finds the row in the table"] = next
	case relayConfirmed:
		next.records++
		next.claim, r.at = claimSettled, relayPublished
		out["publishes, settles"] = next
		open := next // it settles only if it does not get to delete the row
		open.claim = claimHeld
		out["publishes"] = open
		unsettled := next
		unsettled.relays[i] = outboxRelay{}
		unsettled.claim = claimHeld
		if s.faults < 255 {
			unsettled.faults++
			out["publishes, dies before it settles"] = unsettled
		}
	case relayPublished:
		if !rule(ExpireAfterDelete) && s.claim == claimSettled {
			early := next
			early.claim = claimShort
			out["lets the claim expire"] = early
		}
		next.row = false
		r.at = relayDeleted
		out["deletes the row"] = next
	case relayDeleted:
		if s.claim != claimNone { // whoever holds it finds that the row is gone
			next.claim = claimShort
		}
		*r = outboxRelay{}
		out["lets the claim expire"] = next
	}
	return out
}

// start begins a session: it looks in the log if it must, and reads the row.
func (s *outboxState) start(r *outboxRelay, rule func(OutboxRule) bool) {
	look := s.tried && (s.old && rule(LookAfterWindow) || s.noted != s.epoch && rule(LookAfterLoss)) ||
		s.seen != s.timeline && rule(DeletedIsLookedFor)
	if look {
		if s.publishing() {
			return // it waits until nothing is under way
		}
		if s.records > 0 {
			s.row = false
		}
		s.old = false
	}
	if s.old && !rule(LookAfterWindow) {
		s.old = false // as if all was well
	}
	s.noted, s.seen = s.epoch, s.timeline
	r.epoch = s.epoch
	if s.row {
		r.at = relayRead
	}
}

// Text is the result in words.
func (r OutboxResult) Text() string {
	if r.Broken == "" {
		return "holds"
	}
	return r.Broken + ": " + strings.Join(r.Trace, "; ")
}
