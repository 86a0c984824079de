package cli

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/config"
)

// A stranger that calls without end writes few lines, and others' lines stay.
func TestLogsAreSampled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out logBuffer
		logger := newLogger(config.Log{Format: config.LogText, Level: config.LogInfo}, &out)
		for port := range 5000 {
			logger.Warn("call refused", "reason", "missing", "remote", fmt.Sprintf("192.0.2.1:%d", port+1))
			logger.With("from", "elsewhere").Error("request failed", "problem", "internal")
		}
		logger.Warn("call refused", "reason", "missing", "remote", "192.0.2.2:1")
		logger.Info("something else", "remote", "192.0.2.1:1")
		require.Equal(t, maxLinesOfAddress, strings.Count(out.String(), "remote=192.0.2.1:")-1)
		require.Equal(t, maxLinesOfMessage, strings.Count(out.String(), "request failed"))
		require.Contains(t, out.String(), "remote=192.0.2.2:1")
		out.Reset()

		time.Sleep(logWindow + time.Second)
		synctest.Wait()
		require.Equal(t, 2, strings.Count(out.String(), "log lines were left out"), out.String())
		require.Contains(t, out.String(), `level=WARN msg="log lines were left out" message="call refused" lines=4980 window=10s remote=192.0.2.1/32`)
		require.Contains(t, out.String(), `level=ERROR msg="log lines were left out" message="request failed" lines=4800 window=10s`)
		out.Reset()

		logger.Warn("call refused", "reason", "missing", "remote", "192.0.2.1:7")
		require.Contains(t, out.String(), "192.0.2.1:7", "a new window")
	})
}

// Very many addresses share what is left.
func TestLogsOfManyAddresses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out logBuffer
		logger := newLogger(config.Log{Format: config.LogJSON, Level: config.LogInfo}, &out)
		for i := range 3 * maxLogKinds {
			logger.Warn("call refused", "remote", fmt.Sprintf("2001:db8:%x::1", i))
		}
		lines := strings.Count(out.String(), "\n")
		require.Equal(t, maxLogKinds+maxLinesOfAddress, lines)
		time.Sleep(logWindow + time.Second)
	})
}

// logBuffer is a buffer that the end of a window may write to.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Reset()
}
