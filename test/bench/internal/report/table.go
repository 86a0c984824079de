package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"eventgateway/test/bench/internal/load"
)

// Scenario is one kind of load with the results of all rounds, in their order; or
// two kinds on one server, which then have names of their own.
type Scenario struct {
	Name        string        `json:"name"`
	Connections int           `json:"connections"`
	Rate        float64       `json:"rate,omitempty"`
	Batch       int           `json:"batch,omitempty"` // events in a request; 0: one
	Loads       *Loads        `json:"loads,omitempty"`
	Base        []load.Result `json:"base"`
	Candidate   []load.Result `json:"candidate"`

	// Problem says why the candidate has no results; NotPossible, that it refuses to be
	// measured so.
	Problem     string `json:"problem,omitempty"`
	NotPossible bool   `json:"not_possible,omitempty"`
}

// Loads are two kinds of load on the candidate: each side's name and connections.
type Loads struct {
	Base            string `json:"base"`
	Candidate       string `json:"candidate"`
	BaseConnections int    `json:"base_connections"`
}

// Metric is one row of a table.
type Metric struct {
	Name string
	Of   func(load.Result) float64
}

// Names of the rows that targets are set for, and of those in the table of cells.
const (
	Throughput       = "throughput, events/s"
	LatencyP50       = "latency p50, us"
	LatencyP99       = "latency p99, us"
	CPUPerEvent      = "server CPU, us/event"
	ResidentPeak     = "server RSS peak, MiB"
	Threads          = "threads"
	KafkaConnections = "connections to Kafka"
	RedisConnections = "connections to Redis"
	GeneratorCores   = "generator CPU, cores"
)

// Metrics are the rows, in the order of the table.
func Metrics() []Metric {
	const mib = 1 << 20
	return []Metric{
		{Throughput, func(r load.Result) float64 { return r.Throughput }},
		{LatencyP50, func(r load.Result) float64 { return r.Latency.P50 }},
		{"latency p90, us", func(r load.Result) float64 { return r.Latency.P90 }},
		{LatencyP99, func(r load.Result) float64 { return r.Latency.P99 }},
		{"latency max, us", func(r load.Result) float64 { return r.Latency.Max }},
		{CPUPerEvent, func(r load.Result) float64 { return r.CPUPerEvent }},
		{"server CPU, cores", func(r load.Result) float64 { return r.CPUCores }},
		{"server RSS at end, MiB", func(r load.Result) float64 { return float64(r.Resident) / mib }},
		{ResidentPeak, func(r load.Result) float64 { return float64(r.PeakResident) / mib }},
		{Threads, func(r load.Result) float64 { return float64(r.Threads) }},
		{KafkaConnections, func(r load.Result) float64 { return float64(r.KafkaConnections) }},
		{RedisConnections, func(r load.Result) float64 { return float64(r.RedisConnections) }},
		{"generator CPU, us/event", func(r load.Result) float64 { return r.GeneratorCPUPerEvent }},
		{GeneratorCores, func(r load.Result) float64 { return r.GeneratorCPUPerEvent * r.Throughput / 1e6 }},
		{"link CPU, us/event", func(r load.Result) float64 { return r.LinkCPUPerEvent }},
	}
}

// MetricNamed returns the row of that name, which must be one of the names above.
func MetricNamed(name string) Metric {
	rows := Metrics()
	return rows[slices.IndexFunc(rows, func(m Metric) bool { return m.Name == name })]
}

// sendDelay is a row of open-loop scenarios only.
var sendDelay = Metric{"sent late p50, us", func(r load.Result) float64 {
	if r.SendDelay == nil {
		return 0
	}
	return r.SendDelay.P50
}}

// Compare gives the spread of both sides and of their ratios for one metric.
func (s Scenario) Compare(m Metric) (base, candidate, ratio Spread) {
	b, c := column(s.Base, m), column(s.Candidate, m)
	return NewSpread(b), NewSpread(c), NewSpread(Ratios(c, b))
}

// Difference is the spread of candidate minus base, round by round.
func (s Scenario) Difference(m Metric) Spread {
	b, c := column(s.Base, m), column(s.Candidate, m)
	out := make([]float64, min(len(b), len(c)))
	for i := range out {
		out[i] = c[i] - b[i]
	}
	return NewSpread(out)
}

func column(results []load.Result, m Metric) []float64 {
	out := make([]float64, len(results))
	for i, r := range results {
		out[i] = m.Of(r)
	}
	return out
}

// WriteTable prints medians with (min..max) of the rounds.
func WriteTable(w io.Writer, baseName, candidateName string, scenarios []Scenario) error {
	for _, s := range scenarios {
		baseName, candidateName := baseName, candidateName
		if s.Loads != nil {
			baseName, candidateName = s.Loads.Base, s.Loads.Candidate
		}
		var text bytes.Buffer
		fmt.Fprintf(&text, "\n%s, %d rounds\t%s\t\t%s\t\t%s/%s\t\t\n",
			s.Name, len(s.Base), baseName, candidateName, candidateName, baseName)
		metrics := Metrics()
		if s.Rate > 0 {
			metrics = append(metrics, sendDelay)
		}
		for _, m := range metrics {
			base, candidate, ratio := s.Compare(m)
			fmt.Fprintf(&text, "%s\t%s\t%s\t%s\t\n", m.Name, cell(base), cell(candidate), ratioCell(ratio))
		}
		aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		_, err := text.WriteTo(aligned)
		if err = errors.Join(err, aligned.Flush()); err != nil {
			return fmt.Errorf("write table: %w", err)
		}
	}
	return nil
}

func cell(s Spread) string {
	if s.Max >= 100 {
		return fmt.Sprintf("%.0f\t(%.0f..%.0f)", s.Median, s.Min, s.Max)
	}
	return fmt.Sprintf("%.2f\t(%.2f..%.2f)", s.Median, s.Min, s.Max)
}

func ratioCell(s Spread) string {
	return fmt.Sprintf("%.2f\t(%.2f..%.2f)", s.Median, s.Min, s.Max)
}

// WriteJSON writes v, indented, to a new file in dir and returns its path.
func WriteJSON(dir, name string, v any) (string, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode results: %w", err)
	}
	path := filepath.Join(dir, name)
	return path, WriteFile(path, append(text, '\n'))
}

// WriteFile writes a file and, where it is missing, its folder.
func WriteFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("create results folder: %w", err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}
