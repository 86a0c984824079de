package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/test/bench/internal/proc"
	"eventgateway/test/bench/internal/target"
)

const memberPartitions = 12

// owners says which instance sent the last event of each partition before a time.
func owners(all []arrival, before time.Time) (who [memberPartitions]string) {
	for _, a := range all {
		if a.at.Before(before) {
			who[a.partition] = a.instance
		}
	}
	return who
}

// members adds a third gateway and kills it, again and again.
func (b *bench) members(ctx context.Context) error {
	const rate = 50 * memberPartitions
	topic, name := b.name(), b.name()
	if err := b.createTopic(ctx, topic, memberPartitions); err != nil {
		return err
	}
	e := b.endpoint
	e.reset(0)
	sub := b.subscription(name, topic, nil)
	for _, instance := range []string{"first", "second"} {
		g, err := b.start(ctx, instance, sub)
		if err != nil {
			return err
		}
		defer g.stop()
	}
	stop := b.steady(topic, memberPartitions, rate, nil)
	defer func() { _ = stop() }()
	fmt.Printf("two gateways, %d partitions, %d events/s; a third is added, and killed (untouched partitions pause at most 200 ms at p99; within 15 s elsewhere)\n", memberPartitions, rate)
	backoff.Sleep(ctx, 12*time.Second)
	var steady, pauses []time.Duration
	var latest time.Duration
	for round := range b.f.rounds {
		quiet := time.Now()
		backoff.Sleep(ctx, 8*time.Second)
		added := time.Now()
		g, err := b.start(ctx, "third", sub)
		if err != nil {
			return err
		}
		err = await(ctx, time.Minute, "the new one has partitions", func() bool {
			return strings.Contains(strings.Join(ownersOf(e, quiet), " "), "third")
		})
		backoff.Sleep(ctx, 3*time.Second)
		settled := time.Now()
		all := e.since(quiet)
		before, after := owners(all, added), owners(all, settled)
		var still, during []time.Duration
		moved := 0
		for p := range memberPartitions {
			if before[p] != after[p] {
				moved++
				continue
			}
			still = append(still, longestGap(all, p, quiet, added))
			during = append(during, longestGap(all, p, added, settled))
		}
		steady, pauses = append(steady, still...), append(pauses, during...)
		killed := time.Now()
		g.end(syscall.SIGKILL)
		if err != nil {
			return err
		}
		backoff.Sleep(ctx, 20*time.Second)
		took := time.Duration(0)
		for p := range memberPartitions {
			if after[p] == "third" {
				took = max(took, firstElsewhere(e.since(killed), p, killed))
			}
		}
		latest = max(latest, took)
		fmt.Printf("  %d  added: %d partitions moved, the others paused at most %v (before: %v); killed: its partitions went on after %.1f s\n",
			round+1, moved, ms(quantile(during, 1)), ms(quantile(still, 1)), took.Seconds())
	}
	fmt.Printf("  untouched partitions: p50 %v, p99 %v (%d pauses; without a change p99 %v); killed: at most %.1f s\n",
		ms(quantile(pauses, 0.5)), ms(quantile(pauses, 0.99)), len(pauses), ms(quantile(steady, 0.99)), latest.Seconds())
	return nil
}

func ownersOf(e *endpoint, from time.Time) []string {
	who := owners(e.since(from), time.Now())
	return who[:]
}

// longestGap is the longest time without an event of the partition, whose events are
// written every 20 ms.
func longestGap(all []arrival, partition int, from, to time.Time) (longest time.Duration) {
	last := from
	for _, a := range all {
		if a.partition != partition || a.at.Before(from) || a.at.After(to) {
			continue
		}
		longest, last = max(longest, a.at.Sub(last)), a.at
	}
	return max(longest, to.Sub(last))
}

// firstElsewhere is how long after the kill another gateway delivers an event of the
// partition.
func firstElsewhere(all []arrival, partition int, killed time.Time) time.Duration {
	for _, a := range all {
		if a.partition == partition && a.instance != "third" {
			return a.at.Sub(killed)
		}
	}
	return time.Hour // never
}

// idle compares a gateway without subscriptions with one that has many.
func (b *bench) idle(ctx context.Context) error {
	const many = 100
	topic := b.name()
	if err := b.createTopic(ctx, topic, memberPartitions); err != nil {
		return err
	}
	fmt.Printf("%d idle subscriptions of %d partitions (at most 8 MiB and 4 threads each, with one broker)\n", many, memberPartitions)
	var subs []map[string]any
	for range many {
		subs = append(subs, b.subscription(b.name(), topic, nil))
	}
	memory, threads := [2]int64{}, [2]int{}
	for i, subscriptions := range [][]map[string]any{nil, subs} {
		g, err := b.start(ctx, "gateway", subscriptions...)
		if err != nil {
			return err
		}
		err = await(ctx, 2*time.Minute, "all have their partitions", func() bool {
			page, err := target.Get(ctx, "http://"+g.admin+"/metrics")
			return err == nil && bytes.Count(page, fmt.Appendf(nil, "} %d\n", memberPartitions)) >= len(subscriptions)
		})
		backoff.Sleep(ctx, 15*time.Second)
		used, merr := proc.ReadMemory(g.cmd.Process.Pid)
		if err == nil {
			err = merr
		}
		memory[i] = used.Resident
		if threads[i], merr = proc.Threads(g.cmd.Process.Pid); err == nil {
			err = merr
		}
		g.stop()
		if err != nil {
			return err
		}
	}
	fmt.Printf("  resident memory %d → %d MiB: %.2f MiB each; threads %d → %d: %.2f each\n", memory[0]>>20, memory[1]>>20,
		float64(memory[1]-memory[0])/many/(1<<20), threads[0], threads[1], float64(threads[1]-threads[0])/many)
	return nil
}
