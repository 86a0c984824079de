//go:build integration

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bombardment sends requests again and again on several connections, until it is stopped.
type bombardment struct {
	stop    chan struct{}
	running sync.WaitGroup
	mu      sync.Mutex
	answers map[int]int // by status; 0: none
	bytes   int64       // of the largest answer
}

func newBombardment() *bombardment {
	return &bombardment{stop: make(chan struct{}), answers: map[int]int{}}
}

func (b *bombardment) stopped() bool {
	select {
	case <-b.stop:
		return true
	default:
		return false
	}
}

func (b *bombardment) end() {
	close(b.stop)
	b.running.Wait()
}

// send posts text on n connections, each time count is not exhausted; 0: until the end.
func (b *bombardment) send(addr, text string, n, count int) {
	for range n {
		b.running.Go(func() {
			reader := bufio.NewReader(nil)
			for i := 0; (count == 0 || i < count) && !b.stopped(); i++ {
				status, size, err := postOnce(addr, text, reader)
				if err != nil {
					status = 0
				}
				b.mu.Lock()
				b.answers[status]++
				b.bytes = max(b.bytes, size)
				b.mu.Unlock()
			}
		})
	}
}

// postOnce is exchange without the answer's body: a client that kept it would cost more than
// the gateway.
func postOnce(addr, text string, reader *bufio.Reader) (status int, size int64, err error) {
	conn, err := net.DialTimeout("tcp", addr, patient)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patient)); err != nil {
		return 0, 0, err
	}
	_, _ = io.WriteString(conn, text) // refused early, the answer may still come
	reader.Reset(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		return 0, 0, err
	}
	size, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, size, err
}

// ignore posts text on n connections and reads no answer, until the gateway gives up.
func (b *bombardment) ignore(addr, text string, n int) {
	for range n {
		b.running.Go(func() {
			for !b.stopped() {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					continue
				}
				_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
				_, _ = io.WriteString(conn, text)
				select {
				case <-b.stop:
				case <-time.After(10 * time.Second):
				}
				_ = conn.Close()
			}
		})
	}
}

// attack is what hostile clients send, in a process of their own: what they use must not
// count as the gateway's, nor delay the clients that are measured.
type attack struct {
	Addr  string
	Posts []attackPosts
}

type attackPosts struct {
	Text        []byte
	Connections int
	Ignore      bool // the answers
}

// attackReport is what became of it.
type attackReport struct {
	Answers map[int]int // by status; 0: none
	Bytes   int64       // of the largest answer
	CPU     time.Duration
}

// attackVariable is set in the process of the hostile clients: see TestMain.
const attackVariable = "GATEWAY_TEST_ATTACK"

// runAttack reads an attack, carries it out until the input ends, and writes the report.
func runAttack(in io.Reader, out io.Writer) error {
	var a attack
	decoder := json.NewDecoder(in)
	if err := decoder.Decode(&a); err != nil {
		return fmt.Errorf("read attack: %w", err)
	}
	all := newBombardment()
	for _, p := range a.Posts {
		if p.Ignore {
			all.ignore(a.Addr, string(p.Text), p.Connections)
		} else {
			all.send(a.Addr, string(p.Text), p.Connections, 0)
		}
	}
	_, _ = io.Copy(io.Discard, in)
	all.end()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return err
	}
	cpu := time.Duration(used.Utime.Nano() + used.Stime.Nano())
	return json.NewEncoder(out).Encode(attackReport{Answers: all.answers, Bytes: all.bytes, CPU: cpu})
}

// start begins the attack. What it returns ends it, and must be called.
func (a attack) start(t *testing.T) (end func() attackReport) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), attackVariable+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // does nothing if it has ended
	require.NoError(t, json.NewEncoder(in).Encode(a))
	return func() attackReport {
		t.Helper()
		require.NoError(t, in.Close())
		var report attackReport
		require.NoError(t, json.NewDecoder(out).Decode(&report))
		require.NoError(t, cmd.Wait())
		return report
	}
}

// allKinds is every kind of hostile request at once.
func allKinds(t *testing.T, addr string) attack {
	t.Helper()
	kinds := hostileKinds(t)
	a := attack{Addr: addr}
	for _, p := range []struct {
		kind        string
		connections int
		ignore      bool
	}{
		{"objects of one member", 50, false},
		{"290,000 objects", 20, false},
		{"many violations", 16, false},
		{"a large answer", 5, false},
		{"a recursive schema", 3, false},
		{"a large answer", 25, true},
	} {
		a.Posts = append(a.Posts, attackPosts{Text: []byte(kinds[p.kind]), Connections: p.connections, Ignore: p.ignore})
	}
	return a
}
