package main

import (
	"slices"

	"eventgateway/test/bench/internal/report"
)

// check is a target that some cells together must meet.
type check struct {
	name    string
	metric  string // of the report
	cell    string
	to      string // unless empty, the cell that cell is compared with
	atMost  bool
	limit   float64
	compare func(cell, to report.Scenario, m report.Metric) float64
}

// allChecks are the targets of the table.
func allChecks() []check {
	return []check{
		{"throughput, transactional / idempotent", report.Throughput, "0ms-12p-256c-tx", "0ms-12p-256c", false, 0.6, betweenGateways},
		{"throughput, transactional / idempotent", report.Throughput, "2ms-48p-256c-tx", "2ms-48p-256c", false, 0.6, betweenGateways},
		{"share of throughput kept, gateway / floor", report.Throughput, "2ms-480p-256c", "2ms-48p-256c", false, 0.9, keptBesideFloor},
		{"share of throughput kept, gateway / floor", report.Throughput, "2ms-2400p-256c", "2ms-48p-256c", false, 0.9, keptBesideFloor},
		{"throughput, gateway / floor", report.Throughput, "10ms-48p-64c-redis0ms", "", false, 0.7, besideFloor},
		{"CPU per event, gateway / floor", report.CPUPerEvent, "0ms-12p-256c", "", true, 3.2, besideFloor},
		{"CPU per event, gateway / floor", report.CPUPerEvent, "2ms-48p-256c", "", true, 3.5, besideFloor},
	}
}

// besideFloor is the cell's ratio to the floor.
func besideFloor(cell, _ report.Scenario, m report.Metric) float64 {
	_, _, ratio := cell.Compare(m)
	return ratio.Median
}

// keptBesideFloor is what the gateway keeps of its figure in the other cell, divided by
// what the floor keeps of its own. Each cell's part is a ratio within its rounds, so the
// machine's speed, which may differ between the two, cancels out.
func keptBesideFloor(cell, to report.Scenario, m report.Metric) float64 {
	if base := besideFloor(to, to, m); base > 0 {
		return besideFloor(cell, cell, m) / base
	}
	return 0
}

// betweenGateways compares the gateways of two cells of the same rounds.
func betweenGateways(cell, to report.Scenario, m report.Metric) float64 {
	_, _, ratio := report.Scenario{Base: to.Candidate, Candidate: cell.Candidate}.Compare(m)
	return ratio.Median
}

// hold applies the checks whose cells were chosen. One whose figures are missing is
// missed.
func hold(checks []check, blocks []report.Block) []report.Verdict {
	cells := make(map[string]report.Scenario)
	for _, b := range blocks {
		for _, c := range b.Cells {
			cells[c.Name] = c
		}
	}
	var verdicts []report.Verdict
	for _, c := range checks {
		needs := slices.DeleteFunc([]string{c.cell, c.to}, func(name string) bool { return name == "" })
		if slices.ContainsFunc(needs, func(name string) bool { _, chosen := cells[name]; return !chosen }) {
			continue
		}
		name, value := c.name+", "+c.cell, 0.0
		if c.to != "" {
			name += " beside " + c.to
		}
		if slices.ContainsFunc(needs, func(name string) bool { return cells[name].Problem != "" }) {
			name += ": not measured"
		} else {
			value = c.compare(cells[c.cell], cells[c.to], report.MetricNamed(c.metric))
		}
		if c.atMost {
			verdicts = append(verdicts, report.AtMost(name, value, c.limit))
		} else {
			verdicts = append(verdicts, report.AtLeast(name, value, c.limit))
		}
	}
	return verdicts
}
