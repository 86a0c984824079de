package report

import (
	"strings"
	"testing"

	"eventgateway/test/bench/internal/load"

	"github.com/stretchr/testify/require"
)

func TestWriteBlocks(t *testing.T) {
	t.Parallel()
	result := func(throughput, p50 float64, threads int) load.Result {
		return load.Result{
			Throughput: throughput, Latency: load.Latency{P50: p50, P99: 9000}, CPUPerEvent: 20,
			Threads: threads, KafkaConnections: 3, RedisConnections: 2, PeakResident: 64 << 20,
		}
	}
	floor := []load.Result{result(10000, 1000, 9), result(20000, 1000, 9), result(30000, 1000, 9)}
	blocks := []Block{{Name: "near", Cells: []Scenario{
		{Name: "a", Base: floor, Candidate: []load.Result{result(5000, 2000, 15), result(12000, 3000, 17), result(12345, 2500, 16)}},
		{Name: "b", Base: floor, Problem: "refuses\n a|b", NotPossible: true},
		{Name: "c", Problem: "broken"},
	}}}
	var out strings.Builder
	WriteBlocks(&out, blocks)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Equal(t, []string{
		"| cell | events/s | p50, ms | p99, ms | CPU, µs/event | threads | to Kafka | to Redis | memory, MiB |",
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
		"| floor: near | 20,000 | 1 | 9 | 20 | 9 | 3 | 2 | 64 |",
		"| `a` | 12,000; **0.50** (0.41..0.60) | 2.50; **2.50** (2.00..3.00) | 9; **1.00** (1.00..1.00) | 20; **1.00** (1.00..1.00) | 16 | 3 | 2 | 64 |",
		"| `b` | not possible: refuses a\\|b |  |  |  |  |  |  |  |",
		"| `c` | failed: broken |  |  |  |  |  |  |  |",
	}, lines)
	require.Empty(t, GeneratorBound(blocks))
	blocks[0].Cells[0].Candidate[1].GeneratorCPUPerEvent = 80
	blocks[0].Cells[0].Candidate[2].GeneratorCPUPerEvent = 80
	require.Equal(t, []string{"a"}, GeneratorBound(blocks))

	for _, c := range blocks[0].Without("no floor").Cells {
		require.Equal(t, "no floor", c.Problem)
		require.False(t, c.NotPossible)
		require.Empty(t, c.Candidate)
	}
}

func TestFigure(t *testing.T) {
	t.Parallel()
	for in, want := range map[float64]string{
		0: "0", 3: "3", 0.158: "0.16", 9.87: "9.87", 12.34: "12.3", 123.4: "123", 999.4: "999", 1234: "1,230", 9999: "10,000",
		12345: "12,300", 33549: "33,500", 123456: "123,500",
	} {
		require.Equal(t, want, figure(in))
	}
}

func TestWriteVerdicts(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	WriteVerdicts(&out, nil)
	require.Empty(t, out.String())
	WriteVerdicts(&out, []Verdict{AtMost("cpu", 3, 3.2), AtLeast("kept", 0.5, 0.9), AtLeast("none", 0, 0.9)})
	require.Equal(t, "| check | target | figure |  |\n| --- | --- | --- | --- |\n"+
		"| cpu | at most 3.2 | 3.00 | pass |\n| kept | at least 0.9 | 0.50 | **miss** |\n| none | at least 0.9 | none | **miss** |\n", out.String())
}
