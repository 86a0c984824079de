package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"time"

	"eventgateway/test/bench/internal/load"
	"eventgateway/test/bench/internal/proc"
	"eventgateway/test/bench/internal/report"
	"eventgateway/test/bench/internal/target"
)

const (
	sampleEvery = 3 * time.Second
	// settleShare of the samples is left out: pools and caches fill first.
	settleShare = 0.2
	// maxCountGrowth is the most that goroutines and descriptors may grow by. Unlike memory
	// they do not depend on garbage collection, so a steady increase is a leak.
	maxCountGrowth = 0.03
	// fewestSamples are needed for a meaningful slope.
	fewestSamples = 10
)

// sample is one measurement of the process, in bytes and seconds since the start.
type sample struct {
	At          float64 `json:"at"`
	Resident    float64 `json:"resident"`
	HeapGoal    float64 `json:"heap_goal"`
	HeapAlloc   float64 `json:"heap_alloc"`
	HeapInUse   float64 `json:"heap_in_use"`
	GoSys       float64 `json:"go_sys"`
	Goroutines  float64 `json:"goroutines"`
	Descriptors float64 `json:"descriptors"`
	Threads     float64 `json:"threads"`
}

// growth is how a series developed after it had settled.
type growth struct {
	Name   string  `json:"name"`
	First  float64 `json:"first_median"` // of the first tenth
	Last   float64 `json:"last_median"`  // of the last tenth
	Slope  float64 `json:"slope_per_hour"`
	Growth float64 `json:"growth_share"` // slope times the window, over the median
}

// soakOutcome is the JSON of a soak.
type soakOutcome struct {
	Time     time.Time        `json:"time"`
	Setup    setup            `json:"setup"`
	Result   load.Result      `json:"result"`
	Growths  []growth         `json:"growths"`
	Verdicts []report.Verdict `json:"verdicts"`
	Samples  []sample         `json:"samples"`
}

func soakCommand(ctx context.Context, args []string) error {
	var o options
	f := flag.NewFlagSet("bench soak", flag.ContinueOnError)
	o.register(f)
	connections := f.Int("connections", 64, "closed-loop connections")
	f.DurationVar(&o.duration, "duration", 10*time.Minute, "length of the soak")
	f.Float64Var(&o.openRate, "open-rate", 0, "requests per second; 0 sends as fast as answers come")
	f.Float64Var(&o.maxGrowth, "max-growth", 0.1, "target: growth of memory over the settled part of the soak, as a share")
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("parse flags: %w", err)
	}
	o.rounds, o.connections = 1, numbers{*connections}
	if err := o.validate(); err != nil {
		return fmt.Errorf("check flags: %w", err)
	}
	return withSession(ctx, o, func(s *session) error { return s.soak(ctx, *connections) })
}

func (s *session) soak(ctx context.Context, connections int) (err error) {
	spec, err := s.gateway(ctx, "gateway", s.options.gateway, target.GatewayConfig{Client: s.options.client})
	if err != nil {
		return err
	}
	server, err := target.Start(ctx, spec, s.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	out := soakOutcome{Time: time.Now().UTC(), Setup: s.options.setup}
	done, stop := context.WithCancel(ctx)
	sampled := make(chan error, 1)
	go func() {
		var err error
		out.Samples, err = watch(done, server)
		sampled <- err
	}()
	out.Result, err = s.measure(ctx, server, load.Options{
		Connections: connections, Rate: s.options.openRate, Duration: s.options.duration,
	})
	stop()
	if err = errors.Join(err, <-sampled); err != nil {
		return err
	}
	return s.reportSoak(out)
}

// watch samples until ctx is done.
func watch(ctx context.Context, server *target.Server) ([]sample, error) {
	var samples []sample
	start := time.Now()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return samples, nil
		case <-tick.C:
		}
		one, err := look(ctx, server)
		if ctx.Err() != nil {
			return samples, nil
		}
		if err != nil {
			return samples, fmt.Errorf("sample %s: %w", server.Spec.Name, err)
		}
		one.At = time.Since(start).Seconds()
		samples = append(samples, one)
		fmt.Fprintf(os.Stderr, "%6.0f s  resident %6.1f MiB  Go heap %6.1f MiB  goroutines %.0f  descriptors %.0f  threads %.0f\n",
			one.At, one.Resident/(1<<20), one.HeapAlloc/(1<<20), one.Goroutines, one.Descriptors, one.Threads)
	}
}

func look(ctx context.Context, server *target.Server) (sample, error) {
	memory, err := proc.ReadMemory(server.PID)
	if err != nil {
		return sample{}, err
	}
	page, err := target.Get(ctx, "http://"+server.Admin+"/metrics")
	if err != nil {
		return sample{}, err
	}
	m, err := proc.ParseMetrics(bytes.NewReader(page))
	if err != nil {
		return sample{}, err
	}
	descriptors, err := proc.Descriptors(server.PID)
	if err != nil {
		return sample{}, err
	}
	threads, err := proc.Threads(server.PID)
	if err != nil {
		return sample{}, err
	}
	return sample{
		Resident:    float64(memory.Resident),
		HeapGoal:    m["go_memstats_next_gc_bytes"],
		HeapAlloc:   m["go_memstats_heap_alloc_bytes"],
		HeapInUse:   m["go_memstats_heap_inuse_bytes"],
		GoSys:       m["go_memstats_sys_bytes"],
		Goroutines:  m["go_goroutines"],
		Descriptors: float64(descriptors),
		Threads:     float64(threads),
	}, nil
}

func (s *session) reportSoak(out soakOutcome) error {
	settled := out.Samples[int(math.Ceil(settleShare*float64(len(out.Samples)))):]
	if len(settled) < fewestSamples {
		return fmt.Errorf("soak: %d samples after settling, %d are needed: give a longer --duration", len(settled), fewestSamples)
	}
	for _, series := range []struct {
		name  string
		of    func(sample) float64
		limit float64 // 0: shown only
	}{
		{"resident memory", func(x sample) float64 { return x.Resident }, s.options.maxGrowth},
		// It follows what lives after a collection. What is allocated doubles between two,
		// so that a slope through its samples is off by a tenth of itself.
		{"Go heap goal", func(x sample) float64 { return x.HeapGoal }, s.options.maxGrowth},
		{"Go heap allocated", func(x sample) float64 { return x.HeapAlloc }, 0},
		{"Go heap in use", func(x sample) float64 { return x.HeapInUse }, 0},
		{"Go memory from the system", func(x sample) float64 { return x.GoSys }, 0},
		{"goroutines", func(x sample) float64 { return x.Goroutines }, maxCountGrowth},
		{"descriptors", func(x sample) float64 { return x.Descriptors }, maxCountGrowth},
		{"threads", func(x sample) float64 { return x.Threads }, 0},
	} {
		g := grow(series.name, settled, series.of)
		out.Growths = append(out.Growths, g)
		fmt.Printf("%-26s first %14.0f  last %14.0f  slope %+14.0f/h  growth %+.3f\n", g.Name, g.First, g.Last, g.Slope, g.Growth)
		if series.limit > 0 {
			out.Verdicts = append(out.Verdicts, flat(g, series.limit))
		}
	}
	path, err := report.WriteJSON(s.options.resultsDir, resultName("soak", out.Time), out)
	if err != nil {
		return err
	}
	r := out.Result
	fmt.Printf("%s: %d events acknowledged, %.0f/s, p50 %.0f us, p99 %.0f us, max %.0f us, CPU %.1f us/event, peak %.1f MiB\nwritten: %s\n\n",
		out.Setup, r.Acknowledged, r.Throughput, r.Latency.P50, r.Latency.P99, r.Latency.Max, r.CPUPerEvent, float64(r.PeakResident)/(1<<20), path)
	missed := false
	for _, v := range out.Verdicts {
		fmt.Println(v)
		missed = missed || !v.Pass
	}
	if missed {
		return errMissed
	}
	return nil
}

// grow fits a slope to a settled series. A missing gauge stays zero, which flat
// reports.
func grow(name string, settled []sample, of func(sample) float64) growth {
	x, y := make([]float64, len(settled)), make([]float64, len(settled))
	for i, one := range settled {
		x[i], y[i] = one.At, of(one)
	}
	tenth := max(1, len(y)/10)
	middle := report.NewSpread(y).Median
	g := growth{
		Name:  name,
		First: report.NewSpread(y[:tenth]).Median,
		Last:  report.NewSpread(y[len(y)-tenth:]).Median,
	}
	perSecond := report.Slope(x, y)
	g.Slope = perSecond * time.Hour.Seconds()
	if middle > 0 {
		g.Growth = perSecond * (x[len(x)-1] - x[0]) / middle
	}
	return g
}

// flat passes a series that shrank, or grew by no more than the limit, and fails a
// missing one.
func flat(g growth, limit float64) report.Verdict {
	return report.Verdict{
		Name: g.Name + " is flat, growth over the settled soak", Value: g.Growth, Bound: "at most", Limit: limit,
		Pass: g.First > 0 && g.Last > 0 && g.Growth <= limit,
	}
}
