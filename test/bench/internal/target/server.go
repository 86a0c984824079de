package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	readyTimeout = 60 * time.Second
	readyEvery   = 50 * time.Millisecond
	stopTimeout  = 30 * time.Second
	logTail      = 2 << 10 // bytes of a failed server's log that an error quotes
)

// Server is a running process under measurement.
type Server struct {
	Spec    Spec
	PID     int
	Address string // public listener, host:port
	Admin   string // admin listener; nothing listens there for a floor
	exited  chan struct{}
	waitErr error // set before exited is closed
	log     string
	command *exec.Cmd
}

// Start runs the server and waits until /readyz answers 200. Its output goes to
// a file in dir.
func Start(ctx context.Context, spec Spec, dir string) (*Server, error) {
	listen, admin, err := freeAddresses()
	if err != nil {
		return nil, err
	}
	args, err := spec.arguments(dir, listen, admin)
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", spec.Name, err)
	}
	if spec.prepare != nil {
		if err := spec.prepare(ctx, args); err != nil {
			return nil, err
		}
	}
	s := &Server{
		Spec: spec, Address: listen, Admin: admin,
		exited: make(chan struct{}), log: filepath.Join(dir, spec.Name+".log"),
	}
	out, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", spec.Name, err)
	}
	defer func() { _ = out.Close() }() // the child has its own descriptor
	s.command = exec.Command(spec.Binary, args...)
	s.command.Env = withoutGatewaySettings(os.Environ())
	s.command.Stdout, s.command.Stderr = out, out
	// A bench that is killed must not leave a server behind. The signal is sent when
	// the starting thread ends; Go keeps its threads until the exit.
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	s.PID = s.command.Process.Pid
	go func() {
		s.waitErr = s.command.Wait()
		close(s.exited)
	}()
	if err := s.awaitReady(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w\n%s", spec.Name, err, s.tail()), s.Stop())
	}
	return s, nil
}

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	var last error
	for {
		if _, last = Get(ctx, "http://"+s.Spec.ready(s)+"/readyz"); last == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return fmt.Errorf("it ended before it was ready: %w", errors.Join(s.waitErr, last))
		case <-ctx.Done():
			return fmt.Errorf("wait for /readyz: %w", errors.Join(ctx.Err(), last))
		}
	}
}

// Stop sends SIGTERM, then kills. It fails if the server had already ended, or ended
// with an error.
func (s *Server) Stop() error {
	select {
	case <-s.exited:
		return fmt.Errorf("stop %s: it had ended by itself (%s)\n%s", s.Spec.Name, s.command.ProcessState, s.tail())
	default:
	}
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", s.Spec.Name, err)
	}
	patience := time.NewTimer(stopTimeout)
	defer patience.Stop()
	select {
	case <-s.exited:
	case <-patience.C:
		err := s.command.Process.Kill()
		<-s.exited
		return errors.Join(fmt.Errorf("stop %s: still running %v after SIGTERM", s.Spec.Name, stopTimeout), err)
	}
	if s.waitErr != nil {
		return fmt.Errorf("stop %s: %w\n%s", s.Spec.Name, s.waitErr, s.tail())
	}
	return nil
}

func (s *Server) tail() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-logTail):])
}

// StatusError is an HTTP answer other than 200.
type StatusError int

func (e StatusError) Error() string { return fmt.Sprintf("HTTP status %d", int(e)) }

// Get returns the body of a 200; another status is a StatusError.
func Get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", url, err)
	}
	req.Header.Set("X-Gateway-Profile", "1") // the admin listener asks for it
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("get: %w", err) // the error names the URL
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20)) // a long CPU profile is a few MiB
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", url, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: %w", url, StatusError(resp.StatusCode))
	}
	return body, nil
}

// freeAddresses returns two loopback addresses that were free a moment ago.
func freeAddresses() (first, second string, err error) {
	var lc net.ListenConfig
	var found [2]string
	for i := range found {
		l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return "", "", fmt.Errorf("find free port: %w", err)
		}
		defer func() { _ = l.Close() }() // both stay open until both are known
		found[i] = l.Addr().String()
	}
	return found[0], found[1], nil
}

func withoutGatewaySettings(environ []string) []string {
	var kept []string
	for _, e := range environ {
		if !strings.HasPrefix(e, "GATEWAY_") {
			kept = append(kept, e)
		}
	}
	return kept
}
