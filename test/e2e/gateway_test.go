//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"eventgateway/test/services"
)

// options are a test's settings of its gateway; all have defaults.
type options struct {
	kafka           string   // "": the shared one
	redis           []string // nil: the shared one
	master          string   // with it, redis are the sentinels
	schemas         string   // folder of event types
	publicURL       string
	bodyLimit       string
	maxConnections  int
	memoryLimit     string
	plain           bool // without the race detector, where memory counts
	readTimeout     time.Duration
	deliveryTimeout time.Duration
	lease           time.Duration
	noTopics        bool // leave missing topics alone
	guarantee       string
	prefix          string // kafka.transactional_id_prefix, and the installation; "": those that tests share
	onStoreLoss     string
	auth            any  // nil: none
	lost            bool // Redis may have lost claims: no rebuild declares it new
	webhooks        []map[string]any
	outbox          []map[string]any
	ttl             time.Duration // 0: ten minutes
	subscriptions   []map[string]any
}

// config is the gateway's configuration file. Ports are chosen by the kernel.
func (o options) config(t *testing.T) map[string]any {
	t.Helper()
	if o.kafka == "" {
		o.kafka = services.Shared(t).Kafka
	}
	if o.redis == nil {
		o.redis = []string{services.Shared(t).Redis}
	}
	httpSection := map[string]any{"listen": "127.0.0.1:0", "public_url": o.publicURL}
	kafkaSection := map[string]any{
		"brokers":       []string{o.kafka},
		"create_topics": map[string]any{"enabled": !o.noTopics, "partitions": 6, "replication": 1},
	}
	// Keys are unique to a run and need not be kept for a day.
	idempotency := map[string]any{"ttl": "10m"}
	if o.ttl > 0 {
		idempotency["ttl"] = o.ttl.String()
	}
	set := func(section map[string]any, name string, d time.Duration) {
		if d > 0 {
			section[name] = d.String()
		}
	}
	set(httpSection, "read_timeout", o.readTimeout)
	set(kafkaSection, "delivery_timeout", o.deliveryTimeout)
	set(idempotency, "lease", o.lease)
	if o.guarantee != "" {
		kafkaSection["guarantee"] = o.guarantee
		kafkaSection["transaction_timeout"] = o.deliveryTimeout.String()
	}
	if o.prefix != "" {
		// Gateways that register in different topics must not share claims.
		kafkaSection["transactional_id_prefix"], idempotency["installation"] = o.prefix, o.prefix
	}
	if o.onStoreLoss != "" {
		idempotency["on_store_loss"] = o.onStoreLoss
	}
	if o.bodyLimit != "" {
		httpSection["body_limit"] = o.bodyLimit
	}
	if o.maxConnections > 0 {
		httpSection["max_connections"] = o.maxConnections
	}
	if o.auth == nil {
		o.auth = "none"
	}
	memory := map[string]any{}
	if o.memoryLimit != "" {
		memory["limit"] = o.memoryLimit
	}
	return map[string]any{
		"memory": memory, "webhooks": o.webhooks, "outbox": o.outbox, "subscriptions": o.subscriptions,
		"auth": o.auth, "http": httpSection, "admin": map[string]any{"listen": "127.0.0.1:0"},
		"kafka": kafkaSection, "redis": map[string]any{"addresses": o.redis, "master": o.master},
		"schemas": map[string]any{"dir": o.schemas}, "idempotency": idempotency,
	}
}

func writeConfig(t *testing.T, cfg map[string]any) string {
	t.Helper()
	raw, err := yaml.Marshal(cfg)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "gateway.yaml")
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	return path
}

// gateway is a running `gateway serve`.
type gateway struct {
	*process
	addr, admin string
	stopLimit   time.Duration
	stopping    bool
	stopped     bool
}

// startGateway starts one and waits until it is ready. It is stopped at the end of the
// test, if it still runs, and its status and log are checked.
func startGateway(t *testing.T, o options) *gateway {
	t.Helper()
	return startConfigured(t, o, writeConfig(t, o.config(t)))
}

// declareNew says that Redis has lost nothing, as an operator does at the first
// installation.
func declareNew(t *testing.T, file string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), suite.binary, "idempotency", "rebuild", "-c", file, "--since", "0s").CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// startConfigured starts one with a configuration file.
func startConfigured(t *testing.T, o options, file string) *gateway {
	t.Helper()
	if !o.lost {
		declareNew(t, file)
	}
	binary := suite.binary
	if o.plain {
		binary = plainBinary(t)
	}
	g := &gateway{process: launch(t, suite.dir, binary, "serve", "-c", file)}
	delivery := max(o.deliveryTimeout, 10*time.Second)
	g.stopLimit = delivery + 3*time.Second + 5*time.Second + 7*time.Second // stop margin, settling, a busy machine
	t.Cleanup(func() { g.stop(t) })
	eventually(t, patient, "gateway starts", func() error {
		if g.exited() {
			require.FailNow(t, "gateway ended", g.log.String())
		}
		return g.learnAddresses()
	})
	eventually(t, patient, "gateway is ready", func() error {
		status, body, err := g.ask("/readyz")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d %s", status, body)
		}
		return err
	})
	return g
}

// learnAddresses reads the start-up line.
func (g *gateway) learnAddresses() error {
	for line := range strings.Lines(g.log.String()) {
		var entry struct{ Msg, Listen, Admin string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "gateway started" {
			g.addr, g.admin = entry.Listen, entry.Admin
			return nil
		}
	}
	return fmt.Errorf("no start-up line")
}

// ask gets a path of the admin listener.
func (g *gateway) ask(path string) (status int, body string, err error) {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get("http://" + g.admin + path)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if path == "/metrics" {
		recordShown("the answer to "+path, string(raw))
	}
	return resp.StatusCode, string(raw), err
}

// readiness is the body of /readyz.
type readiness struct {
	status int
	Ready  bool
	Reason string
	Checks map[string]struct {
		OK    bool
		Error string
	}
	Types map[string]struct {
		Taken string
		Why   []string
	}
}

func (g *gateway) readiness(t *testing.T) (r readiness) {
	t.Helper()
	status, body, err := g.ask("/readyz")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(body), &r), body)
	require.Equal(t, r.Ready, status == http.StatusOK)
	r.status = status
	return r
}

// metric is the value of a metric without labels.
func (g *gateway) metric(t *testing.T, name string) float64 {
	t.Helper()
	_, text, err := g.ask("/metrics")
	require.NoError(t, err)
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			require.NoError(t, err)
			return n
		}
	}
	require.FailNow(t, "no such metric", name)
	return 0
}

// cpuOf is the CPU time that the gateway uses while do runs. Unlike elapsed time, it
// does not grow when other programs keep the machine busy.
func (g *gateway) cpuOf(t *testing.T, do func()) time.Duration {
	t.Helper()
	const name = "process_cpu_seconds_total"
	before := g.metric(t, name)
	do()
	return time.Duration((g.metric(t, name) - before) * float64(time.Second))
}

// beginStop asks the gateway to stop. A second signal would end it at once.
func (g *gateway) beginStop(t *testing.T) {
	t.Helper()
	if !g.stopping && !g.exited() {
		g.signal(t, syscall.SIGTERM)
	}
	g.stopping = true
}

// stop asks the gateway to stop and requires an orderly end.
func (g *gateway) stop(t *testing.T) {
	t.Helper()
	if g.stopped {
		return
	}
	g.stopped = true
	if !g.stopping && !g.exited() {
		_, _, _ = g.ask("/metrics") // for the search for secrets
	}
	g.beginStop(t)
	require.Zero(t, g.waitExit(t, g.stopLimit), "exit status; log:\n%s", tail(g.log.String(), 30))
	g.requireCleanLog(t)
}

// eventType describes a type of one test; its data are orders unless schema is set.
type eventType struct {
	name   string
	xevent map[string]any // "key": "/orderId" if it has no key
	schema map[string]any // nil: that of the sample orders.placed
}

// schemasFolder writes a folder of event types.
func schemasFolder(t *testing.T, types ...eventType) string {
	t.Helper()
	dir := t.TempDir()
	for _, et := range types {
		writeType(t, dir, et)
	}
	return dir
}

// writeType replaces a type's file atomically, as editors and ConfigMaps do.
func writeType(t *testing.T, dir string, et eventType) {
	t.Helper()
	schema := maps.Clone(et.schema)
	if schema == nil {
		raw, err := os.ReadFile(filepath.Join(suite.root, "schemas/orders.placed/v1.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, &schema))
	}
	xevent := maps.Clone(et.xevent)
	if xevent == nil {
		xevent = map[string]any{}
	}
	if _, ok := xevent["key"]; !ok {
		xevent["key"] = "/orderId"
	}
	if _, ok := xevent["body_limit"]; ok {
		delete(schema, "examples") // they may be larger
	}
	schema["x-event"] = xevent
	raw, err := json.MarshalIndent(schema, "", "  ")
	require.NoError(t, err)
	writeFile(t, filepath.Join(dir, et.name, "v1.json"), raw)
}

func writeFile(t *testing.T, path string, raw []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	tmp := filepath.Join(filepath.Dir(path), ".new")
	require.NoError(t, os.WriteFile(tmp, raw, 0o600))
	require.NoError(t, os.Rename(tmp, path))
}
