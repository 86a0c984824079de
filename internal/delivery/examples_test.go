//go:build integration

package delivery

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	exampleSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr"
	examplesDir   = "../../examples/consumers"
)

// example is one of the examples of consumers, running.
type example struct {
	t    *testing.T
	args []string
	env  []string

	mu  sync.Mutex
	cmd *exec.Cmd
	url *url.URL
}

// startExample starts one that keeps its data in a new folder.
func startExample(t *testing.T, store string, args ...string) *example {
	t.Helper()
	e := &example{t: t, args: args, env: append(os.Environ(),
		"PORT=0", "WEBHOOK_SECRETS="+exampleSecret, store+"="+filepath.Join(t.TempDir(), "data"))}
	e.start()
	t.Cleanup(e.kill)
	return e
}

func (e *example) start() {
	e.t.Helper()
	cmd := exec.Command(e.args[0], e.args[1:]...)
	cmd.Env, cmd.Stderr = e.env, e.t.Output()
	out, err := cmd.StdoutPipe()
	require.NoError(e.t, err)
	require.NoError(e.t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(e.t, err)
	port := strings.TrimPrefix(strings.TrimSpace(line), "listening on ")
	at, err := url.Parse("http://127.0.0.1:" + port)
	require.NoError(e.t, err)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cmd, e.url = cmd, at
}

func (e *example) kill() {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait()
}

func (e *example) at() *url.URL {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.url
}

// read is what the example says of its data.
func (e *example) read(into any) {
	e.t.Helper()
	resp, err := http.Get(e.at().String()) //nolint:noctx // a test of this machine
	require.NoError(e.t, err)
	defer resp.Body.Close()
	require.NoError(e.t, json.NewDecoder(resp.Body).Decode(into))
}

// lossy stands before an example, and loses every third answer: the gateway delivers what
// the example has taken again.
type lossy struct {
	*httptest.Server
	n, lost, refused atomic.Int64
}

func newLossy(t *testing.T, e *example) *lossy {
	t.Helper()
	l := &lossy{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(e.at()) },
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode != http.StatusNoContent {
				l.refused.Add(1)
				return nil
			}
			if l.n.Add(1)%3 == 0 {
				l.lost.Add(1)
				r.StatusCode, r.Status = http.StatusBadGateway, "502 Bad Gateway"
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	l.Server = httptest.NewServer(proxy)
	t.Cleanup(l.Close)
	return l
}

// pushTo delivers orders to an example of which answers are lost, and which is killed
// once, until all are committed.
func pushTo(t *testing.T, e *example, entities, each int) *lossy {
	t.Helper()
	w := newWorld(t, 2)
	for n := range each {
		for i := range entities {
			w.write(record("c"+strconv.Itoa(i), fmt.Sprintf(`{"amount":%d}`, n+1)))
		}
	}
	l := newLossy(t, e)
	w.start(w.config(func(c *Config) {
		c.Endpoint.URL, c.Endpoint.Secrets = l.URL, []string{exampleSecret}
		c.Retry = Retry{Attempts: 50, Initial: 5 * time.Millisecond, Max: 100 * time.Millisecond}
	}))
	total := int64(entities * each)
	w.eventually("half were taken", func() bool { return l.n.Load() > total/2 })
	e.kill()
	e.start()
	w.eventually("all are committed", func() bool { return w.committed(0).base+w.committed(1).base == total })
	require.Empty(t, w.dead())
	require.Greater(t, l.lost.Load(), total/4, "redeliveries")
	return l
}

// refusesStrangers checks that an example takes only what the gateway has signed lately.
func refusesStrangers(t *testing.T, e *example) {
	t.Helper()
	body := []byte(`{"partitionkey":"c0","sequence":"00000000000000009999","data":{"amount":1000000}}`)
	post := func(id string, at time.Time, change func(http.Header)) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.at().String(), bytes.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Webhook-Id", id)
		req.Header.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
		req.Header.Set("Webhook-Signature", signFor(t, id, at, body))
		change(req.Header)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	now := time.Now()
	for name, change := range map[string]func(http.Header){
		"no signature":      func(h http.Header) { h.Del("Webhook-Signature") },
		"another signature": func(h http.Header) { h.Set("Webhook-Signature", "v1,"+strings.Repeat("A", 43)+"=") },
		"no text":           func(h http.Header) { h.Set("Webhook-Signature", "v1,\xff") },
		"another version": func(h http.Header) {
			h.Set("Webhook-Signature", strings.Replace(h.Get("Webhook-Signature"), "v1,", "v9,", 1))
		},
		"another id": func(h http.Header) { h.Set("Webhook-Id", "other") },
		"no time":    func(h http.Header) { h.Del("Webhook-Timestamp") },
	} {
		require.Equal(t, http.StatusUnauthorized, post("x", now, change), name)
	}
	require.Equal(t, http.StatusUnauthorized, post("x", now.Add(-10*time.Minute), func(http.Header) {}), "an old one")
	body = []byte(`{"partitionkey":"c0"}`)
	require.Equal(t, http.StatusUnprocessableEntity, post("y", now, func(http.Header) {}), "an event without data")
}

func TestPythonExampleCountsRedeliveriesOnce(t *testing.T) {
	t.Parallel()
	e := startExample(t, "DATABASE", "python3", examplesDir+"/python/receiver.py")
	pushTo(t, e, 10, 20)
	refusesStrangers(t, e)
	var totals map[string]int
	e.read(&totals)
	require.Len(t, totals, 10)
	for entity, total := range totals {
		require.Equal(t, 20*21/2, total, entity)
	}
}

func TestNodeExampleKeepsTheNewestState(t *testing.T) {
	t.Parallel()
	e := startExample(t, "JOURNAL", "node", examplesDir+"/node/receiver.mjs")
	pushTo(t, e, 10, 20)
	refusesStrangers(t, e)
	e.kill()
	e.start()
	var orders map[string]struct{ Amount int }
	e.read(&orders)
	require.Len(t, orders, 10)
	for entity, order := range orders {
		require.Equal(t, 20, order.Amount, entity)
	}
	text, err := os.ReadFile(strings.TrimPrefix(e.env[len(e.env)-1], "JOURNAL="))
	require.NoError(t, err)
	require.Equal(t, 200, bytes.Count(text, []byte("\n")), "one line for each event")
}

// signFor signs as Standard Webhooks says, without the code that is tested.
func signFor(t *testing.T, id string, at time.Time, body []byte) string {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(exampleSecret, "whsec_"))
	require.NoError(t, err)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
