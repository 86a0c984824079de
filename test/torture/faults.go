package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"eventgateway/internal/backoff"
)

// part is what a fault breaks. Two faults at a time break different parts.
type part uint8

const (
	partGateway part = iota
	partKafka
	partStore
	partTopics
	partDatabase
	partEndpoint
)

// faultKind is one way to break something.
type faultKind struct {
	name string
	part part
	// late says that bytes, brokers or gateways stand still. Two of these at a time
	// could add up to more than the lease allows.
	late bool
	// outlives says that a produce request may outlive the lease. Such a fault is
	// injected only under the guarantee that does not assume the contrary.
	outlives bool
	// loses says that claims may be lost, and have to be read back from the log.
	loses bool
	rare  bool // a quarter as often
	// requests says that it needs requests to a gateway.
	requests bool
	// relays says that relays have to bear it five times as often.
	relays bool
	// repeats says that something may stand still several times in an event's life,
	// for which a tight lease leaves no time.
	repeats bool
	fits    func(o *Options) bool
	begin   func(ctx context.Context, w *world, dice *rand.Rand) (*fault, error)
}

// fault is one that has begun.
type fault struct {
	target string
	wait   func(ctx context.Context)       // until it has lasted long enough; nil: not at all
	heal   func(ctx context.Context) error // nil: nothing is to be healed
	loses  bool                            // as of its kind
}

func (k faultKind) suits(o *Options) bool {
	switch {
	case o.Subscriptions && pushWeight(k.name) == 0:
		return false
	case o.Outbox != "" && k.requests:
		return false
	case k.outlives && o.Guarantee != transactional && !o.Subscriptions:
		return false
	case k.repeats && o.tight() && o.Guarantee != transactional:
		return false
	case o.Together && len(o.Only) == 0:
		return k.name == "refusals" || k.name == "kafka-break-answers"
	case len(o.Only) > 0 && !slices.Contains(o.Only, k.name):
		return false
	}
	return k.fits == nil || k.fits(o)
}

func faultKinds() []faultKind {
	return slices.Concat(gatewayFaults(), kafkaFaults(), networkFaults(), storeFaults(), livingStoreFaults(), restartFaults(), databaseFaults(), pushFaults(), []faultKind{
		{name: "refusals", part: partTopics, requests: true, begin: refuse},
	})
}

// lasting returns a wait of that long.
func lasting(d time.Duration) func(context.Context) {
	return func(ctx context.Context) { backoff.Sleep(ctx, d) }
}

// between draws a duration.
func between(dice *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(dice.Int64N(int64(to-from)+1))
}

// short draws how long something may stand still under either guarantee.
func (w *world) short(dice *rand.Rand) time.Duration {
	return between(dice, w.opts.brief()/8, w.opts.brief())
}

// long draws how long something stands still to outlive the lease.
func (w *world) long(dice *rand.Rand) time.Duration {
	return between(dice, w.opts.Lease+500*time.Millisecond, w.opts.Lease+3*time.Second)
}

// injected is a line of the run's story.
type injected struct {
	number     int
	kind       string
	target     string
	from, to   time.Duration // of the run
	recovering time.Duration // until service was back; 0: it was not awaited
}

// scheduler injects faults one after the other, a quarter of them two at a time.
type scheduler struct {
	w           *world
	kinds       []faultKind // each as many times as it is likely
	suited      []faultKind // each once
	story       []*injected
	found       []Violation
	lost        []recovery
	serviceLost bool // service did not come back: there is nothing left to break
}

func newScheduler(w *world) *scheduler {
	s := &scheduler{w: w}
	for _, k := range faultKinds() {
		if !k.suits(w.opts) {
			continue
		}
		s.suited = append(s.suited, k)
		times := 4
		switch {
		case w.opts.Subscriptions:
			times = pushWeight(k.name)
		case k.rare:
			times = 1
		case k.relays && w.opts.Outbox != "":
			times = 20
		}
		for range times {
			s.kinds = append(s.kinds, k)
		}
	}
	return s
}

// run injects until ctx ends or more returns false. An error means that
// the harness itself failed.
func (s *scheduler) run(ctx context.Context, more func(faults int) bool) error {
	if s.w.opts.Together {
		return s.round(ctx, plan{kinds: s.suited, wait: true})
	}
	for n := 0; ctx.Err() == nil && !s.serviceLost && more(len(s.story)); n++ {
		if err := s.round(ctx, s.plan(n)); err != nil {
			return err
		}
	}
	return nil
}

// plan is what the n-th round does. It follows from the seed and n alone.
type plan struct {
	number int
	kinds  []faultKind
	wait   bool          // for service, before the next round
	gap    time.Duration // before the next round
}

func (s *scheduler) plan(n int) plan {
	dice := s.dice(n, 0)
	p := plan{number: n, kinds: []faultKind{s.kinds[dice.IntN(len(s.kinds))]}}
	second := s.kinds[dice.IntN(len(s.kinds))]
	if dice.IntN(4) == 0 && s.sideBySide(p.kinds[0], second) {
		p.kinds = append(p.kinds, second)
	}
	p.wait, p.gap = dice.IntN(5) > 0, between(dice, 100*time.Millisecond, 1500*time.Millisecond)
	return p
}

// sideBySide tells whether two faults may be injected at once.
func (s *scheduler) sideBySide(a, b faultKind) bool {
	if a.part == b.part || a.late && b.late {
		return false
	}
	slow := a.late && b.part == partStore || b.late && a.part == partStore
	return !slow || !s.w.opts.tight() || s.w.opts.Guarantee == transactional
}

// dice are those of one fault of a round, or, with number 0, of the round itself.
func (s *scheduler) dice(round, number int) *rand.Rand {
	return rand.New(rand.NewPCG(s.w.opts.Seed, uint64(round)<<8|uint64(number)))
}

// round is one fault, or two side by side, and the wait for service after it. Neither
// fault waits for the other: nothing stands still for longer than was drawn.
func (s *scheduler) round(ctx context.Context, p plan) error {
	after, limit := "", s.w.opts.Limit
	told := make([]*injected, len(p.kinds))
	faults := make([]*fault, len(p.kinds))
	var g errgroup.Group
	for i, k := range p.kinds {
		told[i] = &injected{number: len(s.story) + 1, kind: k.name, from: s.w.history.since()}
		s.story = append(s.story, told[i])
		g.Go(func() (err error) {
			faults[i], err = s.inject(ctx, k, told[i], s.dice(p.number, i+1))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, k := range p.kinds {
		if after != "" {
			after += " + "
		}
		after += k.name
		if k.loses || faults[i].loses {
			limit = s.w.opts.Limit + s.w.opts.Rebuild
		}
	}
	if !p.wait { // the next fault comes before service has recovered from this one
		s.print(told, 0)
		backoff.Sleep(ctx, p.gap)
		return nil
	}
	rec := s.w.awaitService(context.WithoutCancel(ctx), after, limit)
	s.lost = append(s.lost, rec)
	s.serviceLost = !rec.back
	if v := rec.violation(); v != nil {
		s.found = append(s.found, *v)
		s.w.printf("VIOLATION %v", *v)
	}
	s.print(told, rec.took)
	backoff.Sleep(ctx, p.gap)
	return nil
}

// inject begins a fault, waits until it has lasted long enough and heals it, even if
// the run ends meanwhile.
func (s *scheduler) inject(ctx context.Context, k faultKind, told *injected, dice *rand.Rand) (*fault, error) {
	const healLimit = 3 * time.Minute
	f, err := k.begin(context.WithoutCancel(ctx), s.w, dice) // no fault is left half done
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", k.name, err)
	}
	switch {
	case s.w.opts.Together:
		s.w.printf("%s has begun: %s", k.name, f.target)
		<-ctx.Done()
	case f.wait != nil:
		f.wait(ctx)
	}
	if f.heal != nil {
		hctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healLimit)
		defer cancel()
		err = f.heal(hctx)
	}
	told.target, told.to = f.target, s.w.history.since()
	if err != nil {
		return nil, fmt.Errorf("heal %s: %w", k.name, err)
	}
	return f, nil
}

// print writes one line per fault.
func (s *scheduler) print(told []*injected, took time.Duration) {
	for _, in := range told {
		in.recovering = took
		s.w.printf("%s", in)
	}
}

// String is the line of a fault.
func (i *injected) String() string {
	back := "not waited for"
	if i.recovering > 0 {
		back = "service back after " + i.recovering.Round(time.Millisecond).String()
	}
	return fmt.Sprintf("fault %3d  %-28s %-34s at %7.2fs for %6.2fs  %s",
		i.number, i.kind, i.target, i.from.Seconds(), (i.to - i.from).Seconds(), back)
}
