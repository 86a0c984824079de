package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.yaml.in/yaml/v3"

	"eventgateway/internal/backoff"
	"eventgateway/test/bench/internal/link"
	"eventgateway/test/bench/internal/target"
	"eventgateway/test/services"
)

// bench is an endpoint, a Kafka, and the gateways that run.
type bench struct {
	f        flags
	dir      string
	run      string // a name that is new in this Kafka
	used     int    // names
	brokers  string // as far away as is asked for
	endpoint *endpoint
	kafka    *services.Kafka // its own; nil: the services'
	links    []*link.Link
	client   *kgo.Client // past the links
	admin    *kadm.Client
}

const schemaFile = `{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "x-event": {"topic": "bench.unused", "key": "/p"}}`

func newBench(ctx context.Context, f flags) (*bench, error) {
	b := &bench{f: f, run: "bench-push-" + strconv.FormatInt(time.Now().Unix(), 36), brokers: f.kafka, endpoint: startEndpoint()}
	var err error
	if b.dir, err = os.MkdirTemp("", "push-bench-"); err != nil {
		return nil, err
	}
	direct := f.kafka
	if f.distance > 0 {
		if b.kafka, err = services.StartKafka(ctx, services.KafkaConfig{Dir: filepath.Join(b.dir, "kafka"), Proxied: map[string]func(string) (string, error){"FAR": b.link}}); err != nil {
			return nil, errors.Join(err, b.close())
		}
		direct, b.brokers = b.kafka.Addr(), b.kafka.Proxied("FAR")
	}
	if b.client, err = kgo.NewClient(kgo.SeedBrokers(direct), kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		return nil, errors.Join(err, b.close())
	}
	b.admin = kadm.NewClient(b.client)
	types := filepath.Join(b.dir, "schemas", "bench.unused")
	err = errors.Join(os.MkdirAll(types, 0o755), os.WriteFile(filepath.Join(types, "v1.json"), []byte(schemaFile), 0o600), b.createTopic(ctx, "bench.unused", 1))
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bench) link(addr string) (string, error) {
	l, err := link.New(addr, b.f.distance)
	if err != nil {
		return "", err
	}
	b.links = append(b.links, l)
	return l.Addr(), nil
}

func (b *bench) close() error {
	b.endpoint.Close()
	if b.client != nil {
		b.client.Close()
	}
	var errs []error
	for _, l := range b.links {
		errs = append(errs, l.Close())
	}
	if b.kafka != nil {
		errs = append(errs, b.kafka.Kill())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

// name is a new name of a topic or subscription.
func (b *bench) name() string {
	b.used++
	return fmt.Sprintf("%s-%d", b.run, b.used)
}

func (b *bench) createTopic(ctx context.Context, topic string, partitions int32) error {
	if _, err := b.admin.CreateTopic(ctx, partitions, 1, nil, topic); err != nil && !strings.Contains(err.Error(), "exists") {
		return err
	}
	ready := backoff.Poll(ctx, 50*time.Millisecond, func() bool {
		ends, err := b.admin.ListEndOffsets(ctx, topic)
		return err == nil && ends.Error() == nil && len(ends[topic]) == int(partitions)
	})
	if !ready {
		return ctx.Err()
	}
	return nil
}

// record is an event of an entity of its partition. Its value has about 200 bytes.
func record(topic string, partition, number, entity int, poison bool) *kgo.Record {
	bad := ""
	if poison {
		bad = `"bad":1,`
	}
	value := fmt.Sprintf(`{"p":%d,"n":%d,"t":%d,%s"pad":%q}`, partition, number, time.Now().UnixNano(), bad, strings.Repeat("x", 130))
	return &kgo.Record{Topic: topic, Partition: int32(partition), Key: fmt.Appendf(nil, "p%d-e%d", partition, entity), Value: []byte(value)}
}

// fill makes a topic of events that wait, of 1,000 entities.
func (b *bench) fill(ctx context.Context, partitions int32, events int) (string, error) {
	topic := b.name()
	if err := b.createTopic(ctx, topic, partitions); err != nil {
		return "", err
	}
	for i := range events {
		p := i % int(partitions)
		b.client.Produce(ctx, record(topic, p, i/int(partitions), i/int(partitions)%(1000/int(partitions)), false), nil)
	}
	return topic, b.client.Flush(ctx)
}

// steady writes to all partitions at a rate until the function that it returns is called.
// poison asks for one poison event in each partition.
func (b *bench) steady(topic string, partitions, rate int, poison <-chan struct{}) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		begun, n := time.Now(), 0
		for backoff.Sleep(ctx, 5*time.Millisecond) {
			select {
			case <-poison:
				for p := range partitions {
					b.client.Produce(context.Background(), record(topic, p, n, n+1_000_000, true), nil)
				}
			default:
			}
			for due := int(time.Since(begun).Seconds() * float64(rate)); n < due; n++ {
				b.client.Produce(context.Background(), record(topic, n%partitions, n, n%1009, false), nil)
			}
		}
	}()
	return func() error {
		cancel()
		<-done
		return b.client.Flush(context.Background())
	}
}

// subscription is the configuration of one.
func (b *bench) subscription(name, topic string, set map[string]any) map[string]any {
	s := map[string]any{
		"name": name, "topics": []string{topic}, "url": b.endpoint.url, "start": "earliest", "concurrency": 64, "timeout": "10s",
		"allow_cidrs": []string{"127.0.0.1/32"},
	}
	for key, value := range set {
		s[key] = value
	}
	return s
}

// gateway is a process.
type gateway struct {
	cmd   *exec.Cmd
	admin string
	ended chan struct{}
}

// start starts a gateway with subscriptions; its requests have the instance's name.
func (b *bench) start(ctx context.Context, instance string, subscriptions ...map[string]any) (*gateway, error) {
	listen, err := services.FreePort()
	admin, aerr := services.FreePort()
	if err := errors.Join(err, aerr); err != nil {
		return nil, err
	}
	var own []map[string]any
	for _, s := range subscriptions {
		copied := map[string]any{"headers": map[string]string{"X-Instance": instance}}
		for key, value := range s {
			copied[key] = value
		}
		own = append(own, copied)
		for _, topic := range s["topics"].([]string) {
			if err := b.createTopic(ctx, fmt.Sprintf("%s.%s.dlt", topic, s["name"]), 1); err != nil {
				return nil, err
			}
		}
	}
	g := &gateway{admin: fmt.Sprintf("127.0.0.1:%d", admin), ended: make(chan struct{})}
	text, err := yaml.Marshal(map[string]any{
		"auth": "none", "http": map[string]any{"listen": fmt.Sprintf("127.0.0.1:%d", listen)}, "admin": map[string]any{"listen": g.admin},
		"kafka": map[string]any{"brokers": []string{b.brokers}}, "redis": map[string]any{"addresses": []string{b.f.redis}},
		"schemas": map[string]any{"dir": filepath.Join(b.dir, "schemas"), "watch": false}, "subscriptions": own,
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(b.dir, instance+".yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	_, _ = exec.CommandContext(ctx, b.f.gateway, "idempotency", "rebuild", "-c", file, "--since", "0s").CombinedOutput() // refused if Redis knows better
	out, err := os.Create(filepath.Join(b.dir, instance+".log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the child has its own descriptor
	g.cmd = exec.Command(b.f.gateway, "serve", "-c", file)
	g.cmd.Stdout, g.cmd.Stderr = out, out
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = g.cmd.Wait(); close(g.ended) }()
	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if !backoff.Poll(waiting, 50*time.Millisecond, func() bool { _, err := target.Get(waiting, "http://"+g.admin+"/readyz"); return err == nil }) {
		g.end(syscall.SIGKILL)
		raw, _ := os.ReadFile(out.Name())
		return nil, fmt.Errorf("the gateway is not ready:\n%.2000s", raw)
	}
	return g, nil
}

// end sends a signal and waits for the end.
func (g *gateway) end(s os.Signal) {
	_ = g.cmd.Process.Signal(s)
	<-g.ended
}

func (g *gateway) stop() { g.end(os.Interrupt) }

// deadLetters counts those of a topic.
func (b *bench) deadLetters(ctx context.Context, topic, name string) (int64, error) {
	letters := topic + "." + name + ".dlt"
	ends, err := b.admin.ListEndOffsets(ctx, letters)
	if err != nil {
		return 0, err
	}
	n := int64(0)
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n, ends.Error()
}
