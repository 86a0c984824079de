package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"eventgateway/internal/idempotency"
)

const (
	// settleTime bounds how long a stop waits for claims to be settled.
	settleTime = 5 * time.Second
	// stopMargin is added to the delivery timeout for requests in progress.
	stopMargin = 3 * time.Second
	// adminStopTime bounds how long a stop waits for requests to the admin listener.
	adminStopTime = time.Second
	// discardTime bounds how long a New that failed takes to stop what it built.
	discardTime = time.Second
)

// lifecycle holds the stages of a gateway in the order in which they started, and stops
// them last-in first-out: a stage may use every stage before it until it has stopped.
type lifecycle struct {
	stages []stage
	served sync.WaitGroup
	failed chan error // receives the result of each server
}

// newLifecycle returns a lifecycle for so many servers.
func newLifecycle(servers int) lifecycle { return lifecycle{failed: make(chan error, servers)} }

// stage is a part of the gateway that has started.
type stage struct {
	name string
	// stop returns when the stage has stopped, or when ctx ends, unless the stage has a
	// limit of its own. It is called once.
	stop func(ctx context.Context) error
}

// add puts a stage on top of the others.
func (l *lifecycle) add(name string, stop func(context.Context) error) {
	l.stages = append(l.stages, stage{name, stop})
}

// run starts a stage of background work. Its stop ends the contexts of all the work at
// once and waits for it without a limit: to stop what the work still uses would be
// worse than to wait.
func (l *lifecycle) run(name string, work ...func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	for _, w := range work {
		working.Go(func() { w(ctx) })
	}
	l.add(name, func(context.Context) error {
		cancel()
		working.Wait()
		return nil
	})
}

// serve runs a server in the background, until a stage's stop ends it, and sends its
// result to failed.
func (l *lifecycle) serve(serve func() error) { l.served.Go(func() { l.failed <- serve() }) }

// stop stops all stages, the last one first, and joins their errors. A stage that fails
// to stop does not keep the others from it.
func (l *lifecycle) stop(ctx context.Context) error {
	var errs []error
	for _, s := range slices.Backward(l.stages) {
		if err := s.stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.name, err))
		}
	}
	l.stages = nil
	l.served.Wait()
	return errors.Join(errs...)
}

// Run serves until ctx ends or a listener fails, then stops in order. It returns nil
// after an orderly stop.
func (a *App) Run(ctx context.Context) error {
	a.start()
	a.logger.Info("gateway started", "listen", a.Addr(), "admin", a.AdminAddr(), "guarantee", a.cfg.Kafka.Guarantee)

	var failure error
	select {
	case <-ctx.Done():
	case failure = <-a.stages.failed:
		a.logger.Error("listener failed", "error", failure)
	}

	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.Kafka.DeliveryTimeout+stopMargin)
	defer cancel()
	if err := a.stages.stop(ctx); err != nil {
		a.logger.Warn("a part of the gateway did not stop cleanly", "error", err)
	}
	a.logger.Info("gateway stopped", "took", time.Since(begun).Round(time.Millisecond))
	return failure
}

// start adds the stages that work to those of New. Together they stop as
// docs/architecture.md says: not ready, finish requests, settle claims, flush Kafka,
// close.
func (a *App) start() {
	s := &a.stages
	s.serve(func() error { return a.admin.Serve(a.private) }) // until the first stage of New stops
	s.add("registration", a.leave)
	s.run("background work",
		a.producer.Run,
		a.watchSchemas,
		func(ctx context.Context) { idempotency.NewRebuilder(a.store, a.producer).Guard(ctx) },
		func(ctx context.Context) { a.store.Run(ctx, settleTime) },
		a.store.Watch,
		a.taken.watch,
		a.watchPreflight,
		a.watchClients,
		a.certificates.watch,
	)
	if a.lag != nil {
		s.run("consumer lag", a.lag.Run)
	}
	if len(a.relays) > 0 {
		s.run("outbox relays", a.relay)
	}
	if !a.relayOnly {
		s.run("subscriptions", a.pushes.Run, a.watchSubscriptions, a.watchDeadLetters)
		a.serveRequests()
	}
	s.add("readiness", func(context.Context) error {
		a.ready.Store(false)
		a.logger.Info("gateway stops: finishing requests under way")
		return nil
	})
	a.ready.Store(true)
}

// leave takes this process out of the registry of gateways, if nothing of its claims is
// left behind. Kafka is still flushed after it: only claims that are settled by now count.
func (a *App) leave(ctx context.Context) error {
	if !a.settled() {
		return nil // others find that it is over
	}
	return a.producer.Membership().Leave(ctx)
}

// serveRequests adds the stages of the public listener.
func (a *App) serveRequests() {
	s := &a.stages
	s.serve(func() error { return a.api.Serve(a.public) })
	s.add("requests", func(ctx context.Context) error {
		if err := a.api.Shutdown(ctx); err != nil { // a slow client is not a fault of the gateway
			a.logger.Warn("requests were still under way when time was up", "error", err)
		}
		return nil
	})
}

// discard stops what a New that failed had built.
func (a *App) discard() error {
	ctx, cancel := context.WithTimeout(context.Background(), discardTime)
	defer cancel()
	return a.stages.stop(ctx)
}
