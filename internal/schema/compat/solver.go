package compat

import "slices"

// Limits of the work in one direction, in judgements and steps of proof;
// schemas that refer to themselves in many places would otherwise take
// exponential time. The search for events has a separate limit, so that a failed
// search leaves work for other proofs.
const (
	proofFuel  = 200_000
	searchFuel = 200_000
	oneSearch  = 20_000 // for the events of one keyword
)

// A comparison in one direction has four layers. Each uses only those above it.
type (
	// reader turns schemas into sets of values, and counts the work of all layers.
	reader struct {
		ids    int
		fuel   int // steps left of the current proof or search
		search int // steps left for searches
	}

	// validator says whether a value is in a set.
	validator struct{ *reader }

	// generator finds values of a set, or that there are none.
	generator struct {
		*validator
		emptiness map[string]bool // by set: answered questions
		emptying  map[string]bool // by set: questions being answered
		made      map[string]made // by set: generated values
		making    map[string]int  // by set: how many times it is inside itself now
	}

	// solver proves or refutes that one set is inside another.
	solver struct {
		*generator
		open   map[string]int  // by pair: the depth at which it is being proven
		proven map[string]bool // by pair; may rest on what is open
		trail  []string        // the proven pairs in order
		failed map[string][]failure
	}
)

func newSolver() *solver {
	return &solver{
		generator: &generator{
			validator: &validator{&reader{fuel: proofFuel, search: searchFuel}},
			emptiness: make(map[string]bool),
			emptying:  make(map[string]bool),
			made:      make(map[string]made),
			making:    make(map[string]int),
		},
		open:   make(map[string]int),
		proven: make(map[string]bool),
		failed: make(map[string][]failure),
	}
}

// burn takes one step; false if there are none left.
func (s *reader) burn() bool {
	s.fuel--
	return s.fuel > 0
}

// failure is a keyword for which a proof failed.
type failure struct {
	clause    *clause // whose keyword it is: a part of the larger set
	keyword   string
	detail    string   // the member that it is about, or empty
	path      []string // from the compared value to the place, "*" for any item or other member
	from      set      // the smaller set at that place
	witnesses []any    // in the smaller set and not in the larger, at the compared value
	reason    string   // why there is no proof, if it is not that the values differ
}

// speculate tries a proof; a failed one leaves no trace.
func (s *solver) speculate(attempt func() []failure) bool {
	mark := len(s.trail)
	if len(attempt()) == 0 {
		return true
	}
	for _, key := range s.trail[mark:] {
		delete(s.proven, key)
	}
	s.trail = s.trail[:mark]
	return false
}

// within proves that every value of a is in b, or says for which keywords it cannot.
// depth counts the steps into the value.
//
// A pair met again deeper in the value is assumed to be proven: by induction over the
// size of the value, a counterexample would contain a smaller one. Only inside
// speculate can a failure be withdrawn, so results that were proven meanwhile are kept.
func (s *solver) within(a, b set, depth int) []failure {
	if b.covers(a) {
		return nil
	}
	key := a.key() + "<" + b.key()
	if s.proven[key] {
		return nil
	}
	if before, ok := s.open[key]; ok {
		if before < depth {
			return nil
		}
		return []failure{s.stuck(a, b, "a schema refers to itself")}
	}
	if known, ok := s.failed[key]; ok {
		return slices.Clone(known) // assumptions can only help, so it would fail again
	}
	if !s.burn() {
		return []failure{s.stuck(a, b, "the schemas are too large to compare")}
	}
	s.open[key] = depth
	failures := s.withinBranches(a, b, depth)
	delete(s.open, key)
	if len(failures) == 0 {
		s.proven[key] = true
		s.trail = append(s.trail, key)
		return nil
	}
	s.failed[key] = failures
	return slices.Clone(failures)
}

// covers reports whether the set is larger because all its clauses are in the
// smaller one.
func (a set) covers(smaller set) bool {
	if a.limit() && smaller.kinds()&^a.only != 0 {
		return false
	}
	have := make(map[*clause]bool, len(smaller.clauses))
	for _, c := range smaller.clauses {
		have[c] = true
	}
	for _, c := range a.clauses {
		if !have[c] {
			return false
		}
	}
	return true
}

func (s *solver) stuck(a, b set, reason string) failure {
	return failure{clause: b.clauses[0], from: a, reason: reason}
}

func (s *solver) withinBranches(a, b set, depth int) []failure {
	branches, ok := s.branches(a)
	if !ok {
		return []failure{s.stuck(a, b, "there are too many alternatives")}
	}
	var failures []failure
	for _, branch := range branches {
		if s.empty(branch) {
			continue
		}
		for _, k := range kinds {
			if part := branch.of(k); branch.kinds().has(k) && !s.empty(part) {
				failures = append(failures, s.withinKind(part, k, b, depth)...)
			}
		}
	}
	return distinctFailures(failures)
}

// distinctFailures keeps one failure for each keyword and place, with all
// witnesses up to a limit.
func distinctFailures(failures []failure) []failure {
	type place struct {
		clause          *clause
		keyword, detail string
	}
	var kept []failure
	at := make(map[place]int)
	for _, f := range failures {
		p := place{f.clause, f.keyword, f.detail}
		i, known := at[p]
		if !known {
			at[p] = len(kept)
			kept = append(kept, f)
			continue
		}
		if len(kept[i].witnesses) == 0 {
			kept[i] = f
		} else if len(kept[i].witnesses) < maxWitnesses {
			kept[i].witnesses = append(kept[i].witnesses, f.witnesses...)
		}
	}
	return kept
}

// withinKind is within for the values of one kind.
func (s *solver) withinKind(a set, k kind, b set, depth int) []failure {
	if list, ok := s.finite(a, k); ok {
		return s.withinList(a, list, b)
	}
	var failures []failure
	for _, c := range b.clauses {
		failures = append(failures, s.impliesOwn(a, k, c)...)
		for _, ch := range c.choices {
			failures = append(failures, s.impliesChoice(a, c, ch, depth)...)
		}
		for i := range c.rules {
			failures = append(failures, s.impliesRule(a, k, c, &c.rules[i])...)
		}
	}
	switch k {
	case kindArray:
		failures = append(failures, s.withinItems(a, b, depth)...)
	case kindObject:
		failures = append(failures, s.withinMembers(a, b, depth)...)
	}
	return failures
}

// withinList is within for a finite set: it judges all values of a.
func (s *solver) withinList(a set, list []any, b set) []failure {
	var failures []failure
	for _, v := range list {
		if in, _ := s.judge(a, v); in == no {
			continue
		}
		switch answer, why := s.judge(b, v); answer {
		case no:
			failures = append(failures, failure{
				clause: why.clause, keyword: why.keyword, detail: why.detail, path: why.path, from: a, witnesses: []any{v},
			})
		case unknown:
			failures = append(failures, s.undecided(a, b, v))
		}
	}
	return failures
}

// undecided names the keyword that cannot be judged on a value.
func (s *solver) undecided(a, b set, v any) failure {
	f := s.stuck(a, b, "one of the values cannot be judged")
	for _, c := range b.clauses {
		if answer, _ := s.judge(set{clauses: []*clause{c}}, v); answer == unknown {
			f.clause = c
			if len(c.rules) > 0 {
				f.keyword = c.rules[0].keyword
			} else if c.format != "" {
				f.keyword = "format"
			}
			break
		}
	}
	return f
}
