package ingest

import (
	"context"
	"sync"

	"eventgateway/internal/event"
)

// maxLanes bounds the goroutines of one batch. Events wait for the store and the
// log together, so more would gain little.
const maxLanes = 128

// Answer is what became of one event of a batch: Err is an *event.Error or nil.
type Answer struct {
	Result Result
	Err    error
}

// item is one event of a batch on its way.
type item struct {
	req     *Request
	checked event.Checked
	invalid error
	answer  *Answer
	next    *item // of the same lane
}

// AcceptBatch takes events through the door, each on its own, and answers them in
// order. Events of one entity are written one after the other; when one fails,
// those behind it are held back. Events of different entities do not wait for each
// other.
//
// The data's way: check all in order, sort them into lanes by entity, run the
// lanes side by side: those of one event together, each other on a goroutine.
func (d *Door) AcceptBatch(ctx context.Context, reqs []Request) []Answer {
	answers := make([]Answer, len(reqs))
	items := make([]item, len(reqs))
	for i := range reqs {
		items[i] = item{req: &reqs[i], answer: &answers[i]}
		items[i].checked, items[i].invalid = d.check(&reqs[i])
	}
	lanes := sortIntoLanes(items)
	together := make([]*item, 0, len(lanes))
	others := lanes[:0]
	for _, first := range lanes {
		if first.next == nil && first.simple() {
			together = append(together, first)
		} else {
			others = append(others, first)
		}
	}
	w := newWorkers(maxLanes)
	if len(others) > 0 {
		w.all.Go(func() {
			for _, first := range others {
				w.run(func() { d.runLane(ctx, first) })
			}
		})
	}
	d.enterTogether(ctx, together, w.run)
	w.all.Wait()
	return answers
}

// workers run functions side by side, so many at a time.
type workers struct {
	free chan struct{}
	all  sync.WaitGroup
}

func newWorkers(most int) *workers { return &workers{free: make(chan struct{}, most)} }

// run waits for a free worker.
func (w *workers) run(do func()) {
	w.free <- struct{}{}
	w.all.Go(func() {
		defer func() { <-w.free }()
		do()
	})
}

// lane names what an event must stay in order with: its entity, else, without
// topic, whatever has its identity. Without either it stands alone, in no lane.
type lane struct{ topic, key string }

func laneOf(it *item) lane {
	if it.checked.Key != nil {
		return lane{it.checked.Definition.Topic, *it.checked.Key}
	}
	if !it.req.Identity.IsZero() {
		id := it.req.Identity.ClaimID(it.req.Client)
		return lane{"", string(id[:])}
	}
	return lane{}
}

// sortIntoLanes returns the first item of each lane, which leads to the others.
func sortIntoLanes(items []item) []*item {
	firsts := make([]*item, 0, len(items))
	last := make(map[lane]*item, len(items))
	for i := range items {
		it := &items[i]
		name := laneOf(it)
		if before := last[name]; before != nil && name != (lane{}) {
			before.next = it
		} else {
			firsts = append(firsts, it)
		}
		last[name] = it
	}
	return firsts
}

// runLane takes the events of one entity through the door, one after the other.
func (d *Door) runLane(ctx context.Context, first *item) {
	failed := false
	for it := first; it != nil; it = it.next {
		if failed && it.checked.Key != nil {
			it.answer.Err = d.count(label(it.checked), event.Refuse(event.HeldBack,
				"An earlier event of the entity %q in this batch was not accepted, so this one was held back to keep their order. Nothing was written; send it again behind the other.", *it.checked.Key))
			continue
		}
		d.guard(it, func() {
			it.answer.Result, it.answer.Err = d.enter(ctx, it.req, it.checked, it.invalid)
		})
		failed = failed || it.answer.Err != nil
	}
}
