package app

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStagesStopLastInFirstOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var order []string
		l := lifecycle{failed: make(chan error, 1)}
		done := make(chan struct{})
		l.serve(func() error { <-done; return errors.New("served") })
		first, third := errors.New("first fails"), errors.New("third fails")
		l.add("first", func(context.Context) error {
			order = append(order, "first")
			close(done)
			return first
		})
		l.run("second",
			func(ctx context.Context) {
				<-ctx.Done()
				time.Sleep(time.Second)
				order = append(order, "second")
			},
			func(ctx context.Context) { <-ctx.Done() },
		)
		l.add("third", func(ctx context.Context) error {
			order = append(order, "third")
			require.Error(t, ctx.Err())
			return third
		})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := l.stop(ctx)
		require.Equal(t, []string{"third", "second", "first"}, order, "a stage that fails does not keep the others from stopping")
		require.EqualError(t, err, "stop third: third fails\nstop first: first fails")
		require.ErrorIs(t, err, first)
		require.ErrorIs(t, err, third)
		require.EqualError(t, <-l.failed, "served")
		require.NoError(t, l.stop(ctx), "nothing is left to stop")
	})
}

// During a stop, probes and metrics are answered until everything else has stopped.
func TestAdminListenerStopsLast(t *testing.T) {
	t.Parallel()
	a, err := newApp(testConfig())
	require.NoError(t, err)
	a.start()
	var names []string
	for _, s := range a.stages.stages {
		names = append(names, s.name)
	}
	require.Equal(t, []string{
		"admin listener", "redis client", "rates", "kafka producer", "rates of subscriptions", "kafka client for consumer lag", "public listener", "registration", "background work", "consumer lag", "subscriptions", "requests", "readiness",
	}, names)
	require.True(t, a.ready.Load())
	require.NoError(t, a.stages.stop(t.Context()))
	require.False(t, a.ready.Load())
}
