package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"eventgateway/test/bench/internal/load"
	"eventgateway/test/bench/internal/report"
	"eventgateway/test/bench/internal/target"
)

// outcome is the JSON of a comparison.
type outcome struct {
	Command     string                              `json:"command"`
	Time        time.Time                           `json:"time"`
	Cores       int                                 `json:"cores"`
	LoadAverage string                              `json:"load_average_before"`
	Base        string                              `json:"base"`
	Candidate   string                              `json:"candidate"`
	Setup       setup                               `json:"setup"`
	Ratios      map[string]map[string]report.Spread `json:"ratios"` // scenario, metric
	Verdicts    []report.Verdict                    `json:"verdicts,omitempty"`
	Scenarios   []report.Scenario                   `json:"scenarios"`
}

func runCommand(ctx context.Context, args []string) error {
	o, err := parseRounds("bench run", args, func(f *flag.FlagSet, o *options) {
		f.BoolVar(&o.profile, "profile", false, "also take a CPU profile of the gateway")
		o.registerFloor(f)
		o.registerBatches(f, 100)
		f.Float64Var(&o.targets.batchCPURatio, "max-batch-cpu-ratio", 0, "target: CPU per event, batches/single posts at the most connections; 0 for none")
	})
	if err != nil {
		return err
	}
	return withSession(ctx, o, func(s *session) error {
		binary, err := s.build(ctx, "floor", "./test/bench/cmd/floor")
		if err != nil {
			return err
		}
		base, err := s.floor(ctx, "floor", binary, o.floor)
		if err != nil {
			return err
		}
		candidate, err := s.gateway(ctx, "gateway", o.gateway, target.GatewayConfig{Client: o.client})
		if err != nil {
			return err
		}
		return s.versus(ctx, "run", base, candidate)
	})
}

func compareCommand(ctx context.Context, args []string) error {
	o, err := parseRounds("bench compare", args, func(f *flag.FlagSet, o *options) {
		f.StringVar(&o.old, "old", "", "older gateway `binary` to compare with (required)")
		f.StringVar(&o.oldClient, "old-client", "", "kafka.client of the older gateway; empty leaves it out")
		f.StringVar(&o.guarantee, "guarantee", "", "kafka.guarantee of the new gateway, to compare the two")
		f.StringVar(&o.clientRate, "client-rate", "", "have the new gateway ask for a key, whose client has this `rate` (1000000/s), to see what that costs")
		f.BoolVar(&o.profile, "profile", false, "also take a CPU profile of the new gateway")
		o.registerBatches(f, 0)
	})
	if err != nil {
		return err
	}
	if o.old == "" {
		return errors.New("compare: --old is required")
	}
	return withSession(ctx, o, func(s *session) error {
		base, err := s.gateway(ctx, "old", o.old, target.GatewayConfig{Client: o.oldClient})
		if err != nil {
			return err
		}
		candidate, err := s.gateway(ctx, "new", o.gateway, target.GatewayConfig{Client: o.client, Guarantee: o.guarantee, ClientRate: o.clientRate})
		if err != nil {
			return err
		}
		return s.versus(ctx, "compare", base, candidate)
	})
}

// calibrateCommand compares the floor with itself, or, with --floor2, with a floor that
// is set up otherwise.
func calibrateCommand(ctx context.Context, args []string) error {
	o, err := parseRounds("bench calibrate", args, func(f *flag.FlagSet, o *options) {
		o.registerFloor(f)
		f.Var(&o.floor2, "floor2", "flags of the second floor, `name=value`, after those of --floor")
	})
	if err != nil {
		return err
	}
	return withSession(ctx, o, func(s *session) error {
		binary, err := s.build(ctx, "floor", "./test/bench/cmd/floor")
		if err != nil {
			return err
		}
		base, err := s.floor(ctx, "floor", binary, o.floor)
		if err != nil {
			return err
		}
		candidate, err := s.floor(ctx, "floor2", binary, slices.Concat(o.floor, o.floor2))
		if err != nil {
			return err
		}
		return s.versus(ctx, "calibrate", base, candidate)
	})
}

func parseRounds(name string, args []string, extra func(*flag.FlagSet, *options)) (options, error) {
	var o options
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	o.register(f)
	o.registerRounds(f)
	extra(f, &o)
	if err := f.Parse(args); err != nil {
		return o, fmt.Errorf("parse flags: %w", err)
	}
	if err := o.validate(); err != nil {
		return o, fmt.Errorf("check flags: %w", err)
	}
	return o, nil
}

func withSession(ctx context.Context, o options, do func(*session) error) error {
	s, err := newSession(ctx, o)
	if err != nil {
		return err
	}
	return errors.Join(do(s), s.close(ctx))
}

// versus measures both servers in all scenarios and rounds, and reports.
func (s *session) versus(ctx context.Context, command string, base, candidate target.Spec) error {
	out := outcome{
		Command: command, Time: time.Now().UTC(), Cores: runtime.NumCPU(), LoadAverage: loadAverage(),
		Base: base.Name, Candidate: candidate.Name, Setup: s.options.setup,
		Scenarios: s.options.scenarios(command),
	}
	// A broker compiles its code while it warms up: the first figures are dropped.
	if err := s.round(ctx, 0, base, candidate, s.options.scenarios(command)); err != nil {
		return fmt.Errorf("warm-up round: %w", err)
	}
	for round := range s.options.rounds {
		if err := s.round(ctx, round, base, candidate, out.Scenarios); err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
	}
	if s.options.profile {
		if err := s.profile(ctx, candidate); err != nil {
			return err
		}
	}
	out.Ratios, out.Verdicts = conclude(out.Scenarios, s.options.targets)
	path, err := report.WriteJSON(s.options.resultsDir, resultName(command, out.Time), out)
	if err != nil {
		return err
	}
	if err := report.WriteTable(os.Stdout, base.Name, candidate.Name, out.Scenarios); err != nil {
		return err
	}
	fmt.Printf("\n%s; load average before: %s on %d cores; figures are medians (least..greatest round)\nwritten: %s\n\n",
		out.Setup, out.LoadAverage, out.Cores, path)
	if busy(out.LoadAverage, out.Cores) {
		fmt.Print("WARNING: other programs kept the machine busy; look at the spread before believing a median\n\n")
	}
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

// round starts both servers afresh and measures them in every scenario, the base
// first in even rounds, the candidate first in odd ones.
func (s *session) round(ctx context.Context, round int, base, candidate target.Spec, scenarios []report.Scenario) (err error) {
	var servers [2]*target.Server
	for i, spec := range []target.Spec{base, candidate} {
		server, startErr := target.Start(ctx, spec, s.dir)
		if startErr != nil {
			return startErr
		}
		defer func() { err = errors.Join(err, server.Stop()) }()
		servers[i] = server
	}
	for i := range scenarios {
		sc := &scenarios[i]
		results := [2]*[]load.Result{&sc.Base, &sc.Candidate}
		for turn := range servers {
			side := (turn + round) % len(servers)
			server, name := servers[side], servers[side].Spec.Name
			o := load.Options{Connections: sc.Connections, Rate: sc.Rate, Batch: sc.Batch, Duration: s.options.duration}
			if sc.Loads != nil {
				server, name = servers[1], sc.Loads.Candidate
			}
			if sc.Loads != nil && side == 0 {
				o.Connections, o.Batch, name = sc.Loads.BaseConnections, 0, sc.Loads.Base
			}
			result, err := s.measure(ctx, server, o)
			if err != nil {
				return fmt.Errorf("%s: %w", sc.Name, err)
			}
			*results[side] = append(*results[side], result)
			fmt.Fprintf(os.Stderr, "round %d/%d  %-50s %-8s %7.0f/s  p50 %6.0f us  p99 %6.0f us  CPU %5.1f us/event\n",
				round+1, s.options.rounds, sc.Name, name,
				result.Throughput, result.Latency.P50, result.Latency.P99, result.CPUPerEvent)
		}
	}
	return nil
}

// scenarios are the kinds of load. Batches are compared with single posts to the
// same gateway, or, between two gateways, with each other.
func (o *options) scenarios(command string) []report.Scenario {
	var out []report.Scenario
	for _, n := range o.connections {
		out = append(out, report.Scenario{Name: fmt.Sprintf("closed loop, %d connections", n), Connections: n})
	}
	if o.openRate > 0 {
		out = append(out, report.Scenario{
			Name: fmt.Sprintf("open loop, %.0f/s", o.openRate), Connections: o.openConnections, Rate: o.openRate,
		})
	}
	if o.batch > 0 {
		sc := report.Scenario{Name: fmt.Sprintf("batches of %d, %d connections", o.batch, o.batchConnections), Connections: o.batchConnections, Batch: o.batch}
		if command == "run" && len(o.connections) > 0 {
			sc.Loads = &report.Loads{Base: "single", Candidate: "batches", BaseConnections: slices.Max(o.connections)}
			sc.Name += fmt.Sprintf(", single posts at %d", sc.Loads.BaseConnections)
		}
		if command == "compare" || sc.Loads != nil {
			out = append(out, sc)
		}
	}
	return out
}

func resultName(command string, at time.Time) string {
	return command + "-" + at.Format("20060102T150405") + ".json"
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

// busy reports whether, before the run, more threads were runnable than there are cores.
// An unreadable load average counts as idle.
func busy(average string, cores int) bool {
	var lastMinute float64
	if _, err := fmt.Sscan(average, &lastMinute); err != nil {
		return false
	}
	return lastMinute > float64(cores)
}
