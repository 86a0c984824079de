package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"eventgateway/test/bench/internal/load"
	"eventgateway/test/bench/internal/report"
	"eventgateway/test/bench/internal/target"
)

// tableOutcome is the JSON of a table.
type tableOutcome struct {
	Time        time.Time        `json:"time"`
	Cores       int              `json:"cores"`
	LoadAverage string           `json:"load_average_before"`
	DataDir     string           `json:"data"` // where Kafka's data were
	Rounds      int              `json:"rounds"`
	Seconds     float64          `json:"seconds"` // each measured window
	Blocks      []report.Block   `json:"blocks"`
	Verdicts    []report.Verdict `json:"verdicts"`
}

func tableCommand(ctx context.Context, args []string) error {
	var o options
	var patterns list
	f := flag.NewFlagSet("bench table", flag.ContinueOnError)
	o.registerServers(f, 1500*time.Millisecond)
	f.IntVar(&o.rounds, "rounds", 3, "how often each cell is measured")
	f.DurationVar(&o.duration, "duration", 4*time.Second, "length of a measured window")
	f.Var(&patterns, "cells", "`names` of the cells to measure, comma-separated, with * and ? (default all)")
	names := f.Bool("list", false, "print the cells, and measure nothing")
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("parse flags: %w", err)
	}
	if o.rounds < 1 || o.duration <= 0 || o.warmUp < 0 {
		return errors.New("check flags: rounds and duration must be positive, warm-up not negative")
	}
	cells, err := choose(allCells(), patterns)
	if err != nil {
		return err
	}
	if *names {
		return listCells(os.Stdout, cells)
	}
	return measureTable(ctx, o, cells)
}

// measureTable measures the cells, those with the same number of brokers on the same
// services, and reports.
func measureTable(ctx context.Context, o options, cells []cell) error {
	out := tableOutcome{
		Time: time.Now().UTC(), Cores: runtime.NumCPU(), LoadAverage: loadAverage(),
		DataDir: o.dataDir, Rounds: o.rounds, Seconds: o.duration.Seconds(),
	}
	for len(cells) > 0 {
		n := len(cells)
		if other := slices.IndexFunc(cells, func(c cell) bool { return c.brokers != cells[0].brokers }); other > 0 {
			n = other
		}
		blocks, err := measureCells(ctx, o, cells[:n])
		if err != nil {
			return err
		}
		out.Blocks, cells = append(out.Blocks, blocks...), cells[n:]
	}
	out.Verdicts = hold(allChecks(), out.Blocks)
	path, err := report.WriteJSON(o.resultsDir, resultName("table", out.Time), out)
	if err != nil {
		return err
	}
	var text strings.Builder
	out.write(&text)
	if err := report.WriteFile(strings.TrimSuffix(path, "json")+"md", []byte(text.String())); err != nil {
		return err
	}
	fmt.Print(text.String())
	fmt.Fprintf(os.Stderr, "written: %s, and the same as .md\n", path)
	return out.err()
}

// write prints the tables as Markdown.
func (out tableOutcome) write(w io.Writer) {
	report.WriteBlocks(w, out.Blocks)
	fmt.Fprintf(w, "\n%s of %g s on %d cores, load average before %s, Kafka's data in %s; medians, ratios to the floor of the same round (least..greatest).\n",
		count(out.Rounds, "round"), out.Seconds, out.Cores, out.LoadAverage, out.DataDir)
	if busy(out.LoadAverage, out.Cores) {
		fmt.Fprint(w, "Other programs kept the machine busy.\n")
	}
	if bound := report.GeneratorBound(out.Blocks); len(bound) > 0 {
		fmt.Fprintf(w, "The load generator, which has one core, was busy for most of it: its own limit may show in %s.\n", strings.Join(bound, ", "))
	}
	fmt.Fprintln(w)
	report.WriteVerdicts(w, out.Verdicts)
}

// err is for a missed target, or a cell without figures. A gateway that refuses a cell's
// configuration has said so in the table, and fails only the targets that need it.
func (out tableOutcome) err() error {
	for _, b := range out.Blocks {
		for _, c := range b.Cells {
			if c.Problem != "" && !c.NotPossible {
				return fmt.Errorf("%w: %s: %s", errMissed, c.Name, c.Problem)
			}
		}
	}
	if slices.ContainsFunc(out.Verdicts, func(v report.Verdict) bool { return !v.Pass }) {
		return errMissed
	}
	return nil
}

// measureCells starts services for cells with the same number of brokers.
func measureCells(ctx context.Context, o options, cells []cell) (blocks []report.Block, err error) {
	t, err := newTable(ctx, o, cells)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close(ctx)) }()
	for len(cells) > 0 {
		n := len(cells)
		if other := slices.IndexFunc(cells, func(c cell) bool { return c.setting != cells[0].setting }); other > 0 {
			n = other
		}
		block, err := t.block(ctx, cells[:n])
		if err != nil {
			return nil, err
		}
		blocks, cells = append(blocks, block), cells[n:]
	}
	return blocks, nil
}

// side is one server of a block: the floor, or a cell's gateway.
type side struct {
	spec    target.Spec
	results *[]load.Result
	cell    *report.Scenario // nil for the floor
}

// block measures the cells of one setting and a floor in the same rounds, forwards in even
// rounds and backwards in odd ones. One server runs at a time.
func (t *table) block(ctx context.Context, cells []cell) (report.Block, error) {
	st := cells[0].setting
	block := report.Block{Name: st.String(), Cells: make([]report.Scenario, len(cells))}
	if err := t.enter(ctx, st); err != nil {
		return block, err
	}
	var floor []load.Result
	sides := []side{{spec: t.floorSpec(st), results: &floor}}
	for i, c := range cells {
		sc := &block.Cells[i]
		sc.Name, sc.Connections = c.name(), c.connections
		sides = append(sides, side{spec: t.gatewaySpec(c), results: &sc.Candidate, cell: sc})
	}
	for round := range t.options.rounds {
		for _, s := range sides {
			if s.cell != nil && s.cell.Problem != "" {
				continue
			}
			r, err := t.once(ctx, s.spec, st, t.options.duration)
			switch {
			case ctx.Err() != nil:
				return block, fmt.Errorf("measure: %w", ctx.Err())
			case err != nil && s.cell == nil: // without a floor the block has no ratios
				fmt.Fprintf(os.Stderr, "floor of %s: %s\n", st.name(), err)
				return block.Without("the floor failed: " + err.Error()), nil
			case err != nil:
				fmt.Fprintf(os.Stderr, "%s: %s\n", s.cell.Name, err)
				s.cell.Problem = strings.ReplaceAll(err.Error(), t.dir+string(os.PathSeparator), "")
				s.cell.NotPossible = errors.Is(err, target.ErrConfiguration)
				s.cell.Candidate = nil
				continue
			}
			*s.results = append(*s.results, r)
			name := "floor of " + st.name()
			if s.cell != nil {
				name = s.cell.Name
			}
			fmt.Fprintf(os.Stderr, "round %d/%d  %-36s %7.0f/s  p50 %7.0f us  p99 %7.0f us  CPU %5.1f us/event\n",
				round+1, t.options.rounds, name, r.Throughput, r.Latency.P50, r.Latency.P99, r.CPUPerEvent)
		}
		slices.Reverse(sides)
	}
	for i := range block.Cells {
		block.Cells[i].Base = floor
	}
	return block, nil
}

// once starts a server, measures it and stops it.
func (t *table) once(ctx context.Context, spec target.Spec, st setting, d time.Duration) (r load.Result, err error) {
	if err := t.emptyRedis(ctx); err != nil {
		return r, err
	}
	server, err := target.Start(ctx, spec, t.dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	return t.measure(ctx, server, load.Options{EventTypes: spec.Topics, Connections: st.connections, Duration: d})
}
