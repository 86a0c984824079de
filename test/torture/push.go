package torture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
)

// The subscription, its topics, and its consumer group.
const (
	pushName  = "torture"
	pushTopic = "torture.pushed"
	pushDead  = pushTopic + "." + pushName + ".dlt"
	pushGroup = "gateway.subscription." + pushName
)

const (
	pushConcurrency = 32
	pushAttempts    = 7
	// mostUnsaved is what a gateway may have delivered and not committed when it is killed
	// (internal/delivery, maxUnsaved), and what it had in flight.
	mostUnsaved = 1000 + pushConcurrency
	// mostGivenUp is how many events an endpoint that falls ill may burn before the breaker
	// opens.
	mostGivenUp = 20
)

// pushes is the side of a subscription: who writes its events, and who takes them.
type pushes struct {
	endpoint *pushEndpoint
	writer   *pushWriter
	probes   int
}

// pushSettings is the subscription in a gateway's configuration. A poison event fails for
// about three seconds.
func (p *pushes) settings() []map[string]any {
	return []map[string]any{{
		"name": pushName, "topics": []string{pushTopic}, "url": "http://" + p.endpoint.addr, "start": "earliest",
		"concurrency": pushConcurrency, "timeout": "2s", "session_timeout": "6s", "allow_cidrs": []string{"127.0.0.1/32"},
		"retry": map[string]any{"attempts": pushAttempts, "initial": "100ms", "max": "5s", "total": "10m"},
	}}
}

func (w *world) startPushes(ctx context.Context) (err error) {
	if !w.opts.Subscriptions {
		return nil
	}
	w.push = &pushes{}
	if w.push.endpoint, err = startPushEndpoint(w.opts.Seed); err != nil {
		return err
	}
	if w.push.writer, err = newPushWriter(w.opts, w.kafka.direct()); err != nil {
		return err
	}
	return errors.Join(w.kafka.createTopic(ctx, w.opts, pushTopic, 0), w.kafka.createTopic(ctx, w.opts, pushDead, 0))
}

func (p *pushes) close() {
	if p.endpoint != nil {
		p.endpoint.close()
	}
	if p.writer != nil {
		p.writer.client.Close()
	}
}

// awaitPushes writes events and waits until the endpoint has taken them, for up to twice
// the limit. They are behind everything that waits.
func (w *world) awaitPushes(ctx context.Context, after string, limit time.Duration) recovery {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 2*limit)
	defer cancel()
	w.push.probes++
	probe := func(i int) string { return fmt.Sprintf("probe-%d-%d", w.push.probes, i) }
	for i := range probeRows {
		w.push.writer.produce(context.WithoutCancel(ctx), pushData{Entity: probe(i)})
	}
	back := backoff.Poll(ctx, 50*time.Millisecond, func() bool {
		for i := range probeRows {
			if !w.push.endpoint.pushes.has(PushID{probe(i), 0}) {
				return false
			}
		}
		return true
	})
	if !back {
		w.dump()
	}
	return recovery{after: after, took: time.Since(begun), limit: limit, back: back}
}

func (p *Pushes) has(id PushID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.seen[id]
	return e != nil && e.taken
}

// torturePushes writes events and injects faults, heals everything, waits until all is
// delivered and committed, and checks what the endpoint saw.
func (w *world) torturePushes(ctx context.Context) (*Result, error) {
	o := w.opts
	telling, stopTelling := context.WithCancel(ctx)
	defer stopTelling()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.Duration > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, o.Duration)
		defer stop()
	}
	if o.StopEarly {
		w.push.endpoint.pushes.OnLate = func(PushID) { cancel() }
	}
	go w.pushProgress(telling)
	w.push.writer.start(o.Rate)
	s := newScheduler(w)
	err := s.run(ctx, func(faults int) bool {
		return o.Events == 0 && o.Faults == 0 || int(w.push.writer.written.Load()) < o.Events || faults < o.Faults
	})
	w.healAll()
	if err = errors.Join(err, w.push.writer.finish(context.WithoutCancel(ctx))); err != nil {
		return nil, err
	}
	found := append(s.found, w.awaitCommits()...)
	found = append(found, w.stopGateways()...)
	return w.checkPushes(s, found)
}

func (w *world) pushProgress(ctx context.Context) {
	const interval = 10 * time.Second
	for backoff.Sleep(ctx, interval) {
		p := w.push.endpoint.pushes
		w.printf("%6.0fs  %d written, %d delivered, %d again", w.history.since().Seconds(), w.push.writer.written.Load(), p.Count(), p.Repeated())
	}
}

// awaitCommits waits until the group's commits say that everything is finished, for as long
// as deliveries go on.
func (w *world) awaitCommits() []Violation {
	ctx, begun, limit := context.Background(), time.Now(), w.opts.Lease+w.opts.Limit+w.opts.Rebuild
	last, count := time.Now(), -1
	for {
		left, err := w.kafka.uncommitted(ctx)
		if err == nil && left == "" {
			w.printf("everything is committed %v after the last fault", time.Since(begun).Round(time.Millisecond))
			return nil
		}
		if n := w.push.endpoint.pushes.Count(); n != count {
			last, count = time.Now(), n
		}
		if time.Since(last) > limit {
			w.dump()
			return []Violation{{Rule: "e", Text: fmt.Sprintf("%v after the last delivery not everything is committed: %s (error: %v)", limit, left, err)}}
		}
		backoff.Sleep(ctx, 100*time.Millisecond)
	}
}

// uncommitted names a partition whose commit is not at its end, or says more than that.
func (k *kafka) uncommitted(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	ends, err := k.admin.ListEndOffsets(ctx, pushTopic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return "", err
	}
	commits, err := k.admin.FetchOffsets(ctx, pushGroup)
	if err != nil {
		return "", err
	}
	left := ""
	ends.Each(func(end kadm.ListedOffset) {
		c, ok := commits.Lookup(end.Topic, end.Partition)
		if !ok || c.At != end.Offset || c.Metadata != "" {
			left = fmt.Sprintf("partition %d is committed up to %d of %d, with %d characters of metadata", end.Partition, c.At, end.Offset, len(c.Metadata))
		}
	})
	return left, nil
}

// checkPushes compares the topics with what the endpoint saw.
func (w *world) checkPushes(s *scheduler, found []Violation) (*Result, error) {
	ctx, e := context.Background(), w.push.endpoint
	var written []PushEvent
	log, err := readLog(ctx, w.opts, joinAddrs(w.kafka.direct()), pushTopic)
	for i := range log {
		var d pushData
		if jerr := json.Unmarshal([]byte(log[i].Value), &d); jerr != nil {
			return nil, fmt.Errorf("read events: %w", jerr)
		}
		written = append(written, PushEvent{PushID: PushID{d.Entity, d.Seq}, Poison: d.Poison})
	}
	letters, lerr := w.readLetters(ctx)
	if err := errors.Join(err, lerr); err != nil {
		return nil, err
	}
	kills, facts := s.pushFacts()
	found = append(found, CheckPushes(written, letters, e.pushes, facts)...)
	w.history.accepted = map[string]int{"delivered": e.pushes.Count(), "dead": len(letters)}
	e.mu.Lock()
	w.history.answers = e.answers
	e.mu.Unlock()
	r, err := w.result(s, found, log)
	if err != nil {
		return nil, err
	}
	w.report(r)
	again := e.pushes.Repeated()
	w.printf("  %-34s %d of %d (%.4f %%), %d gateways killed: %.4f %% for each; at most %d are explained", "acknowledged events that came again",
		again, len(written), 100*float64(again)/float64(len(written)), kills, 100*float64(again)/float64(len(written))/float64(max(kills, 1)), facts.MostRepeated)
	return r, nil
}

func (w *world) readLetters(ctx context.Context) ([]PushLetter, error) {
	var letters []PushLetter
	var wrong error
	err := readRecords(ctx, w.opts, joinAddrs(w.kafka.direct()), pushDead, func(r *kgo.Record) {
		var d pushData
		wrong = errors.Join(wrong, json.Unmarshal(r.Value, &d))
		l := PushLetter{PushID: PushID{d.Entity, d.Seq}, Key: string(r.Key), Written: r.Timestamp}
		for _, h := range r.Headers {
			switch strings.TrimPrefix(h.Key, "gw_dead_") {
			case "reason":
				l.Reason = string(h.Value)
			case "attempts":
				l.Attempts, _ = strconv.Atoi(string(h.Value)) // 0 is reported
			}
		}
		letters = append(letters, l)
	})
	return letters, errors.Join(err, wrong)
}

// pushFacts says what the faults of the run explain, and how many gateways were killed.
func (s *scheduler) pushFacts() (kills int, facts PushFacts) {
	gateways := len(s.w.gateways)
	parts := map[string]part{}
	for _, k := range faultKinds() {
		parts[k.name] = k.part
	}
	// Each rebalance abandons what is in flight. The start has one for each gateway.
	rebalance := gateways * pushConcurrency
	facts = PushFacts{Attempts: pushAttempts, MostRepeated: gateways * rebalance}
	for _, in := range s.story {
		switch kind := parts[in.kind]; {
		case in.kind == "gateway-kill":
			kills++
			facts.MostRepeated += mostUnsaved + 2*rebalance // it leaves, and comes back
		case in.kind == "gateway-leave":
			facts.MostRepeated += 2 * rebalance
		case in.kind == "gateway-rolling-restart":
			facts.MostRepeated += 2 * gateways * rebalance
		case kind == partEndpoint:
			facts.MostGivenUp += mostGivenUp
		case kind == partGateway: // it was paused
			facts.CutOff++
			facts.MostRepeated += mostUnsaved + 2*rebalance
		case kind == partKafka: // some or all lose their sessions, perhaps twice
			facts.CutOff++
			facts.MostRepeated += 2 * gateways * (mostUnsaved + rebalance)
		}
	}
	return kills, facts
}
