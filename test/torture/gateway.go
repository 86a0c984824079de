package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"eventgateway/internal/backoff"
)

// gateway is one gateway and its supervisor, which restarts a process that has ended
// at the same address, as an orchestrator would.
type gateway struct {
	index       int
	addr, admin string // host:port
	binary      string
	verbs       []string // its command
	config      string   // file
	skew        time.Duration
	// stopLimit bounds an orderly stop: the delivery timeout, 15 s, and a margin for a
	// busy machine.
	stopLimit time.Duration
	hits      chan hit // failpoints that were hit
	watched   chan struct{}

	mu       sync.Mutex
	log      *os.File
	proc     *child
	started  int    // processes so far
	arm      string // failpoints of the next process only
	armed    bool   // the current process has failpoints
	keepDown bool   // the process is not started again when it ends
	stopping bool
	expected bool // the run ended the current process
	deaths   []string
	bad      []string // log lines that a gateway must never write
	points   map[string]int
}

// hit is a failpoint that took effect.
type hit struct{ point, action string }

// restartPause is how long an orchestrator takes to notice that a process has ended.
const restartPause = 100 * time.Millisecond

// startGateway starts the process and the goroutine that watches it; stop ends both.
func startGateway(g *gateway, logPath string) error {
	var err error
	if g.log, err = os.Create(logPath); err != nil {
		return fmt.Errorf("create gateway log: %w", err)
	}
	g.hits, g.watched, g.points = make(chan hit, 64), make(chan struct{}), map[string]int{}
	if err := g.launch(); err != nil {
		return err
	}
	go g.watch()
	return nil
}

var errStopping = errors.New("the gateway is stopping")

func (g *gateway) launch() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopping {
		return errStopping
	}
	plan := fmt.Sprintf("skew:%v", g.skew)
	if g.arm != "" {
		plan += "," + g.arm
	}
	g.armed = g.arm != ""
	g.arm, g.expected = "", false
	env := append(os.Environ(), "GATEWAY_TEST_FAILPOINTS="+plan, "GORACE=halt_on_error=0")
	proc, err := startChild(g.binary, append(slices.Clone(g.verbs), "-c", g.config), env, g.readLine)
	if err != nil {
		return err
	}
	g.proc = proc
	g.started++
	return nil
}

// readLine looks at each line of the gateway's log.
func (g *gateway) readLine(line string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, _ = fmt.Fprintln(g.log, line)
	var h hit
	if n, _ := fmt.Sscanf(line, "gateway-failpoint point=%s action=%s", &h.point, &h.action); n == 2 {
		g.points[h.point]++
		g.expected = g.expected || h.action == "kill"
		select {
		case g.hits <- h:
		default: // no fault waits for that many
		}
		return
	}
	for _, bad := range []string{"DATA RACE", "panic:", "fatal error:", "handler panicked"} {
		if strings.Contains(line, bad) && len(g.bad) < 20 {
			g.bad = append(g.bad, line)
		}
	}
}

// watch starts the process again whenever it ends.
func (g *gateway) watch() {
	defer close(g.watched)
	for {
		proc := g.process()
		<-proc.done
		g.mu.Lock()
		if !g.expected && !g.stopping {
			g.deaths = append(g.deaths, fmt.Sprintf("gateway %d ended without being told to: %v", g.index, proc.cmd.ProcessState))
		}
		g.mu.Unlock()
		for {
			time.Sleep(restartPause)
			g.mu.Lock()
			down := g.keepDown && !g.stopping
			g.mu.Unlock()
			if !down {
				break
			}
		}
		if err := g.launch(); errors.Is(err, errStopping) {
			return
		} else if err != nil {
			g.mu.Lock()
			g.deaths = append(g.deaths, fmt.Sprintf("gateway %d: %v", g.index, err))
			g.mu.Unlock()
			return
		}
	}
}

func (g *gateway) process() *child {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.proc
}

func (g *gateway) generation() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.started
}

// kill sends SIGKILL to the process; it stays down until allowRestart.
func (g *gateway) kill() {
	g.mu.Lock()
	g.keepDown, g.expected = true, true
	proc := g.proc
	g.mu.Unlock()
	proc.signal(syscall.SIGKILL)
	<-proc.done
}

// leave ends the process in order; it stays down until allowRestart.
func (g *gateway) leave() {
	g.mu.Lock()
	g.keepDown, g.expected = true, true
	proc := g.proc
	g.mu.Unlock()
	if !proc.end(g.stopLimit) {
		g.mu.Lock()
		g.deaths = append(g.deaths, fmt.Sprintf("gateway %d did not stop within %v", g.index, g.stopLimit))
		g.mu.Unlock()
		proc.signal(syscall.SIGKILL)
		<-proc.done
	}
}

// allowRestart lets a gateway that is down start again.
func (g *gateway) allowRestart() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keepDown = false
}

func (g *gateway) pause() { g.process().signal(syscall.SIGSTOP) }

func (g *gateway) resume() { g.process().signal(syscall.SIGCONT) }

// restart ends the process, in order or at once, and waits until the next one has
// started, with arm as its failpoints.
func (g *gateway) restart(ctx context.Context, inOrder bool, arm string) error {
	g.mu.Lock()
	g.arm, g.expected = arm, true
	proc, before := g.proc, g.started
	g.mu.Unlock()
	if !inOrder || !proc.end(g.stopLimit) {
		proc.signal(syscall.SIGKILL)
	}
	for g.generation() == before {
		if !backoff.Sleep(ctx, restartPause) {
			return fmt.Errorf("restart gateway %d: %w", g.index, context.Cause(ctx))
		}
	}
	return nil
}

func (g *gateway) isArmed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.armed && !g.proc.exited()
}

// clearHits drops hits that no fault has waited for.
func (g *gateway) clearHits() {
	for {
		select {
		case <-g.hits:
		default:
			return
		}
	}
}

// ready asks /readyz once.
func (g *gateway) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.admin+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("ask gateway: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask gateway: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("gateway %d is not ready: %d", g.index, resp.StatusCode)
	}
	return nil
}

// goroutines returns the stacks of all goroutines, or the error of asking for them.
func (g *gateway) goroutines() []byte {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Post("http://"+g.admin+"/debug/pprof/goroutine?debug=2", "", nil)
	if err != nil {
		return []byte(err.Error())
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		raw = append(raw, err.Error()...)
	}
	return raw
}

// waitReady waits at the start of a run, before there are faults.
func (g *gateway) waitReady(ctx context.Context) error {
	const limit = 90 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := g.ready(ctx)
		if err == nil {
			return nil
		}
		if g.process().exited() {
			return errors.Join(err, fmt.Errorf("gateway %d ended; its log is %s", g.index, g.log.Name()))
		}
		if !backoff.Sleep(ctx, restartPause) {
			return fmt.Errorf("wait for gateway %d (its log is %s): %w", g.index, g.log.Name(), err)
		}
	}
}

// stop ends the gateway in order, without starting it again.
func (g *gateway) stop() {
	g.mu.Lock()
	g.stopping = true
	proc := g.proc
	g.mu.Unlock()
	if !proc.end(g.stopLimit) {
		g.mu.Lock()
		g.deaths = append(g.deaths, fmt.Sprintf("gateway %d did not stop within %v", g.index, g.stopLimit))
		g.mu.Unlock()
		proc.signal(syscall.SIGKILL)
	}
	<-g.watched
	_ = g.process().waitDone(g.stopLimit)
	_ = g.log.Close()
}

// unexpected returns what broke rule (g) other than answers: ends of the process and
// lines of its log.
func (g *gateway) unexpected() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := append([]string(nil), g.deaths...)
	for _, line := range g.bad {
		out = append(out, fmt.Sprintf("gateway %d logged: %.300s", g.index, line))
	}
	return out
}
