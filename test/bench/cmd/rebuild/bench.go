package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
)

const schemaFile = `{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": ["orderId"],
 "properties": {"orderId": {"type": "string"}}, "x-event": {"topic": %q, "key": "/orderId"}}`

// The two types.
var types = []string{"many", "few"}

type bench struct {
	f     flags
	name  string
	dir   string
	redis *goredis.Client
}

func newBench(f flags) (*bench, error) {
	b := &bench{f: f, name: "bench-rebuild-" + strconv.FormatInt(time.Now().Unix(), 36), redis: goredis.NewClient(&goredis.Options{Addr: f.redis, ReadTimeout: time.Minute})}
	var err error
	if b.dir, err = os.MkdirTemp("", "rebuild-bench-"); err != nil {
		return nil, err
	}
	for _, name := range types {
		folder := filepath.Join(b.dir, "schemas", name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(folder, "v1.json"), fmt.Appendf(nil, schemaFile, b.topic(name)), 0o600); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *bench) topic(eventType string) string { return b.name + "-" + eventType }

func (b *bench) close() {
	_ = b.redis.Close()
	_ = os.RemoveAll(b.dir)
}

// gateway is a `gateway serve`.
type gateway struct {
	cmd     *exec.Cmd
	address string
	rebuilt chan string // what its log says
}

func (b *bench) start(ctx context.Context, binary string, empty bool) (*gateway, error) {
	file := filepath.Join(b.dir, "gateway.yaml")
	text := fmt.Sprintf(`auth: none
http: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
kafka: { brokers: [%q], transactional_id_prefix: %s, create_topics: { enabled: true, partitions: %d, replication: 1 } }
redis: { addresses: [%q] }
schemas: { dir: %q }
`, b.f.kafka, b.name, b.f.partitions, b.f.redis, filepath.Join(b.dir, "schemas"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if empty {
		if out, err := exec.CommandContext(ctx, binary, "idempotency", "rebuild", "-c", file, "--since", "0s").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("declare Redis new: %w\n%s", err, out)
		}
	}
	g := &gateway{cmd: exec.CommandContext(ctx, binary, "serve", "-c", file), rebuilt: make(chan string, 1)}
	out, err := g.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	address := make(chan string, 1)
	go g.read(out, address)
	select {
	case g.address = <-address:
		return g, nil
	case <-time.After(time.Minute):
		return nil, errors.New("the gateway does not start")
	}
}

func (g *gateway) read(out io.Reader, address chan string) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if _, rest, ok := strings.Cut(line, `"gateway started","listen":"`); ok {
			text, _, _ := strings.Cut(rest, `"`)
			address <- text
		}
		if strings.Contains(line, "idempotency store rebuilt") {
			select {
			case g.rebuilt <- line:
			default:
			}
		}
		if strings.Contains(line, `"level":"ERROR"`) {
			fmt.Fprintln(os.Stderr, line)
		}
	}
}

// stop returns the CPU seconds and the peak memory in bytes.
func (g *gateway) stop() (cpu float64, peak int64) {
	_ = g.cmd.Process.Signal(os.Interrupt)
	_ = g.cmd.Wait()
	usage, ok := g.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, 0
	}
	return g.cmd.ProcessState.UserTime().Seconds() + g.cmd.ProcessState.SystemTime().Seconds(), usage.Maxrss << 10
}

// taken waits until an event of the type is taken.
func (g *gateway) taken(ctx context.Context, eventType string) error {
	var last string
	if backoff.Poll(ctx, 100*time.Millisecond, func() bool {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+g.address+"/v1/events/"+eventType, strings.NewReader(`{"orderId":"o-1"}`))
		if err != nil {
			return false
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", rand.Text())
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			last = err.Error()
			return false
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		last = response.Status + " " + string(body)
		return response.StatusCode == http.StatusAccepted
	}); ctx.Err() != nil {
		return fmt.Errorf("an event of type %s is not taken: %s", eventType, last)
	}
	return nil
}

// fill writes the records.
func (b *bench) fill(ctx context.Context, binary string) error {
	if err := b.redis.FlushAll(ctx).Err(); err != nil {
		return err
	}
	g, err := b.start(ctx, binary, true)
	if err != nil {
		return err
	}
	defer g.stop()
	for i, name := range types {
		limit, cancel := context.WithTimeout(ctx, time.Minute)
		err := g.taken(limit, name)
		cancel()
		if err != nil {
			return err
		}
		n := []int{b.f.records, b.f.small}[i]
		begun := time.Now()
		if err := b.copies(ctx, b.topic(name), n); err != nil {
			return err
		}
		fmt.Printf("%d records written to %s in %v\n", n, b.topic(name), time.Since(begun).Round(time.Second))
	}
	return nil
}

// copies writes n records like the topic's first, each with another claim and key.
func (b *bench) copies(ctx context.Context, topic string, n int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.f.kafka), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.MaxBufferedRecords(200_000), kgo.ProducerLinger(5*time.Millisecond))
	if err != nil {
		return err
	}
	defer client.Close()
	var like *kgo.Record
	for like == nil {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			like = r
		}
	}
	client.PauseFetchTopics(topic)
	var seed [32]byte
	copy(seed[:], topic[len(b.name):])
	source := mathrand.NewChaCha8(seed)
	var first error
	var once sync.Once
	for i := range n {
		r := &kgo.Record{Topic: topic, Key: strconv.AppendInt([]byte("o-"), int64(i%100_000), 10), Value: like.Value, Headers: make([]kgo.RecordHeader, len(like.Headers))}
		copy(r.Headers, like.Headers)
		for at := range r.Headers {
			if h := &r.Headers[at]; h.Key == "gw_claim" {
				var id [32]byte
				_, _ = source.Read(id[:])
				h.Value = hex.AppendEncode(nil, id[:])
			}
		}
		client.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				once.Do(func() { first = err })
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	return first
}

// measure lets a gateway rebuild an empty Redis.
func (b *bench) measure(ctx context.Context, name, binary string) error {
	if err := b.redis.FlushAll(ctx).Err(); err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	g, err := b.start(limit, binary, false)
	if err != nil {
		return err
	}
	begun := time.Now()
	after := make([]time.Duration, len(types))
	failed := make([]error, len(types))
	var waiting sync.WaitGroup
	for i, one := range types {
		waiting.Go(func() {
			failed[i] = g.taken(limit, one)
			after[i] = time.Since(begun)
		})
	}
	waiting.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	var line string
	select {
	case line = <-g.rebuilt:
	case <-limit.Done():
		return limit.Err()
	}
	memory, err := b.redis.Info(ctx, "memory").Result()
	if err != nil {
		return err
	}
	_, used, _ := strings.Cut(memory, "used_memory_human:")
	used, _, _ = strings.Cut(used, "\r")
	cpu, peak := g.stop()
	fmt.Printf("%s: %s is taken after %v, %s after %v; CPU %.0f s, memory at most %d MiB; Redis holds %s\n  %s\n",
		name, types[0], after[0].Round(100*time.Millisecond), types[1], after[1].Round(100*time.Millisecond), cpu, peak>>20, used, bytes.TrimSpace([]byte(line)))
	return nil
}
