package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"eventgateway/internal/backoff"
)

// BlastOptions say how to measure whom the loss of a broker harms.
type BlastOptions struct {
	Client                string // kafka.client; "": it is not configured
	Binary, Root          string // as in [Options]
	Set                   []string
	Scenarios             []string // names; empty: all
	Rate                  int      // events a second, spread over all partitions
	Partitions            int      // a multiple of the brokers
	Victim                int      // node id
	Before, During, After time.Duration
	Out                   io.Writer
}

// BlastDefaults are what issue and guarantees ask for.
func BlastDefaults() BlastOptions {
	return BlastOptions{Rate: 200, Partitions: 24, Victim: 2, Before: 20 * time.Second, During: time.Minute, After: 45 * time.Second, Out: os.Stdout}
}

// What a scenario must hold.
const (
	mostSlower  = 2.0 // p99 of the unharmed partitions, compared with before
	mostUnknown = 1.0 // percent of the harmed partitions' events
	wholeAgain  = 30 * time.Second
	blastSlow   = time.Second // an event that takes longer is not served
)

// Blast takes one of four brokers away, in several ways, under a steady load and with
// the gateway's default settings. A third of the brokers' replicas are missing then: it
// measures what becomes of the partitions that have one there, and of the others. It
// returns what missed a target. At the end it reads the whole log: no answer may have
// been false.
func Blast(ctx context.Context, o BlastOptions) (missed []string, err error) {
	run := Options{
		Guarantee: idempotent, Client: o.Client, Kafka: "four", Redis: redisSingle, Gateways: 2, Binary: o.Binary, Root: o.Root, Set: o.Set,
		Delivery: 20 * time.Second, Lease: time.Minute, // at most: the gateways have their own
		Clients: 1, Rate: o.Rate, Refusals: 1, Duration: time.Minute, Out: o.Out, blast: true,
	}
	if err := errors.Join(run.validate(), o.validate()); err != nil {
		return nil, fmt.Errorf("read options: %w", err)
	}
	dir, err := os.MkdirTemp("", "blast-")
	if err != nil {
		return nil, fmt.Errorf("create work folder: %w", err)
	}
	w, err := startBlast(ctx, &run, o, dir)
	defer func() {
		w.close()
		if err == nil && len(missed) == 0 {
			err = os.RemoveAll(dir)
		} else {
			fmt.Fprintf(o.Out, "logs are in %s\n", dir)
		}
	}()
	if err != nil {
		return nil, err
	}
	b := &blast{world: w, o: o, load: newBlastLoad(w, o)}
	return b.run(ctx)
}

func (o *BlastOptions) validate() error {
	var errs []error
	const brokers = 4
	if o.Rate < 1 || o.Partitions < brokers || o.Partitions%brokers != 0 {
		errs = append(errs, fmt.Errorf("rate %d, %d partitions: at least 1, and a multiple of %d", o.Rate, o.Partitions, brokers))
	}
	if o.Victim < 1 || o.Victim > brokers {
		errs = append(errs, fmt.Errorf("victim %d: 1 to %d", o.Victim, brokers))
	}
	for _, name := range o.Scenarios {
		if !slices.ContainsFunc(blastScenarios(), func(s blastScenario) bool { return s.name == name }) {
			errs = append(errs, fmt.Errorf("no scenario %q", name))
		}
	}
	return errors.Join(errs...)
}

// startBlast is startWorld without webhooks, and with one topic.
func startBlast(ctx context.Context, run *Options, o BlastOptions, dir string) (*world, error) {
	w := &world{opts: run, dir: dir, out: o.Out, history: newHistory()}
	binary, err := build(ctx, run, dir)
	if err != nil {
		return w, err
	}
	w.printf("starting four Kafka brokers, Redis and two gateways; logs are in %s", dir)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { w.kafka, err = startKafka(gctx, run, dir); return err })
	g.Go(func() (err error) { w.store, err = startStore(gctx, run, dir); return err })
	if err := g.Wait(); err != nil {
		return w, err
	}
	err = errors.Join(w.kafka.createSpread(ctx, blastType, o.Partitions), writeSchemas(filepath.Join(dir, "schemas"), true))
	for i := range run.Gateways {
		if err == nil {
			err = w.startGateway(i, binary)
		}
	}
	for _, g := range w.gateways {
		if err == nil {
			err = g.waitReady(ctx)
		}
	}
	return w, err
}

// blast is a run of [Blast].
type blast struct {
	*world
	o    BlastOptions
	load *blastLoad
}

func (b *blast) run(ctx context.Context) (missed []string, err error) {
	posting, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.load.run(posting)
	}()
	err = b.load.awaitQuiet(ctx)
	b.printf("%d events/s, %d partitions, victim broker %d; client %q\n%s", b.o.Rate, b.o.Partitions, b.o.Victim, b.o.Client, blastHeader)
	for _, s := range blastScenarios() {
		if err != nil || len(b.o.Scenarios) > 0 && !slices.Contains(b.o.Scenarios, s.name) {
			continue
		}
		var found []string
		found, err = b.scenario(ctx, s)
		missed = append(missed, found...)
	}
	stop()
	<-done
	b.healAll()
	for _, v := range b.stopGateways() {
		missed = append(missed, v.String())
	}
	if err != nil {
		return missed, err
	}
	log, err := readLog(ctx, b.opts, joinAddrs(b.kafka.direct()), blastType)
	if err != nil {
		return missed, err
	}
	wrong := Check(b.history.keys, log, Facts{})
	for i, v := range wrong {
		const shown = 10
		if i < shown {
			missed = append(missed, v.String())
		}
	}
	accepted, keys := b.history.totals()
	b.printf("\n%d events posted, %d accepted, %d records, %d false answers or other violations", keys, accepted, len(log), len(wrong))
	b.table(b.history.answers)
	for _, m := range missed {
		b.printf("MISSED %s", m)
	}
	return missed, nil
}

// scenario measures before, while and after a broker is missing.
func (b *blast) scenario(ctx context.Context, s blastScenario) (missed []string, err error) {
	if err := b.kafka.settle(ctx, blastType, s.wanted(b.o.Victim)); err != nil {
		return nil, err
	}
	quiet := time.Now()
	if !backoff.Sleep(ctx, b.o.Before) {
		return nil, context.Cause(ctx)
	}
	begun := time.Now()
	heal, err := s.begin(ctx, b.world, b.o.Victim)
	if err != nil {
		return nil, fmt.Errorf("begin %s: %w", s.name, err)
	}
	backoff.Sleep(ctx, b.o.During)
	healed := time.Now()
	if err := heal(context.WithoutCancel(ctx)); err != nil {
		return nil, fmt.Errorf("heal %s: %w", s.name, err)
	}
	backoff.Sleep(ctx, b.o.After-time.Since(healed))
	end := time.Now()
	b.load.settle(ctx, end)

	unharmed := func(p int32) bool { return !s.harms(p, b.o.Victim) }
	harmed := func(p int32) bool { return s.harms(p, b.o.Victim) }
	for _, group := range []struct {
		name string
		in   func(int32) bool
	}{{"without", unharmed}, {"with", harmed}} {
		before, during := b.load.measure(group.in, quiet, begun), b.load.measure(group.in, begun, healed)
		back, whole := b.load.wholeAfter(group.in, healed, end)
		b.printf("%-10s %-8s %v %v %8.2f %8.2f %10s", s.name, group.name, before, during,
			during.percent(during.unknown), during.percent(during.refused), back.Round(10*time.Millisecond))
		missed = append(missed, s.judge(group.name, before, during, back, whole)...)
	}
	return missed, nil
}

// judge compares what was measured with the targets.
func (s blastScenario) judge(group string, before, during blastStats, back time.Duration, whole bool) (missed []string) {
	miss := func(format string, args ...any) {
		missed = append(missed, fmt.Sprintf("%s, partitions %s: ", s.name, group)+fmt.Sprintf(format, args...))
	}
	if group == "without" && during.p99 > time.Duration(mostSlower*float64(before.p99)) {
		miss("p99 was %v and is %v", before.p99, during.p99)
	}
	if group == "without" && during.unknown+during.refused > 0 {
		miss("%d events unknown and %d refused", during.unknown, during.refused)
	}
	if group == "with" && !s.stuck && during.percent(during.unknown) > mostUnknown {
		miss("%.2f %% of the events are unknown", during.percent(during.unknown))
	}
	if !whole || back > wholeAgain {
		miss("not whole again %v after the heal", back)
	}
	return missed
}
