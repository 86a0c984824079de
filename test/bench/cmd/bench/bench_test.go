package main

import (
	"context"
	"encoding/json"
	"flag"
	"testing"
	"time"

	"eventgateway/test/bench/internal/load"
	"eventgateway/test/bench/internal/report"

	"github.com/stretchr/testify/require"
)

func TestCheckAnswers(t *testing.T) {
	t.Parallel()
	failing := load.Result{Acknowledged: 995, Failures: map[string]uint64{"503": 5}, Samples: map[string]string{"503": "overloaded"}}
	tests := []struct {
		name    string
		result  load.Result
		records int64
		share   float64
		want    string
	}{
		{"all acknowledged", load.Result{Acknowledged: 10}, 10, 0, ""},
		{"nothing acknowledged", load.Result{Failures: map[string]uint64{"dial": 3}}, 0, 1, "acknowledged nothing"},
		{"failures within the share", failing, 995, 0.005, ""},
		{"failures beyond the share", failing, 995, 0.004, "overloaded"},
		{"unsent counts as failed", load.Result{Acknowledged: 9, Unsent: 1}, 9, 0.05, "never sent"},
		{"acknowledged and not in the log", load.Result{Acknowledged: 10}, 9, 0, "grew by 9"},
		{"written twice", load.Result{Acknowledged: 10}, 11, 0, "duplicates"},
		{"failed requests may have been written", failing, 1000, 0.005, ""},
		{"more than all requests", failing, 1001, 0.005, "duplicates"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := checkAnswers("gateway", tt.result, tt.records, tt.share)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, errMissed)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestTargetsApplyToTheirScenarios(t *testing.T) {
	t.Parallel()
	result := func(p50, cpu float64) []load.Result {
		return []load.Result{{Latency: load.Latency{P50: p50}, CPUPerEvent: cpu}}
	}
	scenarios := []report.Scenario{
		{Name: "64", Connections: 64, Base: result(10, 10), Candidate: result(90, 90)},
		{Name: "1", Connections: 1, Base: result(10, 10), Candidate: result(14, 90)},
		{Name: "256", Connections: 256, Base: result(10, 10), Candidate: result(90, 19)},
		{Name: "open", Connections: 512, Rate: 5, Base: result(10, 10), Candidate: result(90, 90)},
	}
	ratios, verdicts := conclude(scenarios, targets{cpuRatio: 1.8, p50Ratio: 1.5})
	require.Len(t, verdicts, 2)
	require.InDelta(t, 1.9, verdicts[0].Value, 1e-9)
	require.False(t, verdicts[0].Pass)
	require.InDelta(t, 1.4, verdicts[1].Value, 1e-9)
	require.True(t, verdicts[1].Pass)
	require.InDelta(t, 9, ratios["open"][report.LatencyP50].Median, 1e-9)

	scenarios = append(scenarios, report.Scenario{Name: "batches", Connections: 8, Batch: 100, Loads: &report.Loads{}, Base: result(1, 80), Candidate: result(1, 44)})
	_, verdicts = conclude(scenarios, targets{cpuRatio: 1.8, batchCPURatio: 0.5})
	require.Len(t, verdicts, 2)
	require.InDelta(t, 1.9, verdicts[0].Value, 1e-9, "batches are not single posts")
	require.InDelta(t, 0.55, verdicts[1].Value, 1e-9)
	require.False(t, verdicts[1].Pass)

	_, none := conclude(scenarios, targets{})
	require.Empty(t, none)
}

func TestFlags(t *testing.T) {
	t.Setenv("GATEWAY_TEST_KAFKA", "a:1,b:2")
	t.Setenv("GATEWAY_TEST_REDIS", "c:3")
	none := func(*flag.FlagSet, *options) {}
	o, err := parseRounds("bench run", nil, none)
	require.NoError(t, err)
	require.Equal(t, list{"a:1", "b:2"}, o.brokers)
	require.Equal(t, list{"c:3"}, o.redis)
	require.Len(t, o.scenarios("run"), 4, "three closed loops and the open one")

	o, err = parseRounds("bench run", []string{"--connections", "7", "--open-rate", "0", "--property", "linger.ms=1,acks=all"}, none)
	require.NoError(t, err)
	require.Equal(t, numbers{7}, o.connections)
	require.Equal(t, list{"linger.ms=1", "acks=all"}, o.properties)
	require.Len(t, o.scenarios("run"), 1)

	_, err = parseRounds("bench run", []string{"--connections", "", "--open-rate", "0", "--rounds", "0", "--max-cpu-ratio", "2", "--property", "x"}, none)
	for _, part := range []string{"no scenario", "rounds", "target needs", `property or flag "x"`} {
		require.ErrorContains(t, err, part)
	}

	batches := func(f *flag.FlagSet, o *options) {
		o.registerBatches(f, 100)
		f.Float64Var(&o.targets.batchCPURatio, "max-batch-cpu-ratio", 0, "")
	}
	o, err = parseRounds("bench run", []string{"--open-rate", "0"}, batches)
	require.NoError(t, err)
	all := o.scenarios("run")
	require.Len(t, all, 4)
	require.Equal(t, &report.Loads{Base: "single", Candidate: "batches", BaseConnections: 256}, all[3].Loads)
	require.Nil(t, o.scenarios("compare")[3].Loads, "two gateways have batches both")
	_, err = parseRounds("bench run", []string{"--batch", "0", "--max-batch-cpu-ratio", "0.5"}, batches)
	require.ErrorContains(t, err, "target of batches")
}

func TestTargetsByConnections(t *testing.T) {
	t.Parallel()
	results := func(throughput float64, p50 ...float64) (out []load.Result) {
		for _, us := range p50 {
			out = append(out, load.Result{Throughput: throughput, Latency: load.Latency{P50: us}})
		}
		return out
	}
	scenarios := []report.Scenario{
		{Name: "64", Connections: 64, Base: results(1000, 5000, 6000, 9000), Candidate: results(690, 8900, 9000, 14000)},
		{Name: "256", Connections: 256, Base: results(1000, 5000), Candidate: results(500, 4000)},
		{Name: "64, open", Connections: 64, Rate: 1, Base: results(1000, 1), Candidate: results(1, 1)},
	}
	limits := func(t *testing.T, args ...string) targets {
		t.Helper()
		o, err := parseRounds("bench run", append(args, "--brokers", "a:1", "--connections", "64,256"), func(*flag.FlagSet, *options) {})
		require.NoError(t, err)
		return o.targets
	}
	tests := []struct {
		name   string
		args   []string
		values []float64
		pass   []bool
	}{
		{"throughput", []string{"--min-throughput-ratio", "64=0.7,256=0.5"}, []float64{0.69, 0.5}, []bool{false, true}},
		{"the median of the rounds' differences, not of the ratios", []string{"--max-p50-above", "64=4ms"}, []float64{3.9}, []bool{true}},
		{"beyond the limit", []string{"--max-p50-above", "64=3.8ms"}, []float64{3.9}, []bool{false}},
		{"faster than the base", []string{"--max-p50-above", "256=0s"}, []float64{-1}, []bool{true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, verdicts := conclude(scenarios, limits(t, tt.args...))
			require.Len(t, verdicts, len(tt.values))
			for i, v := range verdicts {
				require.InDelta(t, tt.values[i], v.Value, 1e-9)
				require.Equal(t, tt.pass[i], v.Pass, "%v", v)
			}
		})
	}

	missing := []report.Scenario{{Name: "64", Connections: 64, Base: results(0, 0), Candidate: results(0, 0)}}
	_, verdicts := conclude(missing, limits(t, "--max-p50-above", "64=1h", "--min-throughput-ratio", "64=0.1"))
	for _, v := range verdicts {
		require.False(t, v.Pass, "a missing figure: %v", v)
	}

	_, err := parseRounds("bench run", []string{"--brokers", "a:1", "--connections", "1", "--max-p50-above", "64=4ms"}, func(*flag.FlagSet, *options) {})
	require.ErrorContains(t, err, "64 connections is not measured")
	for _, bad := range []string{"64", "x=1ms", "64=4"} {
		_, err = parseRounds("bench run", []string{"--max-p50-above", bad}, func(*flag.FlagSet, *options) {})
		require.Error(t, err, bad)
	}
}

func TestSetupFlags(t *testing.T) {
	t.Setenv("GATEWAY_TEST_KAFKA", "")
	t.Setenv("GATEWAY_TEST_REDIS", "c:3,d:4")
	parse := func(args ...string) (options, error) {
		return parseRounds("bench run", args, func(f *flag.FlagSet, o *options) { o.registerFloor(f) })
	}
	_, err := parse()
	require.ErrorContains(t, err, "no Kafka")
	o, err := parse("--distance", "2ms", "--partitions", "48", "--client", "franz", "--floor", "client=librdkafka")
	require.NoError(t, err)
	require.Equal(t, 2*time.Millisecond, o.distance)
	text, err := json.Marshal(outcome{Setup: o.setup})
	require.NoError(t, err)
	require.Contains(t, string(text), `"setup":"48 partitions, Kafka 2ms and Redis 0s away, client franz, floor client=librdkafka"`)
	_, err = parse("--distance", "-1ms", "--partitions", "0", "--floor", "librdkafka", "--redis-distance", "1ms")
	for _, part := range []string{"negative", "partitions", `"librdkafka"`, "single Redis"} {
		require.ErrorContains(t, err, part)
	}
}

func TestUnknownCommand(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, dispatch(context.Background(), []string{"walk"}), "usage")
	require.ErrorContains(t, dispatch(context.Background(), nil), "usage")
}

func TestSoakVerdicts(t *testing.T) {
	t.Parallel()
	series := func(of func(i int) float64) []sample {
		out := make([]sample, 40)
		for i := range out {
			out[i] = sample{At: float64(i * 3), Resident: of(i)}
		}
		return out
	}
	resident := func(s sample) float64 { return s.Resident }
	tests := []struct {
		name string
		of   func(i int) float64
		pass bool
	}{
		{"flat with garbage-collection teeth", func(i int) float64 { return 100 + float64(i%5)*20 }, true},
		{"leak of half", func(i int) float64 { return 100 + float64(i) }, false},
		{"shrinking", func(i int) float64 { return 100 - float64(i) }, true},
		{"missing gauge", func(int) float64 { return 0 }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := grow("resident", series(tt.of), resident)
			require.Equal(t, tt.pass, flat(g, 0.1).Pass, "%+v", g)
		})
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	require.True(t, busy("2.10 0.50 0.20", 2))
	require.False(t, busy("1.90 9.50 9.20", 2))
	require.False(t, busy("unknown", 2))
}
