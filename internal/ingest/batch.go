package ingest

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

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
	req     Request
	checked event.Checked
	invalid error
	answer  *Answer
}

// AcceptBatch takes events through the door, each on its own, and answers them in
// order. Events of one entity are written one after the other; when one fails,
// those behind it are held back. Events of different entities do not wait for each
// other. An error means that none was taken.
//
// The data's way: check all in order, sort them into lanes by entity, run the
// lanes side by side.
func (d *Door) AcceptBatch(ctx context.Context, reqs []Request) ([]Answer, error) {
	size := int64(0)
	for _, r := range reqs {
		size += int64(len(r.Data))
	}
	leave, err := d.admit(size)
	if err != nil {
		return nil, err
	}
	defer leave()

	answers := make([]Answer, len(reqs))
	items := make([]item, len(reqs))
	for i, r := range reqs {
		items[i] = item{req: r, answer: &answers[i]}
		items[i].checked, items[i].invalid = d.check(r)
	}
	lanes := sortIntoLanes(items)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(len(lanes), maxLanes) {
		workers.Go(func() {
			for n := next.Add(1) - 1; n < int64(len(lanes)); n = next.Add(1) - 1 {
				d.runLane(ctx, lanes[n])
			}
		})
	}
	workers.Wait()
	return answers, nil
}

// laneOf names what an event must stay in order with: its entity, else whatever
// has its identity. Without either it stands alone, under an empty name.
func laneOf(it *item) string {
	if it.checked.Key != nil {
		return "e" + it.checked.Definition.Topic + "/" + *it.checked.Key // no topic has a slash
	}
	if !it.req.Identity.IsZero() {
		id := it.req.Identity.ClaimID(it.req.Client)
		return "i" + string(id[:])
	}
	return ""
}

func sortIntoLanes(items []item) [][]*item {
	var lanes [][]*item
	index := make(map[string]int, len(items))
	for i := range items {
		name := laneOf(&items[i])
		at, ok := index[name]
		if !ok || name == "" {
			at = len(lanes)
			index[name] = at
			lanes = append(lanes, nil)
		}
		lanes[at] = append(lanes[at], &items[i])
	}
	return lanes
}

// runLane takes the events of one entity through the door, one after the other.
func (d *Door) runLane(ctx context.Context, lane []*item) {
	failed := false
	for _, it := range lane {
		if failed && it.checked.Key != nil {
			it.answer.Err = d.count(label(it.checked), event.Refuse(event.HeldBack,
				"An earlier event of the entity %q in this batch was not accepted, so this one was held back to keep their order. Nothing was written; send it again behind the other.", *it.checked.Key))
			continue
		}
		it.answer.Result, it.answer.Err = d.enterSafely(ctx, it)
		failed = failed || it.answer.Err != nil
	}
}

// enterSafely is enter on a goroutine of the door's own: a panic must end the
// event, not the process.
func (d *Door) enterSafely(ctx context.Context, it *item) (result Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = d.count(label(it.checked), event.Failure(fmt.Errorf("panic: %v\n%s", p, debug.Stack())))
		}
	}()
	return d.enter(ctx, it.req, it.checked, it.invalid)
}
