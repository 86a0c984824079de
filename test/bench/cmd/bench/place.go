package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"eventgateway/test/bench/internal/link"
	"eventgateway/test/services"

	"golang.org/x/sys/unix"
)

// dataFolder is a file system in memory, if the machine has one with enough room, else the
// system's folder for temporary files. On a disk that others use, brokers with hundreds of
// partitions stall, for floor and gateway alike.
func dataFolder() string {
	const folder, enough = "/dev/shm", 8 << 30
	var fs unix.Statfs_t
	if err := unix.Statfs(folder, &fs); err != nil || fs.Bavail*uint64(fs.Bsize) < enough {
		return os.TempDir()
	}
	return folder
}

// place is where Kafka and Redis are for the measured servers: as near as the
// environment says, or behind links with a delay.
type place struct {
	brokers, redis list // for the servers
	direct         list // brokers for the bench, past the link
	kafka          *services.KafkaCluster
	ownRedis       *services.Redis

	mu    sync.Mutex // nodes of a cluster ask for links side by side
	links []*link.Link
}

// newPlace is the place of the commands that have one.
func newPlace(ctx context.Context, o options, dir string) (*place, error) {
	p := &place{brokers: o.brokers, direct: o.brokers, redis: o.redis}
	var err error
	if o.distance > 0 {
		err = p.startKafka(ctx, filepath.Join(dir, "kafka"), 1, o.distance)
		p.brokers = p.brokersAt(o.distance)
	}
	if err == nil && o.redisDistance > 0 && len(o.redis) == 1 {
		var addr string
		addr, err = p.link(o.redis[0], o.redisDistance)
		p.redis = list{addr}
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// startKafka starts that many brokers. For each distance they have a listener that
// advertises the address of a link, because clients connect to what a broker advertises.
// Brokers reach each other past the links.
func (p *place) startKafka(ctx context.Context, dir string, brokers int, distances ...time.Duration) error {
	cfg := services.KafkaConfig{
		Dir: dir, Proxied: make(map[string]func(string) (string, error)),
		// Drop what exceeds the topics' retention soon: the data may be in memory.
		Properties: map[string]string{"log.retention.check.interval.ms": "5000", "log.segment.delete.delay.ms": "1000"},
	}
	for _, d := range distances {
		cfg.Proxied[listenerName(d)] = func(addr string) (string, error) { return p.link(addr, d) }
	}
	var err error
	if p.kafka, err = services.StartKafkaCluster(ctx, brokers, cfg); err != nil {
		return fmt.Errorf("place Kafka: %w", err)
	}
	p.direct = split(p.kafka.Addr())
	return nil
}

// brokersAt returns the brokers that startKafka put at the distance.
func (p *place) brokersAt(d time.Duration) list {
	switch {
	case p.kafka == nil:
		return nil
	case d == 0:
		return p.direct
	}
	return split(p.kafka.Proxied(listenerName(d)))
}

// listenerName is letters and digits: AWAY2000US.
func listenerName(d time.Duration) string { return fmt.Sprintf("AWAY%dUS", d.Microseconds()) }

func (p *place) link(target string, delay time.Duration) (string, error) {
	l, err := link.New(target, delay)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links = append(p.links, l)
	return l.Addr(), nil
}

// close stops what the place started; the data go with the scratch folder.
func (p *place) close() error {
	var errs []error
	for _, l := range p.links {
		errs = append(errs, l.Close())
	}
	if p.kafka != nil {
		errs = append(errs, p.kafka.Stop())
	}
	if p.ownRedis != nil {
		errs = append(errs, p.ownRedis.Kill())
	}
	return errors.Join(errs...)
}

// connections sums what goes to the addresses, by their ports: all are on this machine.
func connections(byPort map[int]int, addrs list) int {
	sum := 0
	for _, a := range addrs {
		_, text, _ := net.SplitHostPort(a)
		port, _ := strconv.Atoi(text) // the server would not have started with a bad one
		sum += byPort[port]
	}
	return sum
}
