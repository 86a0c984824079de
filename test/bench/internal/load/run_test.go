package load

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// options drive a handler on loopback for a quarter of a second.
func testOptions(t *testing.T, h http.HandlerFunc) Options {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	body, at, err := Body([]byte(schema))
	require.NoError(t, err)
	return Options{
		Address: strings.TrimPrefix(server.URL, "http://"), EventTypes: []string{"x"},
		Body: body, OrderIDAt: at, Connections: 4, ServerPID: os.Getpid(),
		WarmUp: 50 * time.Millisecond, Duration: 200 * time.Millisecond,
	}
}

func TestClosedLoopCountsEveryAnswer(t *testing.T) {
	t.Parallel()
	var accepted, refused atomic.Uint64
	o := testOptions(t, func(w http.ResponseWriter, _ *http.Request) {
		if n := accepted.Load() + refused.Load(); n%10 == 9 {
			refused.Add(1)
			http.Error(w, "no room", http.StatusServiceUnavailable)
			return
		}
		accepted.Add(1)
		w.WriteHeader(http.StatusAccepted)
	})
	o.Connections = 1
	o.Duration = time.Second // CPU time is counted in steps of 10 ms
	got, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, accepted.Load(), got.Acknowledged)
	require.Equal(t, map[string]uint64{"503": refused.Load()}, got.Failures)
	require.Contains(t, got.Samples["503"], "no room")
	require.Positive(t, got.Throughput)
	require.Less(t, got.Throughput*got.Seconds, float64(got.Acknowledged), "the warm-up is not in the throughput")
	require.Positive(t, got.Latency.P50)
	require.Positive(t, got.CPUPerEvent)
	require.Greater(t, got.FailureShare(), 0.05)
}

// Figures of batches are in events, whatever a request has.
func TestBatchesCountEvents(t *testing.T) {
	t.Parallel()
	var accepted, refused atomic.Uint64
	o := testOptions(t, func(w http.ResponseWriter, _ *http.Request) {
		if n := accepted.Load() + refused.Load(); n%10 == 9 {
			refused.Add(1)
			w.WriteHeader(http.StatusMultiStatus)
			return
		}
		accepted.Add(1)
		body := bytes.Repeat([]byte("x"), 50*itemBuffer)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write(body)
	})
	o.Connections, o.Batch = 1, 50
	got, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, 50*accepted.Load(), got.Acknowledged)
	require.Equal(t, map[string]uint64{"207": 50 * refused.Load()}, got.Failures)
}

func TestConnectionsThatCloseAreReplaced(t *testing.T) {
	t.Parallel()
	o := testOptions(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusAccepted)
	})
	got, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Empty(t, got.Failures)
	require.Greater(t, got.Acknowledged, uint64(o.Connections))
}

func TestServerThatHangsUpIsReported(t *testing.T) {
	t.Parallel()
	o := testOptions(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	got, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Zero(t, got.Acknowledged)
	require.Positive(t, got.Failures["read"])
	require.InDelta(t, 1, got.FailureShare(), 0)
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	o := testOptions(t, func(http.ResponseWriter, *http.Request) {})
	o.Address = "127.0.0.1:1"
	got, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Positive(t, got.Failures["dial"])
}

func TestOpenLoopSendsWhatIsDue(t *testing.T) {
	t.Parallel()
	o := testOptions(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	o.Rate = 400
	got, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Empty(t, got.Failures)
	require.Equal(t, uint64(100), got.Acknowledged+got.Unsent, "400/s for 250 ms")
	require.NotNil(t, got.SendDelay)
}

// One stall of 150 ms on the only connection makes the requests behind it late
// too. A generator that counted from the time of sending would see one slow
// request and a fast median.
func TestOpenLoopCountsFromTheDueTime(t *testing.T) {
	t.Parallel()
	var requests atomic.Uint64
	o := testOptions(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			select {
			case <-time.After(150 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
		w.WriteHeader(http.StatusAccepted)
	})
	o.Connections, o.Rate, o.WarmUp, o.Duration = 1, 200, 0, 200*time.Millisecond
	got, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, uint64(40), got.Acknowledged)
	require.Greater(t, got.Latency.P50, 30_000.0, "in microseconds")
	require.Greater(t, got.SendDelay.P50, 30_000.0)
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	o := testOptions(t, func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		w.WriteHeader(http.StatusAccepted)
	})
	o.Duration = time.Hour
	_, err := Run(ctx, o)
	require.ErrorIs(t, err, context.Canceled)
}

func TestValidateReportsEverything(t *testing.T) {
	t.Parallel()
	err := Options{Rate: -1, OrderIDAt: -1, Batch: -1}.Validate()
	for _, part := range []string{"connections", "rate", "duration", "order id", "batch"} {
		require.ErrorContains(t, err, part)
	}
}
