package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/test/bench/internal/report"
)

// await waits until f says so, for at most so long.
func await(ctx context.Context, limit time.Duration, what string, f func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if !backoff.Poll(ctx, 20*time.Millisecond, f) {
		return fmt.Errorf("%s: not within %v", what, limit)
	}
	return nil
}

const (
	poisonPartitions = 3
	poisonRate       = 1000 // of all partitions: 333/s fill half of 8,192 offsets in 12 s
	poisonAttempts   = 10
)

// poison compares the delay of events while one in each partition cannot be delivered with
// that before.
func (b *bench) poison(ctx context.Context) (err error) {
	topic, name := b.name(), b.name()
	if err := b.createTopic(ctx, topic, poisonPartitions); err != nil {
		return err
	}
	b.endpoint.reset(0)
	asks := make(chan struct{}, 1)
	g, err := b.start(ctx, "gateway", b.subscription(name, topic, map[string]any{
		"retry": map[string]any{"attempts": poisonAttempts, "initial": "200ms", "max": "4s", "total": "10m"},
	}))
	if err != nil {
		return err
	}
	defer g.stop()
	stop := b.steady(topic, poisonPartitions, poisonRate, asks)
	defer func() { _ = stop() }()
	fmt.Printf("one poison event in each of %d partitions, %d events/s, %d attempts (p99 at most 1.2 times)\n", poisonPartitions, poisonRate, poisonAttempts)
	if err := await(ctx, time.Minute, "events come", func() bool { return len(b.endpoint.since(time.Time{})) > 5*poisonRate }); err != nil {
		return err
	}
	var ratios []float64
	for round := range b.f.rounds {
		clean := time.Now()
		backoff.Sleep(ctx, 12*time.Second)
		ill := time.Now()
		asks <- struct{}{}
		dead := int64((round + 1) * poisonPartitions)
		err := await(ctx, 2*time.Minute, "the poison is dead", func() bool {
			n, err := b.deadLetters(ctx, topic, name)
			return err == nil && n >= dead
		})
		if err != nil {
			return err
		}
		well := time.Now()
		before, _ := delays(b.endpoint.since(clean), clean, ill)
		during, attempts := delays(b.endpoint.since(ill), ill, well)
		ratio := float64(quantile(during, 0.99)) / float64(quantile(before, 0.99))
		ratios = append(ratios, ratio)
		fmt.Printf("  %d  p50 %v → %v, p99 %v → %v (%.2f); %.0f s until all are dead, %d events of the fullest partition meanwhile; attempts %v\n", round+1,
			ms(quantile(before, 0.5)), ms(quantile(during, 0.5)), ms(quantile(before, 0.99)), ms(quantile(during, 0.99)), ratio,
			well.Sub(ill).Seconds(), len(during)/poisonPartitions, attempts)
	}
	fmt.Printf("  median %.2f\n", report.NewSpread(ratios).Median)
	return nil
}

func ms(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// delays are those of events that were written in a span; attempts are how often each
// poison event came.
func delays(all []arrival, from, to time.Time) (list []time.Duration, attempts []int) {
	poison := map[int]int{}
	for _, a := range all {
		switch {
		case a.poison:
			poison[a.partition]++
		case !a.written.Before(from) && a.written.Before(to):
			list = append(list, a.at.Sub(a.written))
		}
	}
	for _, n := range poison {
		attempts = append(attempts, n)
	}
	return list, attempts
}

// sick has an endpoint that answers 404 to everything for a minute.
func (b *bench) sick(ctx context.Context) error {
	const partitions, rate, concurrency, away = 12, 200, 32, time.Minute
	topic, name := b.name(), b.name()
	if err := b.createTopic(ctx, topic, partitions); err != nil {
		return err
	}
	e := b.endpoint
	e.reset(0)
	g, err := b.start(ctx, "gateway", b.subscription(name, topic, map[string]any{"concurrency": concurrency}))
	if err != nil {
		return err
	}
	defer g.stop()
	stop := b.steady(topic, partitions, rate, nil)
	defer func() { _ = stop() }()
	fmt.Printf("404 for %v at %d events/s, concurrency %d (at most 20 dead letters; afterwards at most twice the rate before, never above the concurrency)\n", away, rate, concurrency)
	backoff.Sleep(ctx, 5*time.Second)
	begun := time.Now()
	backoff.Sleep(ctx, 15*time.Second)
	before := float64(len(e.since(begun))) / time.Since(begun).Seconds()
	e.status.Store(404)
	ill := time.Now()
	backoff.Sleep(ctx, away)
	tried := len(e.since(ill))
	dead, err := b.deadLetters(ctx, topic, name)
	if err != nil {
		return err
	}
	well := time.Now()
	e.mu.Lock()
	e.mostOn = 0
	e.mu.Unlock()
	e.status.Store(0)
	err = await(ctx, 5*time.Minute, "it has caught up", func() bool {
		last := e.since(time.Now().Add(-time.Second))
		return len(last) > 0 && time.Since(last[len(last)-1].written) < time.Second && last[len(last)-1].written.After(well)
	})
	if err != nil {
		return err
	}
	all := e.since(well)
	// What was written while the endpoint was away, or waited behind that: afterwards events
	// come as the writer writes them.
	late := slices.IndexFunc(all, func(a arrival) bool { return a.at.Sub(a.written) < time.Second })
	all = all[:max(late, 1)]
	most := 0
	for i := range all { // in any second
		j, _ := slices.BinarySearchFunc(all, all[i].at.Add(time.Second), func(a arrival, t time.Time) int { return a.at.Compare(t) })
		most = max(most, j-i)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	fmt.Printf("  %d attempts while it was away, %d dead letters; the first event %.1f s after it came back, caught up after %.0f s; at most %d requests at a time, %d in a second (%.2f times the %.0f/s before)\n",
		tried, dead, all[0].at.Sub(well).Seconds(), all[len(all)-1].at.Sub(well).Seconds(), e.mostOn, most, float64(most)/before, before)
	return nil
}
