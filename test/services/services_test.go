package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentDirEnv); dir != "" {
		beParent(dir)
	}
	goleak.VerifyTestMain(m)
}

func TestPOMHasKafkaVersion(t *testing.T) {
	t.Parallel()
	require.Contains(t, string(kafkaPOM), "<kafka.version>"+KafkaVersion+"</kafka.version>")
	require.Contains(t, string(oldKafkaPOM), "<kafka.version>"+OldKafkaVersion+"</kafka.version>")
	require.Contains(t, string(kafkaToolsPOM), "<kafka.version>"+KafkaVersion+"</kafka.version>")
}

func TestKafkaConfigComplete(t *testing.T) {
	t.Parallel()

	t.Run("defaults", func(t *testing.T) {
		t.Parallel()
		c, err := KafkaConfig{Dir: t.TempDir()}.complete()
		require.NoError(t, err)
		p := c.properties()
		require.Equal(t, "1@"+addr(c.ControllerPort), p["controller.quorum.voters"])
		require.Equal(t, "1", p["offsets.topic.replication.factor"])
		require.Equal(t, "1", p["transaction.state.log.min.isr"])
		require.Equal(t, "false", p["auto.create.topics.enable"])
	})
	t.Run("properties replace defaults", func(t *testing.T) {
		t.Parallel()
		c, err := KafkaConfig{Dir: t.TempDir(), Properties: map[string]string{"auto.create.topics.enable": "true"}}.complete()
		require.NoError(t, err)
		require.Equal(t, "true", c.properties()["auto.create.topics.enable"])
	})
	t.Run("a proxied listener has a port of its own", func(t *testing.T) {
		t.Parallel()
		var behind string
		c, err := KafkaConfig{Dir: t.TempDir(), Proxied: map[string]func(string) (string, error){
			"FAR": func(addr string) (string, error) { behind = addr; return "proxy:1", nil },
		}}.complete()
		require.NoError(t, err)
		p := c.properties()
		require.NotEqual(t, addr(c.Port), behind)
		require.Equal(t, "PLAINTEXT://"+addr(c.Port)+",CONTROLLER://"+addr(c.ControllerPort)+",FAR://"+behind, p["listeners"])
		require.Equal(t, "PLAINTEXT://"+addr(c.Port)+",FAR://proxy:1", p["advertised.listeners"])
		require.Contains(t, p["listener.security.protocol.map"], ",FAR:PLAINTEXT")
		require.Equal(t, "proxy:1", (&Kafka{cfg: c}).Proxied("FAR"))
		_, err = KafkaConfig{Dir: t.TempDir(), Proxied: map[string]func(string) (string, error){
			"FAR": func(string) (string, error) { return "", errors.New("no proxy") },
		}}.complete()
		require.ErrorContains(t, err, "advertise listener FAR: no proxy")
	})
	t.Run("three voters replicate", func(t *testing.T) {
		t.Parallel()
		cfgs, err := clusterConfigs(3, KafkaConfig{Dir: t.TempDir()})
		require.NoError(t, err)
		p := cfgs[2].properties()
		require.Equal(t, "3", p["node.id"])
		require.Equal(t, "3", p["default.replication.factor"])
		require.Equal(t, "2", p["min.insync.replicas"])
		require.Equal(t, 3, strings.Count(p["controller.quorum.voters"], "@"))
	})
	t.Run("directory is required", func(t *testing.T) {
		t.Parallel()
		_, err := KafkaConfig{}.complete()
		require.ErrorContains(t, err, "Dir is empty")
	})
	t.Run("data of another cluster are refused", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(dir, "data"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "data/meta.properties"), []byte("version=1\ncluster.id=one\n"), 0o644))
		_, err := KafkaConfig{Dir: dir, ClusterID: "two"}.complete()
		require.ErrorContains(t, err, "belong to cluster one, not two")
		c, err := KafkaConfig{Dir: dir}.complete()
		require.NoError(t, err)
		require.Equal(t, "one", c.ClusterID)
	})
}

func TestTailFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(path, []byte("old\na\nb\nc\n"), 0o644))
	require.Equal(t, "b\nc", tailFile(path, 0, 2))
	require.Equal(t, "a\nb\nc", tailFile(path, 4, 25))
	require.Contains(t, tailFile(path+"x", 0, 1), "no such file")
}

func TestFreeClusterPortHasTwo(t *testing.T) {
	t.Parallel()
	for range 50 {
		port, err := FreeClusterPort()
		require.NoError(t, err)
		require.Less(t, port+clusterBus, lastPort)
		for _, each := range []int{port, port + clusterBus} {
			_, given := reserved.Load(each)
			require.True(t, given)
			requireFree(t, each)
		}
	}
}

func TestFreePortIsFreeAndGivenOnce(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 50 {
		port, err := freePort()
		require.NoError(t, err)
		require.False(t, seen[port])
		seen[port] = true
		requireFree(t, port)
	}
}

// requireFree is for ports that are free at once, unless a child that is being forked
// still has a copy of the socket, which it closes when it executes its program.
func requireFree(t *testing.T, port int) {
	t.Helper()
	require.Eventually(t, func() bool {
		l, err := net.Listen("tcp", addr(port))
		return err == nil && l.Close() == nil
	}, 5*time.Second, time.Millisecond)
}

func TestWithPortRetry(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fixed bool
		err   error
		want  int
	}{
		"lost race is run again":   {false, fmt.Errorf("x: %w", errPortTaken), startAttempts},
		"fixed port is tried once": {true, errPortTaken, 1},
		"other error ends it":      {false, io.ErrUnexpectedEOF, 1},
		"success ends it":          {false, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			_, err := withPortRetry(c.fixed, func() (int, error) { calls++; return 0, c.err })
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.want, calls)
		})
	}
}

// startSleeper starts a process that ends only by a signal.
func startSleeper(t *testing.T) *process {
	t.Helper()
	p, err := command{
		name: "sleeper", path: "/bin/sleep", args: []string{"600"},
		logPath: filepath.Join(t.TempDir(), "log"), deathSignal: syscall.SIGKILL,
	}.start()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.end(syscall.SIGKILL)) })
	return p
}

func TestProcessPausesAndEnds(t *testing.T) {
	t.Parallel()
	p := startSleeper(t)
	require.True(t, p.id.alive())
	require.NoError(t, p.pause())
	stat, err := readProcStat(p.id.PID)
	require.NoError(t, err)
	require.Equal(t, "T", string(stat.state))
	require.NoError(t, p.end(syscall.SIGTERM))
	require.False(t, p.id.alive())
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGTERM, status.Signal(), "a paused process ends by the signal it was sent, and is not killed")
	require.NoError(t, p.end(syscall.SIGTERM), "ending twice is not an error")
}

func TestZombieIsNotAlive(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/bin/sleep", "600")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() })
	id, err := identify(cmd.Process.Pid)
	require.NoError(t, err)
	require.True(t, id.alive())
	require.NoError(t, cmd.Process.Kill()) // and nobody reaps it
	require.Eventually(t, func() bool { return !id.alive() }, 10*time.Second, pollInterval)
}

func TestProcessThatEndsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	p, err := command{
		name: "quitter", path: "/bin/sh", args: []string{"-c", "echo the reason; exit 3"},
		logPath: filepath.Join(t.TempDir(), "log"),
	}.start()
	require.NoError(t, err)
	err = p.waitReady(t.Context(), func(context.Context) error { return io.EOF })
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "the reason")
}

func TestDownSparesARecycledPID(t *testing.T) {
	t.Parallel()
	p := startSleeper(t)
	s := newStack(t.TempDir(), io.Discard)
	require.NoError(t, os.Mkdir(s.dir, 0o755))
	other := p.id
	other.StartTicks--
	require.NoError(t, s.writeState(&state{Processes: []stateProcess{{Name: "kafka", procID: other}}}))
	require.NoError(t, s.down(t.Context()))
	require.True(t, p.id.alive())
	require.NoDirExists(t, s.dir)

	require.NoError(t, os.Mkdir(s.dir, 0o755))
	require.NoError(t, s.writeState(&state{Processes: []stateProcess{{Name: "kafka", procID: p.id}}}))
	require.NoError(t, s.down(t.Context()))
	require.False(t, p.id.alive())
	require.NoError(t, s.down(t.Context()), "down twice is not an error")
}

func TestUnreadableStateIsNotThrownAway(t *testing.T) {
	t.Parallel()
	s := newStack(t.TempDir(), io.Discard)
	require.NoError(t, os.Mkdir(s.dir, 0o755))
	require.NoError(t, os.WriteFile(s.statePath(), []byte("{"), 0o644))
	require.ErrorContains(t, s.down(t.Context()), "end the servers by hand, then remove "+s.dir)
	require.FileExists(t, s.statePath())
}

const parentDirEnv = "SERVICES_TEST_PARENT_DIR"

// beParent is the parent of TestChildDiesWithItsParent: it starts a child,
// prints its identity and waits to be killed.
func beParent(dir string) {
	p, err := command{
		name: "child", path: "/bin/sleep", args: []string{"600"},
		logPath: filepath.Join(dir, "log"), deathSignal: syscall.SIGKILL,
	}.start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// A goroutine that ends locked takes its thread with it. The child must
	// survive that, whichever thread made it.
	var ended sync.WaitGroup
	for range 100 {
		ended.Go(func() { runtime.LockOSThread() })
	}
	ended.Wait()
	_ = json.NewEncoder(os.Stdout).Encode(p.id)
	select {}
}

func TestChildDiesWithItsParent(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), parentDirEnv+"="+t.TempDir())
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())

	var child procID
	require.NoError(t, json.NewDecoder(out).Decode(&child))
	require.True(t, child.alive())
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	require.Eventually(t, func() bool { return !child.alive() }, 10*time.Second, pollInterval)
}

// recorder is a test that records its failure.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
}

func TestShared(t *testing.T) {
	t.Setenv(envKafka, "127.0.0.1:1")
	t.Setenv(envRedis, "127.0.0.1:2")
	t.Setenv(envPostgres, "postgres://x")
	rec := &recorder{TB: t}
	require.Equal(t, Env{Kafka: "127.0.0.1:1", Redis: "127.0.0.1:2", Postgres: "postgres://x"}, Shared(rec))
	require.Empty(t, rec.failure)

	t.Setenv(envRedis, "")
	Shared(rec)
	require.Contains(t, rec.failure, envRedis+" not set")
	require.Contains(t, rec.failure, "make services-up")
}
