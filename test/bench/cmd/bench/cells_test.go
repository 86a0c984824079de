package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"eventgateway/test/bench/internal/load"
	"eventgateway/test/bench/internal/report"

	"github.com/stretchr/testify/require"
)

func names(cells []cell) []string {
	var out []string
	for _, c := range cells {
		out = append(out, c.name())
	}
	return out
}

func TestCellNames(t *testing.T) {
	t.Parallel()
	const two = 2 * time.Millisecond
	for want, c := range map[string]cell{
		"0ms-12p-1c":                     {setting{1, 0, 0, 1, 1}, variant{"franz", "idempotent"}},
		"2ms-2400p-64c":                  {setting{1, two, two, 200, 64}, variant{"franz", "idempotent"}},
		"2ms-48p-256c-redis0ms":          {setting{1, two, 0, 4, 256}, variant{"franz", "idempotent"}},
		"2ms-48p-256c-librdkafka-tx":     {setting{1, two, two, 4, 256}, variant{"librdkafka", "transactional"}},
		"0ms-480p-64c-redis2ms-3brokers": {setting{3, 0, two, 40, 64}, variant{"franz", "idempotent"}},
	} {
		require.Equal(t, want, c.name())
	}
	text := cell{setting{3, two, 0, 4, 1}, variant{"franz", "transactional"}}.String()
	require.Equal(t, "3 brokers, Kafka 2 ms and Redis 0 ms away, 48 partitions over 4 event types, 1 connection, min.insync.replicas=2; franz, transactional", text)
}

// Cells that share services, topics and rounds must follow each other.
func TestAllCells(t *testing.T) {
	t.Parallel()
	cells := allCells()
	require.GreaterOrEqual(t, len(cells), 24)
	seen := make(map[string]bool)
	ended := make(map[setting]bool)
	for i, c := range cells {
		require.False(t, seen[c.name()], "two cells have the name %s", c.name())
		seen[c.name()] = true
		if i == 0 {
			continue
		}
		before := cells[i-1]
		if before.setting != c.setting {
			ended[before.setting] = true
		}
		require.False(t, ended[c.setting], "%s is apart from the cells of its setting", c.name())
		require.LessOrEqual(t, before.brokers, c.brokers)
		if before.brokers == c.brokers {
			require.LessOrEqual(t, before.types, c.types, "%s: few topics come before many", c.name())
		}
	}
	for _, c := range allChecks() {
		require.True(t, seen[c.cell], c.cell)
		require.True(t, c.to == "" || seen[c.to], c.to)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	cells := allCells()
	tests := []struct {
		name     string
		patterns []string
		want     []string
		problem  string
	}{
		{"all", nil, names(cells), ""},
		{"one", []string{"2ms-48p-64c"}, []string{"2ms-48p-64c"}, ""},
		{"in the order of the table", []string{"2ms-48p-256c-tx", "0ms-12p-1c"}, []string{"0ms-12p-1c", "2ms-48p-256c-tx"}, ""},
		{"a glob", []string{"0ms-12p-*-tx"}, []string{"0ms-12p-256c-tx", "0ms-12p-256c-librdkafka-tx"}, ""},
		{"twice the same", []string{"10ms-48p-256c", "10ms-*-256c"}, []string{"10ms-48p-256c"}, ""},
		{"none", []string{"2ms-48p-64c", "5ms-*"}, nil, `no cell has the name "5ms-*"`},
		{"a bad glob", []string{"[x"}, nil, "[x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := choose(cells, tt.patterns)
			if tt.problem != "" {
				require.ErrorContains(t, err, tt.problem)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, names(got))
		})
	}
}

func TestListCells(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, listCells(&out, allCells()))
	require.Len(t, strings.Split(strings.TrimSpace(out.String()), "\n"), len(allCells()))
	require.Contains(t, out.String(), "2ms-48p-64c ")
}

func TestEventTypes(t *testing.T) {
	t.Parallel()
	few, many := eventTypes(4), eventTypes(200)
	require.Equal(t, few, many[:4])
	require.NoError(t, load.Options{EventTypes: many, Connections: 1, Duration: 1, Body: make([]byte, 24)}.Validate(), "names of one length")
	schema, err := os.ReadFile("../../../../schemas/orders.placed/v1.json")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, writeEventTypes(dir, schema, few))
	for _, name := range few {
		text, err := os.ReadFile(filepath.Join(dir, name, "v1.json"))
		require.NoError(t, err)
		var doc struct {
			Event struct{ Topic, Key string } `json:"x-event"`
		}
		require.NoError(t, json.Unmarshal(text, &doc))
		require.Equal(t, name, doc.Event.Topic)
		require.Equal(t, "/orderId", doc.Event.Key)
	}
	require.Error(t, writeEventTypes(dir, []byte(`{}`), few))
}

func TestChecks(t *testing.T) {
	t.Parallel()
	results := func(throughput ...float64) (out []load.Result) {
		for _, v := range throughput {
			out = append(out, load.Result{Throughput: v, CPUPerEvent: v})
		}
		return out
	}
	checks := []check{
		{"between", report.Throughput, "tx", "plain", false, 0.6, betweenGateways},
		{"kept", report.Throughput, "many", "plain", false, 0.9, keptBesideFloor},
		{"cpu", report.CPUPerEvent, "plain", "", true, 0.5, besideFloor},
	}
	floor := results(100, 200)
	blocks := []report.Block{
		{Cells: []report.Scenario{
			{Name: "plain", Base: floor, Candidate: results(50, 100)},
			{Name: "tx", Base: floor, Candidate: results(25, 60)},
		}},
		{Cells: []report.Scenario{{Name: "many", Base: results(10, 10), Candidate: results(4, 5)}}},
	}
	verdicts := hold(checks, blocks)
	require.Len(t, verdicts, 3)
	for i, want := range []struct {
		value float64
		pass  bool
	}{{0.55, false}, {0.9, true}, {0.5, true}} {
		require.InDelta(t, want.value, verdicts[i].Value, 1e-9, verdicts[i].Name)
		require.Equal(t, want.pass, verdicts[i].Pass, verdicts[i].Name)
	}
	require.Equal(t, "between, tx beside plain", verdicts[0].Name)

	require.Len(t, hold(checks, blocks[:1]), 2, "cells that were not chosen have no checks")

	refused := []report.Block{{Cells: []report.Scenario{
		{Name: "plain", Base: floor, Candidate: results(50, 100)},
		{Name: "tx", Base: floor, Problem: "refused", NotPossible: true},
	}}}
	verdicts = hold(checks, refused)
	require.Contains(t, verdicts[0].Name, "not measured")
	require.False(t, verdicts[0].Pass)
	_, err := json.Marshal(verdicts)
	require.NoError(t, err, "a missing figure is not NaN")
}

func TestTableFails(t *testing.T) {
	t.Parallel()
	block := func(c report.Scenario) []report.Block { return []report.Block{{Cells: []report.Scenario{c}}} }
	pass, miss := report.AtLeast("x", 1, 1), report.AtLeast("x", 0.5, 1)
	tests := []struct {
		name string
		out  tableOutcome
		ok   bool
	}{
		{"all well", tableOutcome{Blocks: block(report.Scenario{}), Verdicts: []report.Verdict{pass}}, true},
		{"a missed target", tableOutcome{Blocks: block(report.Scenario{}), Verdicts: []report.Verdict{pass, miss}}, false},
		{"a refused configuration", tableOutcome{Blocks: block(report.Scenario{Problem: "x", NotPossible: true})}, true},
		{"a failure", tableOutcome{Blocks: block(report.Scenario{Problem: "x"})}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.out.err(); tt.ok {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, errMissed)
			}
		})
	}
}

func TestTableFlags(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, tableCommand(t.Context(), []string{"--cells", "nonesuch"}), "nonesuch")
	require.ErrorContains(t, tableCommand(t.Context(), []string{"--rounds", "0"}), "rounds")
}

func TestConnectionsAreThoseOfTheAddresses(t *testing.T) {
	t.Parallel()
	require.Equal(t, 5, connections(map[int]int{1: 2, 2: 3, 3: 9}, list{"127.0.0.1:1", "127.0.0.1:2"}))
	require.Zero(t, connections(map[int]int{1: 2}, nil))
}
