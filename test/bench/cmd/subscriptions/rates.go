package main

import (
	"context"
	"fmt"
	"time"

	"eventgateway/test/bench/internal/report"
)

// deliver measures one gateway with a new subscription: events per second at the endpoint.
func (b *bench) deliver(ctx context.Context, topic string, events int, delay time.Duration) (float64, error) {
	e := b.endpoint
	e.reset(events)
	e.delay.Store(int64(delay))
	g, err := b.start(ctx, "gateway", b.subscription(b.name(), topic, nil))
	if err != nil {
		return 0, err
	}
	defer g.stop()
	select {
	case <-e.full:
		return e.rate(), nil
	case <-g.ended:
		return 0, fmt.Errorf("the gateway ended: %s", g.cmd.ProcessState)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// fast is the rate beside the floor's.
func (b *bench) fast(ctx context.Context) error {
	topic, err := b.fill(ctx, 12, b.f.events)
	if err != nil {
		return err
	}
	fmt.Printf("fast endpoint, 12 partitions, 64 requests at a time, %d events, Kafka %v away (at least 0.6 of the floor)\n", b.f.events, b.f.distance)
	var ratios []float64
	for round := range b.f.rounds {
		floor, err := b.floor(ctx, topic, 64, b.f.events, 0)
		if err != nil {
			return err
		}
		got, err := b.deliver(ctx, topic, b.f.events, 0)
		if err != nil {
			return err
		}
		ratios = append(ratios, got/floor)
		fmt.Printf("  %d  floor %.0f/s  subscription %.0f/s  %.2f\n", round+1, floor, got, got/floor)
	}
	fmt.Printf("  median %.2f\n", report.NewSpread(ratios).Median)
	return nil
}

// slow is the rate beside that of serial delivery.
func (b *bench) slow(ctx context.Context) error {
	const delay, serially = 10 * time.Millisecond, 300
	events := b.f.events / 5
	topic, err := b.fill(ctx, 1, events)
	if err != nil {
		return err
	}
	fmt.Printf("endpoint of %v, one partition, 1,000 entities, 64 requests at a time, %d events, Kafka %v away (at least 20 times serial delivery)\n", delay, events, b.f.distance)
	var ratios []float64
	for round := range b.f.rounds {
		serial, err := b.floor(ctx, topic, 1, serially, delay)
		if err != nil {
			return err
		}
		floor, err := b.floor(ctx, topic, 64, events, delay)
		if err != nil {
			return err
		}
		got, err := b.deliver(ctx, topic, events, delay)
		if err != nil {
			return err
		}
		ratios = append(ratios, got/serial)
		fmt.Printf("  %d  serial %.0f/s  floor %.0f/s  subscription %.0f/s  %.1f times serial, %.2f of the floor\n", round+1, serial, floor, got, got/serial, got/floor)
	}
	fmt.Printf("  median %.1f times\n", report.NewSpread(ratios).Median)
	return nil
}
