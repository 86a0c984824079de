package services

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// StartTimeout bounds one start of one server, besides the caller's context. A
	// broker needs 4 s on two idle cores; a cluster of three on a machine with seven
	// busy programs per core has needed 70 s.
	StartTimeout = 4 * time.Minute
	// stopTimeout is how long a server may take for an orderly stop.
	stopTimeout = 20 * time.Second
	// killTimeout is how long the kernel may take to end a killed process.
	killTimeout = 10 * time.Second

	pollInterval = 25 * time.Millisecond
	// probeTimeout bounds one round of readiness requests.
	probeTimeout = 5 * time.Second
)

// errFatal marks a probe error that will not go away.
var errFatal = errors.New("will not recover")

// poll calls probe until it returns nil, the context ends or the probe's error
// is errFatal. The error is then the last one of probe.
func poll(ctx context.Context, probe func(context.Context) error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		probeCtx, cancel := context.WithTimeout(ctx, probeTimeout)
		err := probe(probeCtx)
		cancel()
		if err == nil || errors.Is(err, errFatal) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last answer: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
