package model

// unsafe says which promise the state breaks, or "".
func (s *State) unsafe() string {
	visible := 0
	for i := range s.att {
		a := &s.att[i]
		if a.flight == committed {
			visible++
			if a.answer == notWritten {
				return "answered \"not written\", and it is in the log"
			}
		}
		if a.answer == accepted && s.att[a.at].flight == nowhere {
			return "answered 202, and it is not in the log"
		}
	}
	if visible > 1 {
		return "duplicate"
	}
	if c := &s.redis.claim; c.state == settled && s.att[c.at].flight == nowhere {
		return "settled, and it is not in the log"
	}
	return ""
}
