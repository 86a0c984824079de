package model

// read completes a taker's recovery read at an acceptable end, or fails it.
func (x *expansion) read(s *State, i int) {
	a := &s.att[i]
	if x.tx {
		if record, ok := x.readCommitted(s, a.found.parts, a.found.from, a.readEnd); ok {
			x.readDone(s, i, record, x.committedEnd())
		}
	} else {
		for _, e := range x.goodEnds(s, a.found.parts, 1<<a.found.attempt) {
			x.readDone(s, i, s.firstVisible(a.found.parts, a.found.from, e.at), e.kind)
		}
	}
	if x.faulty(s, Timeout) {
		n := *s
		token := n.att[i].found.token
		if a.tookOver == 1 {
			token = s.att[i].token
		}
		settlement := noSettlement
		switch {
		case x.without(ReleaseAfterRead):
			settlement = release
		case a.tookOver == 1:
			settlement = markUnknown
		}
		n.att[i].finish(unknown, settlement, token)
		x.add(stepReadFails, i, 0, &n)
	}
}

// readDone acts on a complete read. record is attempt + 1; 0 is none.
func (x *expansion) readDone(s *State, i int, record uint8, end int) {
	n := *s
	a := &n.att[i]
	if record == 0 {
		a.readDone = 1
		x.proceed(&n, i)
	} else {
		token := a.found.token
		if a.tookOver == 1 {
			token = s.att[i].token
		}
		a.finishWritten(int(record)-1, token)
	}
	x.add(stepRead, i, int(record)<<4|end, &n)
}

// Kinds of ends, for the trace.
const (
	endCaughtUp = iota
	endRecord
	endWatermark
	endCommitted
	endStable
)

// A readEnd is where a read ends, per partition.
type readEnd struct {
	kind int
	at   [maxPartitions]uint8
}

// goodEnds are the ends beyond everything appended under the leases and before
// the waits in the mask, in idempotent mode.
func (x *expansion) goodEnds(s *State, parts, after uint8) []readEnd {
	watermarks := [maxPartitions]uint8{s.log[0].watermark, s.log[1].watermark}
	if x.without(EndBeyondWatermark) {
		return []readEnd{{endWatermark, watermarks}}
	}
	quiet := [maxPartitions]bool{s.caughtUp(0), s.caughtUp(1)}
	others := !has(parts, 1) || quiet[1]
	var ends []readEnd
	if others && (!has(parts, 0) || quiet[0]) {
		ends = append(ends, readEnd{endCaughtUp, watermarks})
	}
	if t := s.traffic; others && has(parts, 0) && t.state == trafficAcked && t.after&after == after {
		ends = append(ends, readEnd{endRecord, [maxPartitions]uint8{s.trafficAt(), watermarks[1]}})
	}
	return ends
}

// caughtUp reports whether the high watermark is beyond everything that was in the
// leader's log when the ended leases ended.
func (s *State) caughtUp(p int) bool {
	l := &s.log[p]
	for at := l.watermark; at < l.end; at++ {
		if e := l.entry[at]; e <= maxAttempts && s.att[e-1].lease == leaseEnded {
			return false
		}
	}
	return true
}

// firstVisible finds the claim's record between from and end; 0 is none.
func (s *State) firstVisible(parts uint8, from, end [maxPartitions]uint8) uint8 {
	for p := range s.log {
		if !has(parts, uint8(p)) {
			continue
		}
		for at := from[p]; at < end[p]; at++ {
			if e := s.log[p].entry[at]; e != 0 && e <= maxAttempts && s.att[e-1].record == committed {
				return e
			}
		}
	}
	return 0
}

// readCommitted reads once the last stable offset has passed the ends.
func (x *expansion) readCommitted(s *State, parts uint8, from, end [maxPartitions]uint8) (uint8, bool) {
	for p := range s.log {
		if !has(parts, uint8(p)) {
			continue
		}
		stable := s.lastStable(p)
		if stable < end[p] {
			if !x.without(EndBeyondStable) {
				return 0, false
			}
			end[p] = stable
		}
	}
	return s.firstVisible(parts, from, end), true
}

func (x *expansion) committedEnd() int {
	if x.without(EndBeyondStable) {
		return endStable
	}
	return endCommitted
}

// lastStable is the offset of the first record in an open transaction.
func (s *State) lastStable(p int) uint8 {
	l := &s.log[p]
	for at := range l.end {
		e := l.entry[at]
		if e == other || e <= maxAttempts && s.att[e-1].record == appended {
			return at
		}
	}
	return l.end
}
