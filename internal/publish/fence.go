package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"eventgateway/internal/backoff"
	"eventgateway/internal/failpoint"
)

const (
	// fencesAtOnce bounds the short-lived producers of one fenceAll.
	fencesAtOnce = 4
	// fencesRemembered bounds the memory of what is fenced. A forgotten id is
	// fenced again, which does no harm.
	fencesRemembered = 10_000
	// The pauses while Kafka ends the transaction of an id that is fenced.
	shortestFencePause = 2 * time.Millisecond
	longestFencePause  = 100 * time.Millisecond
)

// fencer takes over transactional ids, so that their producers can append nothing
// more.
type fencer struct {
	cfg        Config
	registry   *registry
	members    *Membership                                // nil: no process is registered
	abandonOwn func(ctx context.Context, id string) error // abandons a producer of this process
	initialise func(ctx context.Context, id string) error // as a producer with this id that does nothing else
	running    context.Context                            // ended when the pool is closed; fences outlive the calls that ask for them
	logger     *slog.Logger
	metrics    *Metrics
	fences     fences
}

// fence returns when nothing can be appended or committed with id any more, and
// what was committed with it is visible. After an error nothing is certain.
func (f *fencer) fence(ctx context.Context, id string) error {
	one := f.fences.join(id, func() error { return f.takeOver(id) }, func() { f.registry.forget(id) })
	if one == nil {
		return nil
	}
	select {
	case <-one.done:
		return one.err
	case <-ctx.Done():
		return fmt.Errorf("fence %s: %w", id, ctx.Err())
	}
}

// fenceAll fences every transactional id that existed when it was called, this
// process' own ones included: they have successors first. If silent is not nil, it spares
// the ids of processes that are registered and not among the silent ones.
func (f *fencer) fenceAll(ctx context.Context, silent []string) error {
	if err := f.registry.ensureTopic(ctx); err != nil {
		return err
	}
	ids, err := f.registry.list(ctx)
	if err != nil {
		return err
	}
	if silent != nil && f.members != nil {
		// After the ids: a process is registered before its ids are.
		limit, cancel := context.WithTimeout(ctx, max(f.cfg.Lease, defaultRenewal)) // this gateway alone may be cut off
		living, err := f.members.Registered(limit)
		cancel()
		if err != nil {
			return err
		}
		for _, g := range living {
			if !slices.Contains(silent, g.ID) {
				maps.DeleteFunc(ids, func(_, process string) bool { return process == g.ID })
			}
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fencesAtOnce)
	for id := range ids {
		group.Go(func() error { return f.fence(ctx, id) })
	}
	return group.Wait()
}

// takeOver fences id, after the pool has abandoned it.
func (f *fencer) takeOver(id string) error {
	// Kafka first ends the old owner's transaction: it aborts an open one at once, but
	// waits for a commit in progress.
	ctx, cancel := withLimit(context.Background(), f.running, f.cfg)
	defer cancel()
	began := time.Now()
	err := f.abandonOwn(ctx, id)
	if err == nil {
		err = f.initialise(ctx, id)
	}
	result := "fenced"
	if err != nil {
		result = "failed"
		f.logger.Warn("fencing a transactional producer failed", "transactional_id", id, "error", err)
	} else {
		failpoint.At(failpoint.Fenced)
		f.logger.Info("transactional producer fenced", "transactional_id", id, "took", time.Since(began).Round(time.Millisecond))
	}
	f.metrics.fences.WithLabelValues(result).Inc()
	return err
}

// initialiseWithLibrdkafka starts a producer for each id.
func initialiseWithLibrdkafka(cfg Config, logger *slog.Logger, metrics *Metrics) func(ctx context.Context, id string) error {
	onError := func(from *librdkafkaProducer, e librdkafka.Error) { noteTransactionalError(logger, metrics, from, e) }
	return func(ctx context.Context, id string) error {
		p, err := newTransactional(cfg, id, defaultBatchBytes, logger, onError)
		if err != nil {
			return err
		}
		defer p.close(0)
		return p.initialise(ctx)
	}
}

// initialiseWithFranz sends the one request that it takes.
func initialiseWithFranz(connection []kgo.Opt, transactionTimeout time.Duration, log kgo.Logger) func(ctx context.Context, id string) error {
	return func(ctx context.Context, id string) error {
		cl, err := kgo.NewClient(append(connection[:len(connection):len(connection)], kgo.RetryBackoffFn(retryPause), kgo.WithLogger(log))...)
		if err != nil {
			return fmt.Errorf("create kafka client: %w", err)
		}
		defer cl.Close()
		pauses := backoff.NewExponential(shortestFencePause, longestFencePause)
		for {
			err := initProducerID(ctx, cl, id, transactionTimeout)
			switch {
			case err == nil:
				return nil
			case !errors.Is(err, kerr.ConcurrentTransactions) || ctx.Err() != nil:
				return fmt.Errorf("initialise transactions of %s: %w", id, err)
			}
			backoff.Sleep(ctx, pauses.Next()) // Kafka ends the transaction of the one before
		}
	}
}

func initProducerID(ctx context.Context, cl *kgo.Client, id string, transactionTimeout time.Duration) error {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID = &id
	req.ProducerID, req.ProducerEpoch = -1, -1                              // not known, so that Kafka fences whoever has them
	req.TransactionTimeoutMillis = int32(transactionTimeout.Milliseconds()) //nolint:gosec // internal/config bounds it by the lease
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}

// fenceable reports whether id is that of a transactional producer. Others
// end with their lease.
func fenceable(id string) bool { return !strings.HasPrefix(id, idempotentPrefix) }

// fences knows which ids are fenced, and which fences are in progress.
type fences struct {
	mu         sync.Mutex
	closed     bool
	inProgress map[string]*fencing
	done       map[string]bool
	order      []string // of done, oldest first
	wg         sync.WaitGroup
}

type fencing struct {
	done chan struct{} // closed when err is set
	err  error
}

func newFences() fences { return fences{inProgress: map[string]*fencing{}, done: map[string]bool{}} }

// join returns the fence of id that is in progress, or begins one: work, and
// after it cleanUp, which no caller waits for. It returns nil if id is fenced.
func (f *fences) join(id string, work func() error, cleanUp func()) *fencing {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done[id] {
		return nil
	}
	if one, ok := f.inProgress[id]; ok {
		return one
	}
	one := &fencing{done: make(chan struct{})}
	if f.closed {
		one.err = errClosed
		close(one.done)
		return one
	}
	f.inProgress[id] = one
	f.wg.Go(func() {
		one.err = work()
		f.mu.Lock()
		delete(f.inProgress, id)
		if one.err == nil {
			f.remember(id)
		}
		f.mu.Unlock()
		close(one.done)
		if one.err == nil {
			cleanUp()
		}
	})
	return one
}

// close waits for fences in progress and refuses new ones.
func (f *fences) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.wg.Wait()
}

func (f *fences) remember(id string) {
	f.done[id] = true
	f.order = append(f.order, id)
	if len(f.order) > fencesRemembered {
		delete(f.done, f.order[0])
		f.order = f.order[1:]
	}
}
