package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Result is what a run found.
type Result struct {
	Seed       uint64
	Violations []Violation
	Accepted   int            // keys with a 2xx
	By         map[string]int // the same by how they were posted
	Keys       int            // keys that were posted
	Records    int            // records in the log
	Faults     map[string]int // by kind
	Points     map[string]int // failpoints that were hit
	Answers    map[string]int // by what they say
	Asked      map[string]int // answers to questions for receipts
	Recoveries []Recovery     // by the faults before them
	Took       time.Duration
	Folder     string // with the reports of violations; "" if there were none
}

// Recovery sums up how service came back after one kind of fault.
type Recovery struct {
	After        string
	Times        int
	Median, Most time.Duration
}

// Broken counts the violations of a rule.
func (r *Result) Broken(rule string) int {
	n := 0
	for _, v := range r.Violations {
		if v.Rule == rule {
			n++
		}
	}
	return n
}

// Run does one run. An error means that the harness failed; what the gateways did
// wrong is in the result.
func Run(ctx context.Context, o Options) (result *Result, err error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("read options: %w", err)
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64N(1 << 32)
	}
	dir, err := os.MkdirTemp("", "torture-")
	if err != nil {
		return nil, fmt.Errorf("create work folder: %w", err)
	}
	fmt.Fprintf(o.Out, "seed %d\n", o.Seed)
	w, err := startWorld(ctx, &o, dir)
	defer func() {
		w.close()
		if err == nil {
			err = errors.Join(err, os.RemoveAll(dir))
		} else {
			err = fmt.Errorf("%w (seed %d; logs are in %s)", err, o.Seed, dir)
		}
	}()
	if err != nil {
		return nil, err
	}
	if w.shop != nil {
		return w.tortureOutbox(ctx)
	}
	if w.push != nil {
		return w.torturePushes(ctx)
	}
	return w.torture(ctx)
}

// torture runs clients and faults, heals everything, and checks the result.
func (w *world) torture(ctx context.Context) (*Result, error) {
	o := w.opts
	tailCtx, stopTail := context.WithCancel(ctx)
	defer stopTail()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.Duration > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, o.Duration)
		defer stop()
	}
	t, err := startTail(tailCtx, o, joinAddrs(w.kafka.direct()), func() {
		if o.StopEarly {
			cancel()
		}
	})
	if err != nil {
		return nil, err
	}
	posting, stopPosting := context.WithCancel(context.Background())
	defer stopPosting()
	finishing, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	c := &clients{history: w.history, posters: w.posters}
	c.start(posting, finishing, o)
	go w.progress(tailCtx, t)

	s := newScheduler(w)
	err = s.run(ctx, func(faults int) bool {
		accepted, _ := w.history.totals()
		return o.Events == 0 && o.Faults == 0 || accepted < o.Events || faults < o.Faults
	})
	stopPosting()
	if err != nil {
		giveUp()
		c.workers.Wait()
		return nil, err
	}
	w.healAll()
	c.finishRefused(finishing, &w.refused, o)
	found := append(s.found, w.finish(c, giveUp)...)
	found = append(found, w.stopGateways()...)
	stopTail()
	<-t.done
	return w.check(s, found)
}

// finish waits for service and then for the clients, each of which repeats its current
// job until it has a final answer.
func (w *world) finish(c *clients, giveUp context.CancelFunc) []Violation {
	var found []Violation
	last := w.awaitService(context.Background(), "all faults", w.opts.Limit+w.opts.Rebuild)
	w.printf("service is back %v after the last fault", last.took.Round(time.Millisecond))
	if v := last.violation(); v != nil {
		found = append(found, *v)
	}
	if !last.back {
		giveUp()
		c.workers.Wait()
		return found
	}
	begun := time.Now()
	limit := w.opts.Lease + w.opts.Limit + w.opts.Rebuild
	timer := time.AfterFunc(limit, giveUp)
	defer timer.Stop()
	c.workers.Wait()
	w.printf("clients are done %v later", time.Since(begun).Round(time.Millisecond))
	if time.Since(begun) >= limit {
		found = append(found, Violation{Rule: "f", Text: fmt.Sprintf("some keys had no final answer %v after service was back", limit)})
	}
	return found
}

// check reads the log and compares the history with it.
func (w *world) check(s *scheduler, found []Violation) (*Result, error) {
	var log []Record
	for _, topic := range topicNames() {
		records, err := readLog(context.Background(), w.opts, joinAddrs(w.kafka.direct()), topic)
		if err != nil {
			return nil, err
		}
		log = append(log, records...)
	}
	found = append(found, Check(w.history.keys, log, Facts{PartitionsAdded: w.kafka.added > 0})...)
	r, err := w.result(s, found, log)
	if err != nil {
		return nil, err
	}
	w.report(r)
	return r, nil
}

// result sums up a run.
func (w *world) result(s *scheduler, found []Violation, log []Record) (*Result, error) {
	r := &Result{
		Seed: w.opts.Seed, Violations: found, Records: len(log), Took: w.history.since(),
		Faults: map[string]int{}, Points: map[string]int{}, Answers: w.history.answers, Asked: w.history.asked,
	}
	r.Accepted, r.Keys = w.history.totals()
	r.By = w.history.accepted
	for _, in := range s.story {
		r.Faults[in.kind]++
	}
	for _, g := range w.gateways {
		for point, n := range g.points {
			r.Points[point] += n
		}
	}
	r.Recoveries = sumUp(s.lost)
	if len(found) > 0 {
		var err error
		if r.Folder, err = w.saveEvidence(s, found, log); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func sumUp(all []recovery) []Recovery {
	by := map[string][]time.Duration{}
	for _, r := range all {
		by[r.after] = append(by[r.after], r.took)
	}
	var out []Recovery
	for after, took := range by {
		slices.Sort(took)
		out = append(out, Recovery{After: after, Times: len(took), Median: took[len(took)/2], Most: took[len(took)-1]})
	}
	slices.SortFunc(out, func(a, b Recovery) int { return int(b.Most - a.Most) })
	return out
}

// saveEvidence writes the violations, and logs that explain them, to the results
// folder.
func (w *world) saveEvidence(s *scheduler, found []Violation, log []Record) (string, error) {
	dir, err := w.opts.results()
	if err != nil {
		return "", err
	}
	if err := writeViolations(filepath.Join(dir, "violations.txt"), w.opts, found, log, s.story); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(w.dir, "gateway-*")) // logs, configurations, goroutines
	for _, file := range files {
		raw, rerr := os.ReadFile(file)
		if rerr == nil {
			rerr = os.WriteFile(filepath.Join(dir, filepath.Base(file)), raw, 0o600)
		}
		err = errors.Join(err, rerr)
	}
	if err != nil {
		return "", fmt.Errorf("keep gateway logs: %w", err)
	}
	return dir, nil
}
