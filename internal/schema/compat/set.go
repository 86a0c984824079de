package compat

import (
	"slices"
	"strconv"
	"strings"
)

// set is a set of JSON values: the intersection of clauses, restricted to some kinds.
type set struct {
	clauses []*clause
	only    kind      // 0: all kinds
	done    []*choice // those whose chosen alternative is among the clauses
}

func (k kind) has(other kind) bool { return k&other != 0 }

func (a set) limit() bool { return a.only != 0 }

// kinds are the kinds that the clauses allow.
func (a set) kinds() kind {
	left := anyKind
	if a.limit() {
		left = a.only
	}
	for _, c := range a.clauses {
		left &= c.kinds
	}
	return left
}

// with intersects the set with clauses.
func (a set) with(clauses ...*clause) set {
	a.clauses = slices.Clone(a.clauses)
	for _, c := range clauses {
		if !slices.Contains(a.clauses, c) {
			a.clauses = append(a.clauses, c)
		}
	}
	return a
}

func (a set) of(k kind) set {
	a.only = k
	return a
}

// key names the set; equal keys are equal sets.
func (a set) key() string {
	ids := make([]int, 0, len(a.clauses)+len(a.done)+1)
	for _, c := range a.clauses {
		ids = append(ids, c.id)
	}
	for _, c := range a.done {
		ids = append(ids, -c.id)
	}
	slices.Sort(ids)
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(strconv.Itoa(id))
		b.WriteByte(',')
	}
	b.WriteString(strconv.Itoa(int(a.only)))
	return b.String()
}

// all flattens schemas into one set.
func (s *reader) all(nodes []node) set {
	var a set
	for _, n := range nodes {
		a = a.with(s.flatten(n)...)
	}
	return a
}

// property is the set of values that a member of the name may have.
func (s *reader) property(a set, name string) set {
	var nodes []node
	for _, c := range a.clauses {
		nodes = append(nodes, c.property(name)...)
	}
	return s.all(nodes)
}

// otherProperty is property for unlisted names that match exactly these
// patterns.
func (s *reader) otherProperty(a set, matched map[string]bool) set {
	var nodes []node
	for _, c := range a.clauses {
		nodes = append(nodes, c.otherProperty(matched)...)
	}
	return s.all(nodes)
}

// item is the set of values that an item may have.
func (s *reader) item(a set, i int) set {
	var nodes []node
	for _, c := range a.clauses {
		nodes = append(nodes, c.item(i)...)
	}
	return s.all(nodes)
}

// prefixLength is the first index from which all items have the same schemas.
func (a set) prefixLength() int {
	n := 0
	for _, c := range a.clauses {
		n = max(n, len(c.prefix))
	}
	return n
}

// maxBranches bounds the alternatives of one set: they multiply.
const maxBranches = 128

// branches replaces "anyOf" and "oneOf" by their alternatives: the set is the
// union of the branches if there are only "anyOf", and inside it otherwise.
// It is false if there are too many.
func (s *reader) branches(a set) ([]set, bool) {
	open := []set{a}
	var closed []set
	for len(open) > 0 {
		if len(open)+len(closed) > maxBranches || !s.burn() {
			return nil, false
		}
		b := open[len(open)-1]
		open = open[:len(open)-1]
		ch := b.undecided()
		if ch == nil {
			closed = append(closed, b)
			continue
		}
		for _, n := range slices.Backward(ch.nodes) {
			next := b.with(s.flatten(n)...)
			next.done = append(slices.Clone(b.done), ch)
			if next.kinds() != noKind {
				open = append(open, next)
			}
		}
	}
	return closed, true
}

func (a set) undecided() *choice {
	for _, c := range a.clauses {
		for _, ch := range c.choices {
			if !slices.Contains(a.done, ch) {
				return ch
			}
		}
	}
	return nil
}

// names lists the member names that the clauses mention.
func (a set) names() []string {
	seen := make(map[string]bool)
	for _, c := range a.clauses {
		for name := range c.props {
			seen[name] = true
		}
		for _, name := range c.required {
			seen[name] = true
		}
		for _, n := range c.needs {
			seen[n.name] = true
			for _, other := range n.others {
				seen[other] = true
			}
		}
	}
	return sortedKeys(seen)
}
