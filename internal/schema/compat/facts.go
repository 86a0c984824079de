package compat

import (
	"math/big"
	"slices"
)

// facts are what all clauses of a set together say about one kind of value. They are
// necessary conditions: every value of the set meets them.
type facts struct {
	lower, upper *bound
	step         *big.Rat // numbers are multiples of it; nil: any

	minLength, maxLength int // maxLength -1: none
	minItems, maxItems   int
	unique               bool
	minProps, maxProps   int
	required             []string
}

var one = big.NewRat(1, 1)

func (s *generator) facts(a set, k kind) facts {
	f := facts{maxLength: -1, maxItems: -1, maxProps: -1}
	if k == kindInteger {
		f.step = one
	}
	for _, c := range a.clauses {
		f.lower = tighter(f.lower, c.lower, -1)
		f.upper = tighter(f.upper, c.upper, 1)
		for _, step := range c.steps {
			f.step = commonMultiple(f.step, step)
		}
		f.minLength, f.maxLength = max(f.minLength, c.minLength), least(f.maxLength, c.maxLength)
		f.minItems, f.maxItems = max(f.minItems, c.minItems), least(f.maxItems, c.maxItems)
		f.minProps, f.maxProps = max(f.minProps, c.minProps), least(f.maxProps, c.maxProps)
		f.unique = f.unique || c.unique
		for _, name := range c.required {
			if !slices.Contains(f.required, name) {
				f.required = append(f.required, name)
			}
		}
		if c.pattern != nil {
			f.minLength, f.maxLength = max(f.minLength, c.shortest), least(f.maxLength, c.longest)
		}
	}
	f.snap()
	f.closeNeeds(a)
	return f
}

// closeNeeds adds the members that the required members need.
func (f *facts) closeNeeds(a set) {
	for added := true; added; {
		added = false
		for _, c := range a.clauses {
			for _, n := range c.needs {
				if !slices.Contains(f.required, n.name) {
					continue
				}
				for _, other := range n.others {
					if !slices.Contains(f.required, other) {
						f.required, added = append(f.required, other), true
					}
				}
			}
		}
	}
	slices.Sort(f.required)
	f.minProps = max(f.minProps, len(f.required))
}

// snap moves the bounds to the nearest multiples of the step inside them.
func (f *facts) snap() {
	if f.step == nil {
		return
	}
	if b := f.lower; b != nil {
		f.lower = &bound{at: multipleFrom(b.at, f.step, b.open, 1), keyword: b.keyword}
	}
	if b := f.upper; b != nil {
		f.upper = &bound{at: multipleFrom(b.at, f.step, b.open, -1), keyword: b.keyword}
	}
}

// emptyInterval reports whether the bounds leave no number.
func (f *facts) emptyInterval() bool {
	if f.lower == nil || f.upper == nil {
		return false
	}
	c := f.lower.at.Cmp(f.upper.at)
	return c > 0 || c == 0 && (f.lower.open || f.upper.open)
}

// multipleFrom is the first multiple of step at or beyond a number in a
// direction; strictly beyond if it is open.
func multipleFrom(at, step *big.Rat, open bool, direction int64) *big.Rat {
	n := floor(new(big.Rat).Quo(at, step))
	r := new(big.Rat).Mul(new(big.Rat).SetInt(n), step)
	if direction > 0 && r.Cmp(at) < 0 {
		r.Add(r, step)
	}
	if open && r.Cmp(at) == 0 {
		r.Add(r, new(big.Rat).Mul(step, big.NewRat(direction, 1)))
	}
	return r
}

// floor is the largest integer not above a number.
func floor(r *big.Rat) *big.Int {
	return new(big.Int).Div(r.Num(), r.Denom()) // Euclidean: rounds down, the denominator is positive
}

// commonMultiple is the least common multiple of two positive rationals.
func commonMultiple(a, b *big.Rat) *big.Rat {
	if a == nil {
		return b
	}
	// lcm(p/q, r/s) = lcm(p·s, r·q) / (q·s)
	x := new(big.Int).Mul(a.Num(), b.Denom())
	y := new(big.Int).Mul(b.Num(), a.Denom())
	gcd := new(big.Int).GCD(nil, nil, x, y)
	lcm := new(big.Int).Mul(new(big.Int).Quo(x, gcd), y)
	return new(big.Rat).SetFrac(lcm, new(big.Int).Mul(a.Denom(), b.Denom()))
}

// least is the smaller of two upper limits; -1 means no limit.
func least(a, b int) int {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}
