//go:build integration

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

// patient bounds waits for what must happen, on a busy machine.
const patient = 60 * time.Second

// suite is what the tests of one run share. TestMain makes it.
var suite struct {
	dir    string
	root   string // of the repository
	binary string
	plain  func() (string, error) // builds it without the race detector
	kafka  *services.Kafka        // private to this run; see privateKafka
	once   sync.Once
	err    error
}

func TestMain(m *testing.M) {
	if os.Getenv(attackVariable) != "" {
		if err := runAttack(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "attack:", err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	// Tests that are parallel wait for leases, timeouts and restarts, and hardly compute: there
	// may be more of them than processors.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	status, err := runSuite(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		status = 1
	}
	os.Exit(status)
}

func runSuite(m *testing.M) (status int, err error) {
	if suite.root, err = services.RepoRoot(); err != nil {
		return 1, err
	}
	if suite.dir, err = os.MkdirTemp("", "gateway-e2e-"); err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(suite.dir) }()
	suite.binary = filepath.Join(suite.dir, "gateway")
	build := exec.Command("go", "build", "-race", "-o", suite.binary, "./cmd/gateway")
	build.Dir = suite.root
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build gateway: %w\n%s", err, out)
	}
	suite.plain = sync.OnceValues(func() (string, error) {
		binary := filepath.Join(suite.dir, "gateway-plain")
		build := exec.Command("go", "build", "-o", binary, "./cmd/gateway")
		build.Dir = suite.root
		out, err := build.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("build gateway: %w\n%s", err, out)
		}
		return binary, err
	})
	defer func() {
		if suite.kafka != nil {
			_ = suite.kafka.Kill()
		}
	}()
	status = m.Run()
	return status, lookForSecrets()
}

// privateKafka is a broker that one test at a time may pause, kill and restart. It
// creates missing topics on request, as brokers do by default: the gateway must not
// rely on that.
func privateKafka(t *testing.T) *services.Kafka {
	t.Helper()
	suite.once.Do(func() {
		suite.kafka, suite.err = services.StartKafka(context.Background(), services.KafkaConfig{
			Dir: filepath.Join(suite.dir, "kafka"), Properties: map[string]string{"auto.create.topics.enable": "true"},
		})
	})
	require.NoError(t, suite.err)
	return suite.kafka
}

func privateRedis(t *testing.T, args ...string) *services.Redis {
	t.Helper()
	r, err := services.StartRedis(t.Context(), services.RedisConfig{Dir: t.TempDir(), Args: args})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Kill()) })
	return r
}

// unique returns a name that no other test or run uses.
func unique(prefix string) string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return prefix + "-" + hex.EncodeToString(b[:])
}

// eventually polls check until it returns nil, at most for limit.
func eventually(t *testing.T, limit time.Duration, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		if !backoff.Sleep(ctx, 20*time.Millisecond) {
			require.FailNow(t, what, "not within %v: %v", limit, err)
		}
	}
}

// each calls do for 0 … n-1, on that many goroutines, and waits.
func each(goroutines, n int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	wg.Wait()
}

// lines collects a process's output.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is all output so far.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
