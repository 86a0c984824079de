//go:build torture

package failpoint

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// passEnv makes this test binary a process that passes one point.
const passEnv = "CRASH_TEST_PASS"

func TestMain(m *testing.M) {
	if point := os.Getenv(passEnv); point != "" {
		for range 100 {
			At(point)
		}
		_, _ = os.Stdout.WriteString("passed\n")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// passing runs this binary as a process that passes point a hundred times.
func passing(t *testing.T, variableValue, point string) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), passEnv+"="+point, variable+"="+variableValue)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	require.NoError(t, cmd.Start())
	return cmd, &out, &log
}

func TestAtKills(t *testing.T) {
	t.Parallel()
	cmd, out, log := passing(t, "acked:0.9", Acked)
	require.Error(t, cmd.Wait())
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGKILL, status.Signal())
	require.Equal(t, "gateway-crash point=acked action=kill\n", log.String())
	require.Empty(t, out.String())
}

func TestAtStops(t *testing.T) {
	t.Parallel()
	cmd, out, log := passing(t, "acked:0.01:stop,seed:1", Acked)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(5 * time.Millisecond) // it may stand still more than once
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			require.NoError(t, err)
			require.Equal(t, "passed\n", out.String())
			require.Contains(t, log.String(), "gateway-crash point=acked action=stop\n")
			return
		case <-tick.C:
			_ = cmd.Process.Signal(syscall.SIGCONT)
		}
	}
}

func TestOtherPointsPass(t *testing.T) {
	t.Parallel()
	cmd, out, log := passing(t, "acked:1", Claimed)
	require.NoError(t, cmd.Wait())
	require.Equal(t, "passed\n", out.String())
	require.Empty(t, log.String())
}

func TestUnknownPointEndsTheProcess(t *testing.T) {
	t.Parallel()
	cmd, _, log := passing(t, "ackd:0.1", Acked)
	require.Error(t, cmd.Wait())
	require.Equal(t, 2, cmd.ProcessState.ExitCode())
	require.Contains(t, log.String(), `no point "ackd"; there are claimed, publishing, handed`)
}

func TestParse(t *testing.T) {
	t.Parallel()
	p, err := parse(" acked:0.5 ,settled:1:stop,skew:-3s,seed:7,")
	require.NoError(t, err)
	require.Equal(t, map[string]chance{Acked: {0.5, kill}, Settled: {1, stop}}, p.points)
	require.Equal(t, -3*time.Second, p.skew)
	for name, text := range map[string]string{
		"no probability":       "acked",
		"probability over one": "acked:1.5",
		"not a number":         "acked:NaN",
		"unknown action":       "acked:0.5:pause",
		"given twice":          "acked:0.5,acked:0.1",
		"bad seed":             "seed:x",
		"bad skew":             "skew:3",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(text)
			require.Error(t, err)
			require.Contains(t, err.Error(), strings.Split(text, ",")[strings.Count(text, ",")])
		})
	}
}

func TestSameSeedSameDice(t *testing.T) {
	t.Parallel()
	draws := func() (hits []int) {
		p, err := parse("acked:0.1,seed:99")
		require.NoError(t, err)
		for i := range 1000 {
			if p.draw(Acked) == kill {
				hits = append(hits, i)
			}
		}
		return hits
	}
	first := draws()
	require.NotEmpty(t, first)
	require.Equal(t, first, draws())
}
