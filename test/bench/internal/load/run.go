package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"eventgateway/test/bench/internal/hist"
	"eventgateway/test/bench/internal/proc"
)

// edge is what is read at either edge of the measured window.
type edge struct {
	at             time.Time
	acknowledged   uint64
	server, myself time.Duration // CPU time so far
}

// run is the state that the workers of one run share.
type run struct {
	options  Options
	workers  []*worker
	answered atomic.Uint64 // 202s so far, all workers
	inWindow atomic.Bool   // closed loop: record latencies now
	stop     atomic.Bool   // closed loop: send no more
	paceErr  error         // open loop: why the pacer gave up; read after it ended
}

// Run sends until the warm-up and the duration have passed, waits for the requests in
// flight, and reports. It ends early, with an error, when ctx is done.
func Run(ctx context.Context, o Options) (Result, error) {
	if err := o.Validate(); err != nil {
		return Result{}, err
	}
	r := &run{options: o, workers: newWorkers(o)}
	start := time.Now()
	var wait sync.WaitGroup
	if o.Rate == 0 {
		for _, w := range r.workers {
			wait.Go(func() { r.closedLoop(ctx, w) })
		}
	} else if err := r.startOpenLoop(ctx, &wait, start); err != nil {
		return Result{}, err
	}
	first, last, err := r.watch(ctx, start)
	r.stop.Store(true)
	wait.Wait()
	for _, w := range r.workers {
		w.close()
	}
	if err = errors.Join(err, r.paceErr); err != nil {
		return Result{}, err
	}
	return r.result(first, last)
}

// watch reads the edges of the measured window at their times.
func (r *run) watch(ctx context.Context, start time.Time) (first, last edge, err error) {
	pause(ctx, time.Until(start.Add(r.options.WarmUp)))
	if first, err = r.edge(); err != nil {
		return first, last, err
	}
	r.inWindow.Store(true)
	pause(ctx, time.Until(start.Add(r.options.WarmUp+r.options.Duration)))
	r.inWindow.Store(false)
	if err = ctx.Err(); err != nil {
		return first, last, fmt.Errorf("generate load: %w", err)
	}
	last, err = r.edge()
	return first, last, err
}

func (r *run) edge() (edge, error) {
	server, err := proc.CPU(r.options.ServerPID)
	if err != nil {
		return edge{}, fmt.Errorf("read server: %w", err)
	}
	myself, err := proc.CPU(os.Getpid())
	if err != nil {
		return edge{}, fmt.Errorf("read generator: %w", err)
	}
	return edge{at: time.Now(), acknowledged: r.answered.Load(), server: server, myself: myself}, nil
}

func (r *run) closedLoop(ctx context.Context, w *worker) {
	for !r.stop.Load() && ctx.Err() == nil {
		sent := time.Now()
		if !w.exchange(ctx) {
			continue
		}
		r.answered.Add(w.request.events())
		if r.inWindow.Load() {
			w.latency.Record(time.Since(sent))
		}
	}
}

func (r *run) result(first, last edge) (Result, error) {
	memory, err := proc.ReadMemory(r.options.ServerPID)
	if err != nil {
		return Result{}, fmt.Errorf("read server: %w", err)
	}
	seconds := last.at.Sub(first.at).Seconds()
	events := float64(last.acknowledged - first.acknowledged)
	out := Result{
		Connections:  r.options.Connections,
		Rate:         r.options.Rate,
		Batch:        r.options.Batch,
		Seconds:      seconds,
		Throughput:   events / seconds,
		CPUCores:     (last.server - first.server).Seconds() / seconds,
		Resident:     memory.Resident,
		PeakResident: memory.Peak,
		Failures:     make(map[string]uint64),
		Samples:      make(map[string]string),
	}
	if events > 0 {
		out.CPUPerEvent = micros(last.server-first.server) / events
		out.GeneratorCPUPerEvent = micros(last.myself-first.myself) / events
	}
	var latency, delay hist.Histogram
	for _, w := range r.workers {
		latency.Merge(&w.latency)
		delay.Merge(&w.sendDelay)
		out.Acknowledged += w.acknowledged
		out.Unsent += w.unsent
		for kind, n := range w.failures {
			out.Failures[kind] += n
			out.Samples[kind] = w.samples[kind]
		}
	}
	out.Latency = summary(&latency)
	if r.options.Rate > 0 {
		d := summary(&delay)
		out.SendDelay = &d
	}
	return out, nil
}

func summary(h *hist.Histogram) Latency {
	return Latency{
		P50: micros(h.Quantile(0.50)),
		P90: micros(h.Quantile(0.90)),
		P99: micros(h.Quantile(0.99)),
		Max: micros(h.Max()),
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
