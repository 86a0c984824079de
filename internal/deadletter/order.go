package deadletter

import (
	"context"
	"errors"
	"fmt"

	"eventgateway/internal/kafka"
)

const (
	// orderLetters bounds the letters whose order is looked into, orderRecords the records
	// that are read of one partition for it.
	orderLetters, orderRecords = 100_000, 200_000
)

// Later counts letters whose entity has gone on without them: a replay delivers an older
// event after newer ones.
type Later struct {
	Letters   int    // with a later event of the same key that was delivered
	Example   string // the place of such a letter
	Unchecked int    // letters of which it was not found out
}

// Add adds what was found out of other letters.
func (l *Later) Add(other Later) {
	l.Letters += other.Letters
	l.Unchecked += other.Unchecked
	if l.Example == "" {
		l.Example = other.Example
	}
}

// Order gathers letters, to find out which of their entities have gone on.
type Order struct {
	letters int
	skipped int
	parts   map[kafka.Partition]*orderPart
}

type orderPart struct {
	first int64
	keys  map[string][]orderLetter // by key
	own   map[int64]bool           // offsets of letters: they were not delivered
}

type orderLetter struct {
	offset int64
	place  Place
}

// NewOrder returns one without letters.
func NewOrder() *Order { return &Order{parts: map[kafka.Partition]*orderPart{}} }

// Note adds a letter. One without key or origin has no order to keep.
func (o *Order) Note(r *Record, l *Letter) {
	if r.Key == nil || l.Origin == nil {
		return
	}
	if o.letters >= orderLetters {
		o.skipped++
		return
	}
	o.letters++
	part := kafka.Partition{Topic: l.Origin.Topic, Number: l.Origin.Partition}
	p := o.parts[part]
	if p == nil {
		p = &orderPart{first: l.Origin.Offset, keys: map[string][]orderLetter{}, own: map[int64]bool{}}
		o.parts[part] = p
	}
	p.first = min(p.first, l.Origin.Offset)
	p.keys[string(r.Key)] = append(p.keys[string(r.Key)], orderLetter{l.Origin.Offset, l.Place})
	p.own[l.Origin.Offset] = true
}

// Passed says which offsets of a partition were delivered: those for which Is reports true,
// all of them below End.
type Passed struct {
	End int64
	Is  func(offset int64) bool
}

// Look reads behind the letters which later events of their entities were delivered. wants
// reports whether an event is one that is delivered at all.
func (o *Order) Look(ctx context.Context, from Source, passed func(kafka.Partition) Passed, wants func(*Record) bool) (later Later, err error) {
	later.Unchecked = o.skipped
	for part, p := range o.parts {
		if err := p.look(ctx, from, part, passed(part), wants, &later); err != nil {
			return later, fmt.Errorf("look for later events in %s: %w", part, err)
		}
	}
	return later, nil
}

func (p *orderPart) look(ctx context.Context, from Source, part kafka.Partition, passed Passed, wants func(*Record) bool, later *Later) error {
	newest := map[string]int64{}
	read, whole := 0, true
	if passed.End > p.first+1 {
		err := from.Read(ctx, Span{part, p.first + 1, passed.End}, func(r *Record) error {
			if read++; read > orderRecords {
				whole = false
				return ErrStop
			}
			if _, ours := p.keys[string(r.Key)]; ours && r.Key != nil && !p.own[r.Offset] && passed.Is(r.Offset) && wants(r) {
				newest[string(r.Key)] = r.Offset
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrStop) {
			return err
		}
	}
	for key, letters := range p.keys {
		for _, l := range letters {
			switch at, ok := newest[key]; {
			case ok && at > l.offset:
				later.Letters++
				if later.Example == "" {
					later.Example = l.place.String()
				}
			case !whole:
				later.Unchecked++
			}
		}
	}
	return nil
}
