package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"
)

// stack is the set of shared servers of one repository.
type stack struct {
	dir  string // <repository>/.services
	lock string // outside dir, which comes and goes
	out  io.Writer
}

func newStack(root string, out io.Writer) *stack {
	return &stack{dir: filepath.Join(root, ".services"), lock: filepath.Join(root, ".cache", "services.lock"), out: out}
}

// Up starts one Kafka, one Redis and one PostgreSQL server that outlive this
// process, and writes .services/state.json and .services/env in the repository.
// If all three already run and answer, it only says so; if some do not, it stops the
// others and starts all again, with empty data. Progress goes to out.
func Up(ctx context.Context, out io.Writer) error {
	root, err := RepoRoot()
	if err != nil {
		return err
	}
	return newStack(root, out).up(ctx)
}

// Down stops exactly the servers that .services/state.json lists and removes
// .services. Without that directory there is nothing to do.
func Down(ctx context.Context, out io.Writer) error {
	root, err := RepoRoot()
	if err != nil {
		return err
	}
	s := newStack(root, out)
	return withFileLock(s.lock, func() error { return s.down(ctx) })
}

// EnvLines returns the lines of .services/env.
func EnvLines() (string, error) {
	root, err := RepoRoot()
	if err != nil {
		return "", err
	}
	raw, err := os.ReadFile(filepath.Join(root, ".services", "env"))
	if errors.Is(err, os.ErrNotExist) {
		return "", errors.New("no services are up: run `make services-up` first")
	}
	if err != nil {
		return "", fmt.Errorf("read environment: %w", err)
	}
	return string(raw), nil
}

func (s *stack) up(ctx context.Context) error {
	return withFileLock(s.lock, func() error {
		if err := EnsureInstalled(ctx, s.out); err != nil {
			return err
		}
		st, err := s.readState()
		if err != nil {
			return err
		}
		if st != nil {
			sick := s.check(ctx, st)
			if sick == nil {
				fmt.Fprintf(s.out, "services are up already\n%s", st.env())
				return nil
			}
			fmt.Fprintf(s.out, "not all services answer, starting anew: %v\n", sick)
		}
		if err := s.down(ctx); err != nil {
			return err
		}
		return s.startAll(ctx)
	})
}

// startAll starts the three servers side by side into an empty directory. It
// leaves all of them running, or none.
func (s *stack) startAll(ctx context.Context) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return fmt.Errorf("create services directory: %w", err)
	}
	fmt.Fprintln(s.out, "starting Kafka, Redis and PostgreSQL; the first time this fetches Kafka")
	st := &state{}
	var mu sync.Mutex
	// record saves a server as soon as its process exists, so that down finds it even
	// if this process is killed right afterwards.
	record := func(name string) func(procID) error {
		return func(id procID) error {
			mu.Lock()
			defer mu.Unlock()
			st.Processes = slices.DeleteFunc(st.Processes, func(p stateProcess) bool { return p.Name == name })
			st.Processes = append(st.Processes, stateProcess{Name: name, procID: id})
			return s.writeState(st)
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	var kafka *Kafka
	var redis *Redis
	var postgres *Postgres
	g.Go(func() (err error) {
		kafka, err = StartKafka(gctx, KafkaConfig{
			Dir: filepath.Join(s.dir, "kafka"), Detached: true, onStart: record("kafka"),
			// No test restarts this one; with Kafka's defaults it tolerates a busy machine better.
			Properties: map[string]string{"broker.session.timeout.ms": "9000", "broker.heartbeat.interval.ms": "2000"},
		})
		return err
	})
	g.Go(func() (err error) {
		redis, err = StartRedis(gctx, RedisConfig{Dir: filepath.Join(s.dir, "redis"), Detached: true, onStart: record("redis")})
		return err
	})
	g.Go(func() (err error) {
		postgres, err = StartPostgres(gctx, PostgresConfig{Dir: filepath.Join(s.dir, "postgres"), Detached: true, onStart: record("postgres")})
		return err
	})
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil { // the servers' own errors follow from it
			err = fmt.Errorf("start services: %w; what had started is stopped", context.Cause(ctx))
		}
		return errors.Join(err, s.stopAll(context.WithoutCancel(ctx), st))
	}
	st.Kafka, st.Redis, st.Postgres = kafka.Addr(), redis.Addr(), postgres.DSN()
	err := errors.Join(s.writeState(st), writeFileAtomic(filepath.Join(s.dir, "env"), []byte(st.env())))
	if err != nil {
		return errors.Join(err, s.stopAll(context.WithoutCancel(ctx), st))
	}
	fmt.Fprintf(s.out, "services are up; their logs are in %s/*/server.log\n%s", s.dir, st.env())
	return nil
}

// check returns nil if every server of the state runs and answers.
func (s *stack) check(ctx context.Context, st *state) error {
	if st.Kafka == "" || st.Redis == "" || st.Postgres == "" {
		return errors.New("an earlier start did not finish")
	}
	for _, p := range st.Processes {
		if !p.alive() {
			return fmt.Errorf("%s (pid %d) does not run", p.Name, p.PID)
		}
	}
	// Patient, because other users of the servers lose them if this fails.
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	return poll(ctx, func(ctx context.Context) error {
		return errors.Join(
			probeKafka(ctx, st.Kafka, "", 1),
			probeRedis(ctx, st.Redis, st.pid("redis")),
			probePostgres(ctx, st.Postgres, filepath.Join(s.dir, "postgres", "data"), st.pid("postgres")),
		)
	})
}

func (s *stack) down(ctx context.Context) error {
	st, err := s.readState()
	if err != nil {
		return err
	}
	if st == nil {
		st = &state{}
	}
	if err := s.stopAll(ctx, st); err != nil {
		return err
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove services directory: %w", err)
	}
	return nil
}

// stopAll ends the processes of the state that still run, side by side.
func (s *stack) stopAll(ctx context.Context, st *state) error {
	errs := make([]error, len(st.Processes))
	var g errgroup.Group
	for i, p := range st.Processes {
		g.Go(func() error {
			sig := syscall.SIGTERM
			if p.Name == "postgres" {
				sig = syscall.SIGINT // SIGTERM would wait for its clients to leave
			}
			errs[i] = p.end(ctx, sig)
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs
	return errors.Join(errs...)
}
