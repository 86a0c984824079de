package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"eventgateway/test/bench/internal/link"
	"eventgateway/test/services"
)

// place is where Kafka and Redis are for the measured servers: as near as the
// environment says, or behind links with a delay.
type place struct {
	brokers, redis list // for the servers
	direct         list // brokers for the bench, past the link
	kafka          *services.Kafka
	links          []*link.Link
}

func newPlace(ctx context.Context, o options, dir string) (*place, error) {
	p := &place{brokers: o.brokers, direct: o.brokers, redis: o.redis}
	var err error
	if o.distance > 0 {
		err = p.startKafka(ctx, filepath.Join(dir, "kafka"), o.distance)
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

// startKafka starts a broker with a second listener, which advertises the address of
// the link, because clients connect to what a broker advertises.
func (p *place) startKafka(ctx context.Context, dir string, distance time.Duration) error {
	var ports [3]int
	for i := range ports {
		port, err := services.FreePort()
		if err != nil {
			return fmt.Errorf("place Kafka: %w", err)
		}
		ports[i] = port
	}
	near, far, controller := loopback(ports[0]), loopback(ports[1]), loopback(ports[2])
	through, err := p.link(far, distance)
	if err != nil {
		return err
	}
	p.kafka, err = services.StartKafka(ctx, services.KafkaConfig{
		Dir: dir, Port: ports[0], ControllerPort: ports[2],
		Properties: map[string]string{
			"listeners":                      "PLAINTEXT://" + near + ",DISTANT://" + far + ",CONTROLLER://" + controller,
			"advertised.listeners":           "PLAINTEXT://" + near + ",DISTANT://" + through,
			"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,DISTANT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		},
	})
	if err != nil {
		return fmt.Errorf("place Kafka: %w", err)
	}
	p.direct, p.brokers = list{near}, list{through}
	return nil
}

func (p *place) link(target string, delay time.Duration) (string, error) {
	l, err := link.New(target, delay)
	if err != nil {
		return "", err
	}
	p.links = append(p.links, l)
	return l.Addr(), nil
}

func (p *place) close() error {
	var errs []error
	for _, l := range p.links {
		errs = append(errs, l.Close())
	}
	if p.kafka != nil {
		errs = append(errs, p.kafka.Kill()) // its data goes with the scratch folder
	}
	return errors.Join(errs...)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
