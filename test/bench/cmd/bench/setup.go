package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"
)

// setup is what the measured servers have around them, besides their binaries.
type setup struct {
	partitions              int
	distance, redisDistance time.Duration // one way; 0: the servers of the environment, on loopback
	client, oldClient       string        // kafka.client of the newer and of the older gateway; empty: not set
	properties              list          // librdkafka's, for every gateway
	floor, floor2           list          // flags of the floor, and further ones of a second floor
}

func (s *setup) register(f *flag.FlagSet) {
	f.IntVar(&s.partitions, "partitions", 12, "partitions of the topics that the run creates")
	f.DurationVar(&s.distance, "distance", 0, "start a Kafka for the run and put it this far away, one way; 0 uses --brokers")
	f.DurationVar(&s.redisDistance, "redis-distance", 0, "put Redis this far away, one way")
	f.StringVar(&s.client, "client", "", "kafka.client of the (newer) gateway: auto, franz or librdkafka; empty leaves it out")
	f.Var(&s.properties, "property", "librdkafka `name=value` for every gateway, repeatable by comma")
}

// registerFloor adds the flag of the commands that have a floor.
func (s *setup) registerFloor(f *flag.FlagSet) {
	f.Var(&s.floor, "floor", "flags of cmd/floor, `name=value`, repeatable by comma: client=librdkafka,property=linger.ms=1")
}

func (s *setup) validate() error {
	var errs []error
	if s.partitions < 1 {
		errs = append(errs, errors.New("partitions must be positive"))
	}
	if s.distance < 0 || s.redisDistance < 0 {
		errs = append(errs, errors.New("distances must not be negative"))
	}
	for _, p := range slices.Concat(s.properties, s.floor, s.floor2) {
		if !strings.Contains(p, "=") {
			errs = append(errs, fmt.Errorf("property or flag %q: want name=value", p))
		}
	}
	return errors.Join(errs...)
}

// String names what is not the default, for a table.
func (s setup) String() string {
	text := fmt.Sprintf("%d partitions, Kafka %v and Redis %v away", s.partitions, s.distance, s.redisDistance)
	for _, part := range []struct{ name, value string }{
		{"client", s.client},
		{"old client", s.oldClient},
		{"properties", s.properties.String()},
		{"floor", s.floor.String()},
		{"floor2", s.floor2.String()},
	} {
		if part.value != "" {
			text += fmt.Sprintf(", %s %s", part.name, part.value)
		}
	}
	return text
}

// MarshalJSON writes the text.
func (s setup) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }
