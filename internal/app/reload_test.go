package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/schema"
	"eventgateway/internal/schema/compat"
)

// warnings runs warnOfBreakingChanges and returns its log lines.
func warnings(t *testing.T, changes []schema.Change) []map[string]any {
	t.Helper()
	var out bytes.Buffer
	warnOfBreakingChanges(slog.New(slog.NewJSONHandler(&out, nil)), changes)
	var lines []map[string]any
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		if line == "" {
			continue
		}
		var parsed map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &parsed))
		delete(parsed, "time")
		lines = append(lines, parsed)
	}
	return lines
}

func TestWarnOfBreakingChanges(t *testing.T) {
	t.Parallel()
	breaking := schema.Change{
		EventType: "orders.placed", Version: "v1", Verdict: compat.Breaking, Direction: compat.Backward,
		Pointer: "/required", Keyword: "required", Message: "more is required", Witness: json.RawMessage(`{"card":"4242"}`),
	}
	t.Run("one line each, with no payload", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, []map[string]any{{
			"level": "WARN", "msg": "a reload changed a published event type in a breaking way",
			"event_type": "orders.placed", "version": "v1", "pointer": "/required", "keyword": "required",
			"direction": "backward", "message": "more is required",
		}}, warnings(t, []schema.Change{breaking}))
	})
	t.Run("only what breaks", func(t *testing.T) {
		t.Parallel()
		require.Empty(t, warnings(t, []schema.Change{
			{EventType: "t", Verdict: compat.Compatible}, {EventType: "t", Verdict: compat.CannotTell},
		}))
	})
	t.Run("bounded", func(t *testing.T) {
		t.Parallel()
		changes := make([]schema.Change, maxReloadWarnings)
		for i := range changes {
			changes[i] = breaking
			changes[i].EventType = fmt.Sprint(i)
		}
		require.Len(t, warnings(t, changes), maxReloadWarnings)
		lines := warnings(t, append(changes, breaking, breaking))
		require.Len(t, lines, maxReloadWarnings+1)
		require.Equal(t, "19", lines[maxReloadWarnings-1]["event_type"])
		require.Equal(t, map[string]any{
			"level": "WARN", "msg": "a reload brought more breaking changes than are listed", "more": 2.0,
		}, lines[maxReloadWarnings])
	})
}

// From two folders to the log.
func TestSchemasChanged(t *testing.T) {
	t.Parallel()
	load := func(files map[string]string) *schema.Set {
		dir := t.TempDir()
		for name, content := range files {
			at := filepath.Join(dir, name)
			require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o750))
			require.NoError(t, os.WriteFile(at, []byte(content), 0o600))
		}
		set, err := schema.Load(dir)
		require.NoError(t, err)
		return set
	}
	var out bytes.Buffer
	a, err := newApp(testConfig())
	require.NoError(t, err)
	a.logger = slog.New(slog.NewTextHandler(&out, nil)) // only what App itself logs
	defer func() { require.NoError(t, a.discard()) }()
	a.schemasChanged(
		load(map[string]string{"gone/v1.json": `{"x-event":{"key":null}}`, "t/v1.json": `{"x-event":{"key":null}}`, "t/v2.json": `{"x-event":{"key":null}}`}),
		load(map[string]string{"t/v1.json": `{"x-event":{"key":"/id"}}`, "new/v1.json": `{"x-event":{"key":null}}`}),
	)
	log := out.String()
	require.Equal(t, 3, strings.Count(log, "level=WARN"), log)
	require.Contains(t, log, `event_type=gone version="" pointer="" keyword="" direction=both message="the event type is gone`)
	require.Contains(t, log, `event_type=t version=v1 pointer=/x-event/key keyword=x-event direction=both`)
	require.Contains(t, log, `event_type=t version=v2`)
}
