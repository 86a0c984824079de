package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"eventgateway/test/bench/internal/load"
	"eventgateway/test/bench/internal/proc"
	"eventgateway/test/bench/internal/target"
	"eventgateway/test/bench/internal/topics"
)

// session is what one command needs until its end: a scratch folder, topics, the body.
type session struct {
	options   options
	dir       string
	place     *place
	topics    *topics.Admin
	body      []byte
	orderIDAt int
	typeTopic string // of the event type, in the gateway
}

func newSession(ctx context.Context, o options) (*session, error) {
	s := &session{options: o, typeTopic: o.eventType}
	schema, err := s.readSchema()
	if err != nil {
		return nil, err
	}
	var doc struct {
		Event struct {
			Topic string `json:"topic"`
		} `json:"x-event"`
	}
	if err := json.Unmarshal(schema, &doc); err != nil {
		return nil, fmt.Errorf("read topic of %s: %w", o.eventType, err)
	}
	if doc.Event.Topic != "" {
		s.typeTopic = doc.Event.Topic
	}
	if s.dir, err = os.MkdirTemp(o.dataDir, "gateway-bench-"); err != nil {
		return nil, fmt.Errorf("create scratch folder: %w", err)
	}
	if s.place, err = newPlace(ctx, o, s.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	if s.topics, err = topics.New(s.place.direct, o.partitions, 1); err != nil {
		return nil, errors.Join(err, s.place.close(), os.RemoveAll(s.dir))
	}
	return s, nil
}

// readSchema returns the event type's schema, and makes the body from its example.
func (s *session) readSchema() ([]byte, error) {
	o := s.options
	schema, err := os.ReadFile(filepath.Join(o.schemasDir, o.eventType, "v1.json"))
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	if s.body, s.orderIDAt, err = load.Body(schema); err != nil {
		return nil, fmt.Errorf("make body of %s: %w", o.eventType, err)
	}
	return schema, nil
}

func (s *session) close(ctx context.Context) error {
	return errors.Join(s.topics.Close(ctx), s.place.close(), os.RemoveAll(s.dir))
}

// build compiles a command of this module into the scratch folder.
func (s *session) build(ctx context.Context, name, pkg string) (string, error) {
	path := filepath.Join(s.dir, name)
	command := exec.CommandContext(ctx, "go", "build", "-o", path, pkg)
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

// floor describes a floor with a topic of its own.
func (s *session) floor(ctx context.Context, name, binary string, flags []string) (target.Spec, error) {
	topic := fmt.Sprintf("bench.%s.%08x", name, rand.Uint32())
	if err := s.topics.Ensure(ctx, topic); err != nil {
		return target.Spec{}, err
	}
	return target.Floor(name, binary, s.place.brokers, []string{topic}, s.options.partitions, flags), nil
}

// gateway describes a gateway; an empty binary is built from this tree. What all
// gateways of the run have in common is added to the configuration.
func (s *session) gateway(ctx context.Context, name, binary string, c target.GatewayConfig) (target.Spec, error) {
	if len(s.place.redis) == 0 {
		return target.Spec{}, errors.New("no Redis: set GATEWAY_TEST_REDIS or --redis")
	}
	var err error
	if binary == "" {
		if binary, err = s.build(ctx, "gateway", "./cmd/gateway"); err != nil {
			return target.Spec{}, err
		}
	}
	if err := s.topics.Ensure(ctx, s.typeTopic); err != nil {
		return target.Spec{}, err
	}
	c.Brokers, c.Redis = s.place.brokers, s.place.redis
	c.SchemasDir, c.Properties, c.IdempotencyTTL = s.options.schemasDir, s.options.properties, s.options.idempotencyTTL
	return target.Gateway(name, binary, []string{s.typeTopic}, c), nil
}

// measure drives one server once, compares the answers with the log, and reads what the
// server has open. The load goes to the session's event type, unless o names others.
func (s *session) measure(ctx context.Context, server *target.Server, o load.Options) (load.Result, error) {
	o.Address, o.ServerPID = server.Address, server.PID
	o.Key = server.Spec.Key
	if o.EventTypes == nil {
		o.EventTypes = []string{s.options.eventType}
	}
	o.Body, o.OrderIDAt, o.WarmUp = s.body, s.orderIDAt, s.options.warmUp
	before, err := s.topics.End(ctx, server.Spec.Topics...)
	if err != nil {
		return load.Result{}, err
	}
	if err := proc.ResetPeak(server.PID); err != nil {
		return load.Result{}, err
	}
	mine, err := proc.CPU(os.Getpid())
	if err != nil {
		return load.Result{}, err
	}
	result, err := generate(ctx, o)
	if err == nil {
		err = s.readOpen(server, mine, &result)
	}
	if err != nil {
		return result, fmt.Errorf("measure %s: %w", server.Spec.Name, err)
	}
	after, err := s.topics.End(ctx, server.Spec.Topics...)
	if err != nil {
		return result, err
	}
	if server.Spec.Markers {
		// The log also grew by the markers of transactions, which consumers skip.
		after = min(after, before+int64(result.Acknowledged))
	}
	return result, checkAnswers(server.Spec.Name, result, after-before, s.options.maxFailureShare)
}

// readOpen adds what the server has open after the load, and the CPU time since mine of
// this process, which only waits and runs the links.
func (s *session) readOpen(server *target.Server, mine time.Duration, r *load.Result) error {
	now, err := proc.CPU(os.Getpid())
	if err != nil {
		return err
	}
	if len(s.place.links) > 0 && r.Acknowledged > 0 {
		r.LinkCPUPerEvent = float64((now - mine).Microseconds()) / float64(r.Acknowledged)
	}
	if r.Threads, err = proc.Threads(server.PID); err != nil {
		return err
	}
	byPort, err := proc.Connections(server.PID)
	if err != nil {
		return err
	}
	r.KafkaConnections, r.RedisConnections = connections(byPort, s.place.brokers), connections(byPort, s.place.redis)
	return nil
}

// checkAnswers fails on too many refusals, and on a log that does not hold what
// was acknowledged: fewer records, or more than acknowledged and failed requests
// together can explain.
func checkAnswers(name string, r load.Result, records int64, maxFailureShare float64) error {
	var problems []string
	var failed uint64
	for kind, n := range r.Failures {
		failed += n
		problems = append(problems, fmt.Sprintf("%d answers %q, the first: %s", n, kind, strings.TrimSpace(r.Samples[kind])))
	}
	if r.Unsent > 0 {
		problems = append(problems, fmt.Sprintf("%d requests were due and never sent", r.Unsent))
	}
	text := strings.Join(problems, "\n  ")
	switch acknowledged := int64(r.Acknowledged); {
	case acknowledged == 0:
		return fmt.Errorf("%w: %s acknowledged nothing\n  %s", errMissed, name, text)
	case r.FailureShare() > maxFailureShare:
		return fmt.Errorf("%w: %s did not acknowledge %.4f of the requests\n  %s", errMissed, name, r.FailureShare(), text)
	case records < acknowledged:
		return fmt.Errorf("%w: %s acknowledged %d events and the log grew by %d", errMissed, name, acknowledged, records)
	case records > acknowledged+int64(failed):
		return fmt.Errorf("%w: %s acknowledged %d events (%d failed) and the log grew by %d: duplicates, or another writer",
			errMissed, name, acknowledged, failed, records)
	}
	if text != "" {
		fmt.Fprintf(os.Stderr, "%s: tolerated:\n  %s\n", name, text)
	}
	return nil
}
