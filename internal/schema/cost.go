package schema

import (
	"math"
	"reflect"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"eventgateway/internal/budget"
	"eventgateway/internal/event"
)

// A validation may cost so many units; one is about 10 ns of one core in the worst
// case. Ordinary events cost less than one unit for each byte. What an event of the default
// body limit may cost, with the parse before it, is less than 200 ms.
//
// Two allowances: one to find out whether the data are valid, and one more to explain
// why they are not.
const (
	freeUnits        = 4_000_000
	unitsPerByte     = 6
	explainFreeUnits = 4_000_000
	explainPerByte   = 2
)

// Prices, in units. They are measured at hostile input, see TestWorstCases.
const (
	visitUnits     = 3   // one schema is applied to one value
	numberUnits    = 6   // a number is compared with bounds
	lookUpUnits    = 2   // a name of the schema's is looked up in an object
	memberUnits    = 6   // one member of an object is looked up
	rememberUnits  = 40  // one verdict is remembered
	canonicalUnits = 6   // one value is written out for a comparison
	hashShift      = 6   // a text of 2^hashShift bytes is looked up
	errorUnits     = 100 // the library words one error
	locationShift  = 1   // an error has a keyword location of 2^locationShift bytes
	listUnits      = 20  // a violation is listed
	libraryUnits   = 500 // one call of the library, before what the value itself costs
)

const (
	// quickUnits is what a validation may cost in a slot for quick work: a millisecond at
	// worst. Ordinary events of budget.QuickBytes cost less.
	quickUnits = 100_000
	// pauseUnits are half a millisecond at worst, after which long work may pause.
	pauseUnits = 50_000
	// ordinaryUnits, and unitsPerByte, are what each event of a batch may cost at least. One
	// with a mistake or two costs less.
	ordinaryUnits = 5_000
	// batchUnits is what all of them may cost beyond that: less than 200 ms.
	batchUnits = 16_000_000
)

// run is one validation. What it may still cost is its own: validations share nothing but
// the slots of the budget, and the allowance of one batch.
type run struct {
	left       int // units
	later      int // units that there are more in a slot for long work; 0: it has one
	pauseAt    int // below this many units, the work may pause
	granted    int // units in all, so far
	work       *budget.Work
	within     *event.Allowance // nil: the event is alone in its request
	crowded    bool             // it needed a slot for long work, and there was none
	rememberAt int              // below this many units, verdicts are remembered
	verdicts   map[verdictKey]verdict
	texts      map[textKey]verdict // about long texts
	scratch    []byte
	// settle decides about what eval leaves open; nil while there is only eval.
	settle func(*acceptor, any) verdict
}

// verdictKey is an acceptor and the array or object that it was applied to. The tree lives
// as long as the run, so its addresses are identities.
type verdictKey struct {
	a  *acceptor
	at uintptr
}

func newRun(size int) run {
	units := freeUnits + unitsPerByte*size
	// Schemas that apply many schemas to the same value multiply the work at each level of
	// it. When a run has cost more than ordinary ones do, it remembers what it knows about
	// each array and object: after that, work is at most acceptors times values.
	return run{left: units, rememberAt: units - min(units/2, 20_000+unitsPerByte*size/2)}
}

// under lets a run take part in what a request and the gateway may spend.
func (r *run) under(work *budget.Work, within *event.Allowance, size int) {
	r.work, r.within = work, within
	ordinary := r.left - r.rememberAt
	if within != nil {
		r.left = min(r.left, max(0, within.Steps)+ordinaryUnits+unitsPerByte*size)
	}
	r.granted = r.left
	r.divide()
	r.rememberAt = r.left - ordinary
}

// divide puts off what quick work may not cost.
func (r *run) divide() {
	if r.work.Long() {
		r.pauseAt = max(0, r.left-pauseUnits)
		return
	}
	r.pauseAt = 0
	quick := quickUnits
	if r.within != nil {
		quick = max(0, r.within.Quick)
	}
	if r.left > quick {
		r.left, r.later = quick, r.left-quick
	}
}

// spend takes units and reports whether there were enough.
func (r *run) spend(units int) bool {
	r.left -= units
	return r.left >= r.pauseAt || r.pause()
}

// pause reports whether there are more units, and lets long work pause.
func (r *run) pause() bool {
	if r.left < 0 && (r.later == 0 || !r.goOn()) {
		return false
	}
	r.pauseAt = max(0, r.left-pauseUnits)
	r.work.Pause()
	return true
}

// goOn lets a run that has cost more than quick ones do go on in a slot for long work, and
// remember what it finds out. It reports whether that was enough.
func (r *run) goOn() bool {
	later := r.later
	r.later = 0
	if r.crowded = !r.work.Longer(); r.crowded {
		return false
	}
	r.left += later
	r.rememberAt = math.MaxInt
	return r.left >= 0
}

// charge takes what a run has cost, for data of so many bytes, from the allowance of its
// request.
func (r *run) charge(size int) {
	if r.within != nil {
		cost := r.granted - max(0, r.left) - r.later
		r.within.Quick -= cost
		r.within.Steps -= max(0, cost-ordinaryUnits-unitsPerByte*size)
	}
}

// identity is the address of an object or of a filled array; empty arrays have none of their
// own.
func identity(v any) (uintptr, bool) {
	switch v := v.(type) {
	case map[string]any:
		return reflect.ValueOf(v).Pointer(), true
	case []any:
		return reflect.ValueOf(v).Pointer(), len(v) > 0
	}
	return 0, false
}

// verdict is what an acceptor says about a value.
type verdict uint8

const (
	yes verdict = iota + 1 // the library accepts it
	no                     // the library refuses it
	ask                    // ask the library, or the run has cost too much
)

// and combines the verdicts of two that must both accept.
func (v verdict) and(other verdict) verdict {
	if v == no || other == no {
		return no
	}
	return max(v, other)
}

func verdictOf(ok bool) verdict {
	if ok {
		return yes
	}
	return no
}

// below are the schemas that s applies to a value or to what is in it.
func below(s *jsonschema.Schema) []*jsonschema.Schema {
	all := []*jsonschema.Schema{
		s.Ref, s.RecursiveRef, s.DynamicRef, s.Not, s.If, s.Then, s.Else, s.PropertyNames, s.UnevaluatedProperties,
		s.Items2020, s.Contains, s.UnevaluatedItems, s.ContentSchema,
	}
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems} {
		all = append(all, list...)
	}
	for _, each := range s.Properties {
		all = append(all, each)
	}
	for _, each := range s.PatternProperties {
		all = append(all, each)
	}
	for _, each := range s.DependentSchemas {
		all = append(all, each)
	}
	for _, each := range s.Dependencies {
		if schema, ok := each.(*jsonschema.Schema); ok {
			all = append(all, schema)
		}
	}
	for _, each := range []any{s.AdditionalProperties, s.AdditionalItems, s.Items} {
		switch each := each.(type) {
		case *jsonschema.Schema:
			all = append(all, each)
		case []*jsonschema.Schema:
			all = append(all, each...)
		}
	}
	kept := all[:0]
	for _, each := range all {
		if each != nil {
			kept = append(kept, each)
		}
	}
	return kept
}
