package model

import (
	"hash/maphash"
	"time"
	"unsafe"
)

// Result is what a run found.
type Result struct {
	States   int
	Depth    int
	Violated string // the broken promise, or "" if all hold
	Trace    []Step // shortest way there
	Elapsed  time.Duration
}

// Run searches breadth first through all states within the bounds, up to the
// first that breaks a promise. States are recognised by a 64-bit hash: with n
// states, the chance that two are mistaken for one is n²/2⁶⁵.
func Run(cfg Config) Result {
	begun := time.Now()
	s := newSearch(&cfg)
	r := s.run()
	r.States, r.Elapsed = len(s.parents), time.Since(begun)
	return r
}

type search struct {
	cfg     *Config
	x       *expansion
	seen    hashSet
	parents []uint32 // by number of the state
	choices []uint8  // which of its parent's successors it is
}

func newSearch(cfg *Config) *search {
	return &search{cfg: cfg, x: newExpansion(cfg), seen: newHashSet()}
}

type queued struct {
	state  State
	number uint32
}

func (s *search) run() Result {
	first := s.cfg.start()
	s.seen.add(&first)
	s.parents, s.choices = append(s.parents, 0), append(s.choices, 0)
	level, next := []queued{{first, 0}}, []queued{}
	for depth := 0; len(level) > 0; depth++ {
		for i := range level {
			q := &level[i]
			atRest := true
			for choice, n := range s.x.expand(&q.state) {
				atRest = atRest && n.step.optional()
				if !s.seen.add(&n.state) {
					continue
				}
				number := uint32(len(s.parents))
				s.parents, s.choices = append(s.parents, q.number), append(s.choices, uint8(choice))
				if reason := n.state.unsafe(); reason != "" {
					return Result{Depth: depth + 1, Violated: reason, Trace: s.trace(number)}
				}
				next = append(next, queued{n.state, number})
			}
			if atRest && !s.cfg.SafetyOnly {
				if reason := s.x.stuck(&q.state); reason != "" {
					return Result{Depth: depth, Violated: reason, Trace: s.trace(q.number)}
				}
			}
		}
		level, next = next, level[:0]
		if len(level) == 0 {
			return Result{Depth: depth}
		}
	}
	return Result{}
}

// trace rebuilds the steps to a state from the choices.
func (s *search) trace(number uint32) []Step {
	var choices []uint8
	for n := number; n != 0; n = s.parents[n] {
		choices = append(choices, s.choices[n])
	}
	state := s.cfg.start()
	var steps []Step
	for i := len(choices) - 1; i >= 0; i-- {
		next := s.x.expand(&state)[choices[i]]
		steps = append(steps, next.step)
		state = next.state
	}
	return steps
}

// hashSet is an open-addressing set of state hashes.
type hashSet struct {
	seed  maphash.Seed
	slots []uint64
	count int
}

func newHashSet() hashSet {
	return hashSet{seed: maphash.MakeSeed(), slots: make([]uint64, 1<<16)}
}

// add reports whether the state is new.
func (h *hashSet) add(s *State) bool {
	// A State is bytes only, without padding.
	sum := maphash.Bytes(h.seed, unsafe.Slice((*byte)(unsafe.Pointer(s)), unsafe.Sizeof(*s)))
	if !h.insert(sum | 1) { // 0 is an empty slot
		return false
	}
	if h.count++; h.count*10 > len(h.slots)*7 {
		old := h.slots
		h.slots = make([]uint64, 2*len(old))
		for _, sum := range old {
			if sum != 0 {
				h.insert(sum)
			}
		}
	}
	return true
}

func (h *hashSet) insert(sum uint64) bool {
	mask := uint64(len(h.slots) - 1)
	for i := sum >> 1 & mask; ; i = (i + 1) & mask {
		switch h.slots[i] {
		case 0:
			h.slots[i] = sum
			return true
		case sum:
			return false
		}
	}
}
