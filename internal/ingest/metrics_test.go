package ingest

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		given       []func(*world)
		cfg         Config
		req         Request
		eventType   string
		result      string
		more        string // another counter that is 1
		claim, logs int    // observations of the stages
	}{
		{name: "written", req: keyed(), eventType: "orders.placed", result: "written", claim: 1, logs: 1},
		{name: "unkeyed", req: unkeyed(), eventType: "orders.placed", result: "written", logs: 1},
		{
			name: "replayed", given: []func(*world){storeFinds(event.ClaimResult{State: event.Settled})}, req: keyed(),
			eventType: "orders.placed", result: "replayed", claim: 1,
		},
		{
			name: "replayed although invalid now", given: []func(*world){refusesData(invalid), storeFinds(event.ClaimResult{State: event.Settled})},
			req: keyed(), eventType: "orders.placed", result: "replayed",
		},
		{
			name: "bypassed", given: []func(*world){storeIsAway}, cfg: Config{OnStoreFailure: event.PublishOnStoreFailure}, req: keyed(),
			eventType: "orders.placed", result: "bypassed", more: "gateway_idempotency_bypassed_total 1", claim: 1, logs: 1,
		},
		{
			name: "taken over", given: []func(*world){storeFinds(event.ClaimResult{State: event.Abandoned})}, req: keyed(),
			eventType: "orders.placed", result: "written", more: "gateway_idempotency_takeovers_total 1", claim: 1, logs: 1,
		},
		{
			name: "refused", given: []func(*world){refusesData(invalid)}, req: keyed(),
			eventType: "orders.placed", result: "schema-violation",
		},
		{
			name: "internal", given: []func(*world){publishFails(errStore)}, req: unkeyed(),
			eventType: "orders.placed", result: "internal", logs: 1,
		},
		{
			name: "a type that does not exist is no label", given: []func(*world){refusesData(event.Refuse(event.UnknownEventType, ""))},
			req: keyed(), eventType: "", result: "unknown-event-type",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, given := range tt.given {
				given(w)
			}
			reg := prometheus.NewRegistry()
			d := w.door(tt.cfg, reg)
			_, _ = d.Accept(t.Context(), tt.req)

			require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(
				"# HELP gateway_events_total Events by type and result: written, replayed, bypassed, or the problem's slug.\n"+
					"# TYPE gateway_events_total counter\n"+
					`gateway_events_total{result="`+tt.result+`",type="`+tt.eventType+"\"} 1\n"), "gateway_events_total"))
			for name, counter := range map[string]prometheus.Collector{
				"gateway_idempotency_bypassed_total 1":  d.metrics.bypassed,
				"gateway_idempotency_takeovers_total 1": d.metrics.takeovers,
			} {
				want := 0
				if name == tt.more {
					want = 1
				}
				require.Equal(t, want, int(testutil.ToFloat64(counter)), name)
			}
			require.Equal(t, tt.claim, observations(t, reg, "claim"))
			require.Equal(t, tt.logs, observations(t, reg, "publish"))
		})
	}
}

// observations counts what a stage's histogram has seen.
func observations(t *testing.T, reg *prometheus.Registry, stage string) int {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != "gateway_stage_duration_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == stage {
				return int(m.GetHistogram().GetSampleCount())
			}
		}
	}
	t.Fatalf("no stage %s", stage)
	return 0
}

// The stages are timed by the door's own clock.
func TestStageDurations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slowly(3 * time.Second)(w)
	reg := prometheus.NewRegistry()
	_, err := w.door(Config{}, reg).Accept(t.Context(), keyed())
	require.NoError(t, err)
	families, err := reg.Gather()
	require.NoError(t, err)
	sums := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetHistogram() != nil {
				sums[m.GetLabel()[0].GetValue()] = m.GetHistogram().GetSampleSum()
			}
		}
	}
	require.Equal(t, map[string]float64{"parse": 0, "claim": 3, "publish": 0}, sums)
}
