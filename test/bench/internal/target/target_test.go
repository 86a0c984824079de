package target

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestGatewayConfigurationIsTheContract(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	spec := Gateway("gateway", "gateway", []string{"orders.placed"}, GatewayConfig{
		Brokers: []string{"127.0.0.1:9092"}, Redis: []string{"127.0.0.1:6379"}, SchemasDir: "schemas",
		Properties: []string{"linger.ms=1"}, Client: "franz", IdempotencyTTL: 10 * time.Minute,
	})
	args, err := spec.arguments(dir, "127.0.0.1:1", "127.0.0.1:2")
	require.NoError(t, err)
	file := filepath.Join(dir, "gateway.yaml")
	require.Equal(t, []string{"serve", "-c", file}, args)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, yaml.Unmarshal(text, &got))
	schemas, err := filepath.Abs("schemas")
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"http":  map[string]any{"listen": "127.0.0.1:1"},
		"admin": map[string]any{"listen": "127.0.0.1:2"},
		"auth":  "none",
		"kafka": map[string]any{
			"brokers": []any{"127.0.0.1:9092"}, "client": "franz", "properties": map[string]any{"linger.ms": "1"},
		},
		"redis":       map[string]any{"addresses": []any{"127.0.0.1:6379"}},
		"schemas":     map[string]any{"dir": schemas},
		"idempotency": map[string]any{"ttl": "10m0s"},
	}, got)

	_, err = GatewayConfig{Properties: []string{"linger"}}.render("a", "b")
	require.ErrorContains(t, err, "name=value")
}

func TestKeysThatAreNotAskedForAreLeftOut(t *testing.T) {
	t.Parallel()
	text, err := GatewayConfig{Brokers: []string{"a:1"}}.render("b:1", "c:1")
	require.NoError(t, err)
	require.NotContains(t, string(text), "client", "an older gateway refuses a key that it does not know")
}

func TestFloorFlags(t *testing.T) {
	t.Parallel()
	args, err := Floor("floor", "floor", []string{"a:1", "b:2"}, []string{"t", "u"}, 48, []string{"client=librdkafka", "property=linger.ms=1"}).arguments("", "c:3", "")
	require.NoError(t, err)
	require.Equal(t, []string{
		"--listen", "c:3", "--brokers", "a:1,b:2", "--topics", "t,u", "--partitions", "48", "--client=librdkafka", "--property=linger.ms=1",
	}, args)
}

func TestRefusedConfiguration(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		script  string
		refused bool
	}{
		"refused":        {"echo 'gateway: the configuration cannot be used:'; echo 'kafka.client: is franz'; exit 1", true},
		"another error":  {"echo 'no Redis'; exit 1", false},
		"an old gateway": {"echo 'there is no command'; exit 2", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "gateway")
			require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\n"+tt.script+"\n"), 0o700))
			err := assertEmpty(t.Context(), file, "x.yaml")
			if !tt.refused {
				require.NotErrorIs(t, err, ErrConfiguration)
				return
			}
			require.ErrorIs(t, err, ErrConfiguration)
			require.ErrorContains(t, err, "kafka.client: is franz")
		})
	}
}

// shell makes a server out of a shell script; nothing serves its /readyz unless
// ready says where.
func shell(script string, ready func(*Server) string) Spec {
	return Spec{
		Name: "shell", Binary: "/bin/sh", ready: ready,
		arguments: func(_, _, _ string) ([]string, error) { return []string{"-c", script}, nil },
	}
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	ok := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(ok.Close)
	ready := func(*Server) string { return ok.Listener.Addr().String() }
	nowhere := func(s *Server) string { return s.Admin }

	t.Run("ends on SIGTERM", func(t *testing.T) {
		t.Parallel()
		s, err := Start(t.Context(), shell(`trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done`, ready), t.TempDir())
		require.NoError(t, err)
		require.Positive(t, s.PID)
		require.Eventually(t, func() bool { return s.tail() == "up\n" }, 5*time.Second, 5*time.Millisecond)
		require.NoError(t, s.Stop())
	})
	t.Run("a bad end is an error", func(t *testing.T) {
		t.Parallel()
		s, err := Start(t.Context(), shell(`trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done`, ready), t.TempDir())
		require.NoError(t, err)
		require.Eventually(t, func() bool { return s.tail() == "up\n" }, 5*time.Second, 5*time.Millisecond)
		require.ErrorContains(t, s.Stop(), "exit status 7")
	})
	t.Run("a start that fails quotes the log", func(t *testing.T) {
		t.Parallel()
		_, err := Start(t.Context(), shell(`echo no such topic; exit 3`, nowhere), t.TempDir())
		require.ErrorContains(t, err, "no such topic")
		require.ErrorContains(t, err, "exit status 3")
	})
	t.Run("an end in mid-run is an error", func(t *testing.T) {
		t.Parallel()
		s, err := Start(t.Context(), shell(`sleep 0.3`, ready), t.TempDir())
		require.NoError(t, err)
		<-s.exited
		require.ErrorContains(t, s.Stop(), "ended by itself")
	})
	t.Run("never ready", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := Start(ctx, shell(`exec sleep 60`, nowhere), t.TempDir())
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestGetTellsTheStatus(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	_, err := Get(t.Context(), server.URL)
	var status StatusError
	require.ErrorAs(t, err, &status)
	require.Equal(t, StatusError(http.StatusNotFound), status)
}

func TestChildrenDoNotSeeGatewaySettings(t *testing.T) {
	t.Parallel()
	got := withoutGatewaySettings([]string{"PATH=/bin", "GATEWAY_TEST_KAFKA=x", "GATEWAY_HTTP_LISTEN=y", "HOME=/"})
	require.Equal(t, []string{"PATH=/bin", "HOME=/"}, got)
}
