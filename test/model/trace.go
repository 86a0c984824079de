package model

import (
	"fmt"
	"strings"
)

// Step is one step of a trace.
type Step struct {
	Kind kind
	A, B uint8
}

type kind uint8

// Kinds of steps. A is the attempt, the gateway or the partition.
const (
	stepStart kind = iota
	stepLook
	stepClaim
	stepFence
	stepRead
	stepTakeOver
	stepRenew
	stepPublish
	stepGiveUp
	stepAcked
	stepFenced
	stepAppend
	stepDrop
	stepReplicate
	stepLeaseEnds
	stepTraffic
	stepSettlement
	stepDelayed
	stepCommitSent
	stepCommitted
	stepCommitDropped
	stepNextTransaction
	stepCoordinatorAborts
	stepRebuildLock
	stepRebuildWait
	stepRebuildList
	stepRebuildFence
	stepRebuildRead
	stepRebuildWrite
	stepRebuildMark
	stepAnnounce
	stepPromote
	stepFailback
	stepSplit
	stepReturn
	stepHear
	stepBeat
	stepRenewMarker
	stepRegister
	stepReadGeneration
	stepJoin
	stepRaise
	stepAllJoined
	firstFault // steps from here on are faults
	stepClaimLost
	stepClaimGivenUp
	stepTakeOverLost
	stepTakeOverGivenUp
	stepReadFails
	stepTimeout
	stepRefused
	stepOwnAbort
	stepTruncate
	stepCrash
	stepFlush
	stepStall
	stepRebuildSteal
	stepChange
	stepMove
)

// onOldMaster is set in A if the step's script runs on the old master.
const onOldMaster = 0x80

// optional reports whether the step may never happen.
func (s Step) optional() bool {
	switch s.Kind {
	case stepStart, stepDelayed, stepPromote, stepFailback, stepSplit, stepReturn, stepBeat:
		return true
	case stepTraffic:
		return s.B == 1
	}
	return s.Kind >= firstFault
}

var outcomes = map[kind][]string{
	stepLook:       {"sees a good marker", "", "finds no marker: 503"},
	stepClaim:      {"claims", "finds no marker: 503", "finds a receipt: 202", "finds it claimed: 409", "finds it unknown: 504", "finds it abandoned"},
	stepTakeOver:   {"takes over", "cannot take over, no marker: 504", "is beaten to it: 409"},
	stepRenew:      {"renews", "cannot renew, no marker: 504", "was taken over: 409"},
	stepDelayed:    {"", "claim, given up, arrives", "take-over, given up, arrives"},
	stepSettlement: {"", "settles", "is marked unknown", "is released"},
}

// String describes the step in a few words.
func (s Step) String() string {
	if s.A&onOldMaster != 0 {
		s.A &^= onOldMaster
		return s.String() + " (old master)"
	}
	attempt := fmt.Sprintf("A%d ", s.A+1)
	gateway := fmt.Sprintf("G%d ", s.A+1)
	switch s.Kind {
	case stepStart:
		return fmt.Sprintf("A%d%s starts", s.A+1, s.place())
	case stepLook, stepClaim, stepTakeOver, stepRenew, stepSettlement, stepDelayed:
		return attempt + outcomes[s.Kind][s.B]
	case stepRead:
		return attempt + readWords(s.B)
	case stepRebuildRead:
		return gateway + readWords(s.B)
	case stepFence:
		return attempt + fmt.Sprintf("fences G%d.%d", s.B>>3+1, s.B&7)
	case stepTraffic:
		return []string{"", "X handed over", "X appended", "X acknowledged"}[s.A]
	case stepCommitSent, stepCommitted, stepCommitDropped, stepNextTransaction, stepCoordinatorAborts, stepOwnAbort:
		return fmt.Sprintf("G%d.%d %s", s.A+1, s.B, words[s.Kind])
	case stepRebuildLock, stepRebuildSteal, stepRebuildWait, stepRebuildList, stepRebuildFence, stepRebuildWrite, stepCrash:
		return gateway + words[s.Kind]
	case stepRebuildMark:
		return gateway + []string{"lost its lock: starts over", "sets the marker"}[s.B]
	case stepReplicate, stepTruncate, stepFlush, stepStall, stepPromote, stepFailback, stepChange, stepSplit, stepReturn, stepMove:
		return words[s.Kind]
	case stepAnnounce, stepBeat, stepRenewMarker, stepRegister, stepJoin, stepAllJoined:
		return gateway + words[s.Kind]
	case stepReadGeneration, stepRaise:
		return gateway + fmt.Sprintf(words[s.Kind], s.B)
	case stepHear:
		return attempt + []string{"hears of it", "hears of it, too late"}[s.B]
	default:
		return attempt + words[s.Kind]
	}
}

var words = map[kind]string{
	stepPublish:           "publishes",
	stepGiveUp:            "gives up: 503",
	stepAcked:             "answers 202",
	stepFenced:            "hears \"fenced\"",
	stepAppend:            "is appended",
	stepDrop:              "is dropped",
	stepReplicate:         "the watermark moves",
	stepLeaseEnds:         "loses its lease",
	stepCommitSent:        "sends its commit",
	stepCommitted:         "commits",
	stepCommitDropped:     "loses its commit request",
	stepNextTransaction:   "begins its next transaction",
	stepCoordinatorAborts: "is aborted by the coordinator",
	stepRebuildSteal:      "STEALS THE LOCK",
	stepRebuildLock:       "locks the rebuild",
	stepRebuildWait:       "waits no longer",
	stepRebuildList:       "lists the ids",
	stepRebuildFence:      "fences them",
	stepRebuildWrite:      "writes what it found",
	stepAnnounce:          "says that its key is back",
	stepPromote:           "Redis REPLICA PROMOTED",
	stepClaimLost:         "claims, REPLY LOST",
	stepClaimGivenUp:      "GIVES ITS CLAIM UP: 503",
	stepTakeOverLost:      "takes over, REPLY LOST",
	stepTakeOverGivenUp:   "GIVES ITS TAKE-OVER UP: 504",
	stepReadFails:         "READ TIMES OUT: 504",
	stepTimeout:           "TIMES OUT: 504",
	stepRefused:           "IS REFUSED: not written",
	stepOwnAbort:          "ABORTS ITS TRANSACTION: not written",
	stepTruncate:          "the LEADER CHANGES, log cut at the high watermark",
	stepCrash:             "CRASHES",
	stepFlush:             "Redis FLUSHALL",
	stepStall:             "Redis REPLICA STALLS",
	stepFailback:          "Redis the MASTER BEFORE IS PROMOTED AGAIN",
	stepChange:            "Redis CHANGES ITS REPLICATION ID",
	stepSplit:             "Redis REPLICA PROMOTED, THE OLD MASTER STAYS UP",
	stepReturn:            "Redis the OLD MASTER RETURNS, the new one is gone",
	stepMove:              "Redis the SLOT MOVES, AND A KEY IS LOST",
	stepBeat:              "writes a beat",
	stepRenewMarker:       "renews the marker",
	stepRegister:          "registers",
	stepReadGeneration:    "reads generation %d",
	stepJoin:              "joins",
	stepRaise:             "raises the generation to %d",
	stepAllJoined:         "sees that all have joined",
}

func readWords(b uint8) string {
	end := ends[b&15]
	if b>>4 == 0 {
		return "reads nothing (" + end + ")"
	}
	return fmt.Sprintf("reads A%d's record (%s)", b>>4, end)
}

var ends = []string{
	endCaughtUp:  "watermark caught up",
	endRecord:    "to an acknowledged record",
	endWatermark: "to the watermark",
	endCommitted: "to the end",
	endStable:    "to the last stable offset",
}

// Line is a trace in one line: an actor of several steps in a row is named once,
// and the place to which an attempt was sent follows its name at its first step.
func Line(trace []Step) string {
	var b strings.Builder
	places := map[uint8]string{}
	last := ""
	for n, s := range trace {
		if n > 0 && s == trace[n-1] { // the watermark moves, and moves
			continue
		}
		if s.Kind == stepStart {
			places[s.A] = s.place()
			continue
		}
		actor, verb, _ := strings.Cut(s.String(), " ")
		switch {
		case actor == last && (actor[0] == 'A' || actor[0] == 'G'):
			b.WriteString(", " + verb)
		default:
			if b.Len() > 0 {
				b.WriteString("; ")
			}
			b.WriteString(actor)
			if actor[0] == 'A' {
				b.WriteString(places[s.A])
				places[s.A] = ""
			}
			b.WriteString(" " + verb)
		}
		last = actor
	}
	return b.String()
}

// place is the gateway, and the partition unless it is the first.
func (s Step) place() string {
	if s.B&15 > 0 {
		return fmt.Sprintf("@G%d/p%d", s.B>>4+1, s.B&15)
	}
	return fmt.Sprintf("@G%d", s.B>>4+1)
}
