package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// floorFlags let this program be the floor, in a process of its own.
type floorFlags struct {
	url, broker, topic string
	workers, events    int
}

func (f *floorFlags) register() {
	flag.StringVar(&f.url, "floor-url", "", "be the floor, and post to this `URL`")
	flag.StringVar(&f.broker, "floor-broker", "", "`address` of the floor's broker")
	flag.StringVar(&f.topic, "floor-topic", "", "`name` of the floor's topic")
	flag.IntVar(&f.workers, "floor-workers", 64, "`number` of requests of the floor at a time")
	flag.IntVar(&f.events, "floor-events", 0, "`number` of events after which the floor ends")
}

// run consumes the topic and posts each record's value.
func (f *floorFlags) run(ctx context.Context) error {
	consumer, err := kgo.NewClient(kgo.SeedBrokers(f.broker), kgo.ConsumeTopics(f.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer consumer.Close()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: f.workers}}
	var failed atomic.Pointer[error]
	work := make(chan []byte)
	var workers sync.WaitGroup
	for range f.workers {
		workers.Go(func() {
			for value := range work {
				if err := post(ctx, &client, f.url, value); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	for left := f.events; left > 0 && ctx.Err() == nil; {
		for _, r := range consumer.PollFetches(ctx).Records() {
			if left > 0 {
				work <- r.Value
				left--
			}
		}
	}
	close(work)
	workers.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return ctx.Err()
}

func post(ctx context.Context, client *http.Client, url string, value []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(value))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err == nil && resp.StatusCode != http.StatusNoContent {
		err = fmt.Errorf("the endpoint answered %d", resp.StatusCode)
	}
	return err
}

// floor delivers the first events of a topic, and returns events per second at the endpoint.
func (b *bench) floor(ctx context.Context, topic string, workers, events int, delay time.Duration) (float64, error) {
	e := b.endpoint
	e.reset(events)
	e.delay.Store(int64(delay))
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, program, "-floor-url", e.url, "-floor-broker", b.brokers, "-floor-topic", topic,
		"-floor-workers", strconv.Itoa(workers), "-floor-events", strconv.Itoa(events))
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("floor: %w\n%s", err, out)
	}
	return e.rate(), nil
}
