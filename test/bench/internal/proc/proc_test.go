package proc

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	const tail = " S 1 2 3 0 -1 4194560 100 0 0 0 250 130 7 9 20 0 12 0 555 1 2"
	tests := []struct {
		name, in string
		want     time.Duration
		bad      bool
	}{
		{"plain", "42 (gateway)" + tail, 3800 * time.Millisecond, false},
		{"blanks and parentheses in the name", "42 (a b) (c)" + tail, 3800 * time.Millisecond, false},
		{"no name", "42 gateway", 0, true},
		{"cut short", "42 (gateway) S 1 2 3", 0, true},
		{"not a number", strings.Replace("42 (gateway)"+tail, "130", "x", 1), 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseStat([]byte(tt.in))
			require.Equal(t, tt.bad, err != nil, "error: %v", err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestParseStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     Memory
		bad      bool
	}{
		{"plain", "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t3\n", Memory{1 << 20, 2 << 20}, false},
		{"a kernel thread has none", "Name:\tx\n", Memory{}, true},
		{"other unit", "VmHWM:\t1 MB\nVmRSS:\t1 MB\n", Memory{}, true},
		{"not a number", "VmHWM:\tx kB\nVmRSS:\t1 kB\n", Memory{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseStatus([]byte(tt.in))
			require.Equal(t, tt.bad, err != nil, "error: %v", err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestOwnProcess(t *testing.T) {
	t.Parallel()
	before, err := CPU(os.Getpid())
	require.NoError(t, err)
	// The kernel counts in ticks of 10 ms: on a busy machine it can take long to get one.
	const patience = time.Minute
	after := before
	for start := time.Now(); after <= before && time.Since(start) < patience; {
		after, err = CPU(os.Getpid())
		require.NoError(t, err)
	}
	require.Greater(t, after, before)

	m, err := ReadMemory(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, m.Resident, int64(1<<20))
	require.GreaterOrEqual(t, m.Peak, m.Resident/2)
}

func TestParseMetrics(t *testing.T) {
	t.Parallel()
	page := `# HELP go_goroutines n
# TYPE go_goroutines gauge
go_goroutines 12
go_memstats_heap_inuse_bytes 3.5e+06
http_requests_total{path="/a}b",code="202"} 5
http_requests_total{path="/c d",code="400"} 2 1700000000000
`
	got, err := ParseMetrics(strings.NewReader(page))
	require.NoError(t, err)
	require.Equal(t, map[string]float64{
		"go_goroutines": 12, "go_memstats_heap_inuse_bytes": 3.5e6, "http_requests_total": 7,
	}, got)

	for _, bad := range []string{"name", "name x", `{a="b"} 3`, `name{a="b"}`} {
		_, err := ParseMetrics(strings.NewReader(bad))
		require.Error(t, err, bad)
	}
}
