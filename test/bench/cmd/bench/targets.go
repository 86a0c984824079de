package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"eventgateway/test/bench/internal/report"
)

// targets are the limits that a run passes or fails by; zero and nil: none.
type targets struct {
	cpuRatio      float64 // at the most connections
	p50Ratio      float64 // at the fewest
	batchCPURatio float64

	// By the connections of a closed loop.
	throughputRatio perConnections[float64]
	p50Above        perConnections[time.Duration]
}

func (t *targets) register(f *flag.FlagSet) {
	f.Float64Var(&t.cpuRatio, "max-cpu-ratio", 0, "target: CPU per event, candidate/base, at the most connections; 0 for none")
	f.Float64Var(&t.p50Ratio, "max-p50-ratio", 0, "target: median latency, candidate/base, at the fewest connections; 0 for none")
	t.throughputRatio.parse = func(s string) (float64, error) { return strconv.ParseFloat(s, 64) }
	f.Var(&t.throughputRatio, "min-throughput-ratio", "target: throughput, candidate/base, by `connections=ratio`: 64=0.7,256=0.5")
	t.p50Above.parse = time.ParseDuration
	f.Var(&t.p50Above, "max-p50-above", "target: median latency, candidate minus base, by `connections=duration`: 64=4ms")
}

func (t *targets) validate(o *options) error {
	var errs []error
	if (t.cpuRatio > 0 || t.p50Ratio > 0) && len(o.connections) == 0 {
		errs = append(errs, errors.New("a target needs a closed-loop scenario: give --connections"))
	}
	if t.batchCPURatio > 0 && (o.batch == 0 || len(o.connections) == 0) {
		errs = append(errs, errors.New("the target of batches needs batches and a closed-loop scenario: give --batch and --connections"))
	}
	for _, n := range slices.Concat(t.throughputRatio.connections(), t.p50Above.connections()) {
		if !slices.Contains(o.connections, n) {
			errs = append(errs, fmt.Errorf("a target at %d connections is not measured: give --connections %d", n, n))
		}
	}
	return errors.Join(errs...)
}

// at holds a closed loop to the targets at its connections.
func (t targets) at(sc report.Scenario) []report.Verdict {
	var verdicts []report.Verdict
	if limit, ok := t.throughputRatio.limits[sc.Connections]; ok {
		_, _, ratio := sc.Compare(report.MetricNamed(report.Throughput))
		verdicts = append(verdicts, report.AtLeast("throughput, ratio, "+sc.Name, ratio.Median, limit))
	}
	if limit, ok := t.p50Above.limits[sc.Connections]; ok {
		p50 := report.MetricNamed(report.LatencyP50)
		base, candidate, _ := sc.Compare(p50)
		v := report.Verdict{
			Name:  "median latency above the base, ms, " + sc.Name,
			Value: sc.Difference(p50).Median / 1000, Bound: "at most", Limit: limit.Seconds() * 1000,
		}
		// A candidate may be faster than the base, but a figure must not be missing.
		v.Pass = base.Min > 0 && candidate.Min > 0 && v.Value <= v.Limit
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// conclude computes the ratios and compares them with the targets: CPU per event under
// full load, latency without queueing.
func conclude(scenarios []report.Scenario, t targets) (map[string]map[string]report.Spread, []report.Verdict) {
	ratios := make(map[string]map[string]report.Spread)
	var verdicts []report.Verdict
	var fewest, most, batches *report.Scenario
	for i := range scenarios {
		sc := &scenarios[i]
		ratios[sc.Name] = make(map[string]report.Spread)
		for _, m := range report.Metrics() {
			_, _, ratios[sc.Name][m.Name] = sc.Compare(m)
		}
		if sc.Loads != nil {
			batches = sc
		}
		if sc.Rate > 0 || sc.Batch > 0 {
			continue
		}
		if fewest == nil || sc.Connections < fewest.Connections {
			fewest = sc
		}
		verdicts = append(verdicts, t.at(*sc)...)
		if most == nil || sc.Connections > most.Connections {
			most = sc
		}
	}
	if t.cpuRatio > 0 {
		ratio := ratios[most.Name][report.CPUPerEvent].Median
		verdicts = append(verdicts, report.AtMost("CPU per event, ratio, "+most.Name, ratio, t.cpuRatio))
	}
	if t.p50Ratio > 0 {
		ratio := ratios[fewest.Name][report.LatencyP50].Median
		verdicts = append(verdicts, report.AtMost("median latency, ratio, "+fewest.Name, ratio, t.p50Ratio))
	}
	if t.batchCPURatio > 0 {
		ratio := ratios[batches.Name][report.CPUPerEvent].Median
		verdicts = append(verdicts, report.AtMost("CPU per event, ratio, "+batches.Name, ratio, t.batchCPURatio))
	}
	return ratios, verdicts
}

// perConnections is a flag of limits by number of connections: 64=0.7,256=0.5.
type perConnections[T any] struct {
	parse  func(string) (T, error)
	limits map[int]T
}

func (p *perConnections[T]) String() string { return "" } // the default: none

func (p *perConnections[T]) Set(s string) error {
	p.limits = make(map[int]T)
	for _, pair := range split(s) {
		at, limit, _ := strings.Cut(pair, "=")
		n, err := strconv.Atoi(at)
		if err != nil {
			return fmt.Errorf("want connections=limit, not %q", pair)
		}
		if p.limits[n], err = p.parse(limit); err != nil {
			return fmt.Errorf("read limit at %d connections: %w", n, err)
		}
	}
	return nil
}

func (p *perConnections[T]) connections() []int { return slices.Sorted(maps.Keys(p.limits)) }
