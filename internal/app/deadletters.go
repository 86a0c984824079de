package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"eventgateway/internal/config"
	"eventgateway/internal/deadletter"
	"eventgateway/internal/delivery"
	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/kafka"
	"eventgateway/internal/publish"
	"eventgateway/internal/schema"
)

// DeadLetters reads, replays and drops dead letters.
type DeadLetters struct {
	cfg     *config.Config
	set     *schema.Set
	records *publish.Records
	logger  *slog.Logger
}

// OpenDeadLetters returns one that must be closed.
func OpenDeadLetters(cfg *config.Config, logger *slog.Logger) (*DeadLetters, error) {
	set, err := schema.Load(cfg.Schemas.Dir)
	if err != nil {
		return nil, fmt.Errorf("schemas: %w", err)
	}
	records, err := publish.NewRecords(producerConfig(cfg), logger)
	if err != nil {
		return nil, err
	}
	return &DeadLetters{cfg: cfg, set: set, records: records, logger: logger}, nil
}

// Close ends the connections.
func (d *DeadLetters) Close() { d.records.Close() }

// Topics are the dead-letter topics of the configuration: of one subscription or webhook, or
// of all.
func (d *DeadLetters) Topics(consumer string) []string {
	return deadLetterTopics(d.cfg, d.set, consumer)
}

func deadLetterTopics(cfg *config.Config, set *schema.Set, consumer string) []string {
	var names []string
	for _, s := range cfg.Subscriptions {
		if consumer == "" || consumer == s.Name {
			for _, topic := range subscriptionTopics(s, set) {
				names = append(names, s.DeadLetters(topic))
			}
		}
	}
	for _, w := range cfg.Webhooks {
		if topic := w.DeadLetters(); topic != "" && (consumer == "" || consumer == w.Name) {
			names = append(names, topic)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ledgerTopic is the topic of what became of dead letters.
func ledgerTopic(cfg *config.Config) string {
	return deadletter.LedgerTopic(cfg.Kafka.TransactionalIDPrefix)
}

// letterSource reads dead letters. With a ledger it reads that to its end: a mark may be behind
// the open transaction of another command, which is waited for.
type letterSource struct {
	records *publish.Records
	ledger  string
}

func (s letterSource) Spans(ctx context.Context, topic string, since time.Time) ([]deadletter.Span, error) {
	spans, err := s.records.Spans(ctx, since, topic == s.ledger, topic)
	return letterSpans(spans[topic]), err
}

// AllSpans implements deadletter.WatchSource.
func (s letterSource) AllSpans(ctx context.Context, topics ...string) (map[string][]deadletter.Span, error) {
	spans, err := s.records.Spans(ctx, time.Time{}, false, topics...)
	if kafka.Hidden(err) { // what may not be seen is not counted
		err = nil
	}
	all := make(map[string][]deadletter.Span, len(spans))
	for topic, list := range spans {
		all[topic] = letterSpans(list)
	}
	return all, err
}

func letterSpans(spans []publish.Span) []deadletter.Span {
	list := make([]deadletter.Span, len(spans))
	for i, one := range spans {
		list[i] = deadletter.Span(one)
	}
	return list
}

func (s letterSource) Read(ctx context.Context, span deadletter.Span, visit func(*kafka.Record) error) error {
	return s.records.Read(ctx, publish.Span(span), visit)
}

// source waits for nobody: after a command was killed, marks of the last seconds may be missing.
func (d *DeadLetters) source() letterSource { return letterSource{records: d.records} }

// Ledger is what became of dead letters.
func (d *DeadLetters) Ledger(ctx context.Context) (*deadletter.Ledger, error) {
	return deadletter.ReadLedger(ctx, d.source(), ledgerTopic(d.cfg))
}

// Find passes dead letters to visit.
func (d *DeadLetters) Find(ctx context.Context, topics []string, f deadletter.Filter, visit func(*kafka.Record, deadletter.Letter) error) error {
	return deadletter.Find(ctx, d.source(), topics, f, visit)
}

// ReplayTopic is the topic for replays of a subscription, "" if there is no such one.
func (d *DeadLetters) ReplayTopic(subscription string) string {
	if knownSubscription(d.cfg, subscription) != nil {
		return ""
	}
	return delivery.ReplayTopic(subscription)
}

// Plan says what a job would do, and why the door would refuse events. eventType is the type
// of all events that go through it, "" the one that each has.
func (d *DeadLetters) Plan(ctx context.Context, job deadletter.Job, eventType string) (deadletter.Tally, error) {
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return deadletter.Tally{}, err
	}
	refused, orders := map[string]int{}, map[string]*deadletter.Order{} // by subscription
	tally, err := deadletter.Plan(ctx, job, d.source(), ledger, func(r *kafka.Record, l *deadletter.Letter) {
		switch name := job.Target.Subscription(l); {
		case job.Drop:
		case job.Target.Kind != deadletter.ToDoor:
			if orders[name] == nil {
				orders[name] = deadletter.NewOrder()
			}
			orders[name].Note(r, l)
		default:
			req := doorRequest(d.cfg, r, l, eventType, job.Again)
			if plan := ingest.NewPlan(d.set, &req); plan.Problem != nil {
				refused[refusal(plan.Problem)]++
			}
		}
	})
	tally.Refused = refused
	for name, order := range orders {
		if err == nil {
			var later deadletter.Later
			later, err = d.later(ctx, name, order)
			tally.Later.Add(later)
		}
	}
	return tally, err
}

// later finds out which letters have an entity that has gone on without them: in what a
// subscription has delivered or, without its name, in what is in the topic.
func (d *DeadLetters) later(ctx context.Context, subscription string, order *deadletter.Order) (deadletter.Later, error) {
	admin := connection(d.cfg).GroupAdmin(d.logger)
	defer admin.Close()
	commits := map[kafka.Partition]kafka.Committed{}
	wants := func(*kafka.Record) bool { return true }
	if at := slices.IndexFunc(d.cfg.Subscriptions, func(s config.Subscription) bool { return s.Name == subscription }); at >= 0 {
		s := d.cfg.Subscriptions[at]
		state, err := admin.State(ctx, delivery.Group(s.Name), subscriptionTopics(s, d.set)...)
		if err != nil {
			return deadletter.Later{}, err
		}
		for _, p := range state.Partitions {
			commits[p.Partition] = p.Committed
		}
		wants = func(r *kafka.Record) bool {
			return len(s.Types) == 0 || slices.ContainsFunc(r.Headers, func(h kafka.RecordHeader) bool {
				return h.Key == event.HeaderType && slices.Contains(s.Types, string(h.Value))
			})
		}
	}
	ends := map[string]map[kafka.Partition]int64{}
	return order.Look(ctx, d.source(), func(part kafka.Partition) deadletter.Passed {
		if c, ok := commits[part]; ok {
			end, is := delivery.Finished(c)
			return deadletter.Passed{End: end, Is: is}
		}
		if subscription != "" { // it does not read the partition
			return deadletter.Passed{}
		}
		if ends[part.Topic] == nil { // a topic that is gone has nothing later
			ends[part.Topic], _ = admin.Starts(ctx, kafka.Start{}, part.Topic)
		}
		return deadletter.Passed{End: ends[part.Topic][part], Is: func(int64) bool { return true }}
	}, wants)
}

// copierSink is a deadletter.Sink.
type copierSink struct{ *publish.Copier }

func (s copierSink) Begin(ctx context.Context) error { return takenOver(s.Copier.Begin(ctx)) }

func (s copierSink) Commit(ctx context.Context, copies []*kafka.Record, marks func() []*kafka.Record) error {
	return takenOver(s.Copier.Commit(ctx, copies, marks))
}

func takenOver(err error) error {
	var taken *publish.TakenOverError
	if errors.As(err, &taken) {
		return fmt.Errorf("%w (%w)", deadletter.ErrTakenOver, err)
	}
	if publish.Permanent(err) {
		return fmt.Errorf("%w; %w", err, deadletter.ErrPermanent)
	}
	return err
}

// Run replays or drops what the job says. eventType is as for Plan; openAPI is the description
// that a gateway is built with.
func (d *DeadLetters) Run(ctx context.Context, job deadletter.Job, eventType string, openAPI []byte, progress func(deadletter.Tally)) (deadletter.Tally, error) {
	replication := 0
	if d.cfg.Kafka.CreateTopics.Enabled {
		replication = d.cfg.Kafka.CreateTopics.Replication
	}
	if err := connection(d.cfg).NewTable(ledgerTopic(d.cfg), replication, d.logger).Ensure(ctx); err != nil {
		return deadletter.Tally{}, err
	}
	var copiers []*publish.Copier
	defer func() {
		for _, c := range copiers {
			c.Close()
		}
	}()
	var door deadletter.Door
	if job.Target.Kind == deadletter.ToDoor && !job.Drop {
		own, end, err := d.openDoor(ctx, openAPI, eventType, job.Again)
		if err != nil {
			return deadletter.Tally{}, err
		}
		defer end()
		door = own
	}
	return deadletter.Run(ctx, job, deadletter.Deps{
		Door:   door,
		Source: letterSource{d.records, ledgerTopic(d.cfg)}, Ledger: ledgerTopic(d.cfg), Now: time.Now, Progress: progress,
		Sink: func(topic string) deadletter.Sink {
			c := publish.NewCopier(producerConfig(d.cfg), replayID(d.cfg, topic), d.logger)
			copiers = append(copiers, c)
			return copierSink{c}
		},
	})
}

// replayID is the transactional id of replays from a dead-letter topic: of two at a time, the
// first is ended.
func replayID(cfg *config.Config, topic string) string {
	return cfg.Kafka.TransactionalIDPrefix + "-dead-letters-" + topic
}

// PrepareReplays creates the topics for replays of subscriptions that are missing, and lets
// the gateways read them.
func (d *DeadLetters) PrepareReplays(ctx context.Context, subscriptions []string) error {
	admin := connection(d.cfg).GroupAdmin(d.logger)
	defer admin.Close()
	needs := kafkaNeeds(d.cfg, d.set)
	for _, name := range subscriptions {
		topic := delivery.ReplayTopic(name)
		exist, err := admin.Topics(ctx, topic)
		if err != nil {
			return err
		}
		_, there := exist[topic]
		if !there {
			outcomes, err := publish.CreateTopics(ctx, producerConfig(d.cfg), []publish.TopicPlan{{ // as topics apply does
				Name: topic, Partitions: needs.Partitions, Replication: needs.Replication,
				Retention: needs.Retention(), MaxRecord: replayRecordBytes(d.cfg),
			}}, false)
			if err == nil && len(outcomes) == 1 {
				err = outcomes[0].Err
			}
			if err != nil {
				return fmt.Errorf("create topic %s: %w; gateway topics apply creates it, too, with --partitions and --replication", topic, err)
			}
		}
		if err := d.announce(ctx, name, !there); err != nil {
			return err
		}
	}
	return nil
}

// announce tells the gateways that the topic for replays of a subscription was made, or,
// once, that it exists: those that run begin anew to read it.
func (d *DeadLetters) announce(ctx context.Context, name string, made bool) error {
	table := StateTable(d.cfg, d.logger)
	states, err := delivery.ReadPauses(ctx, table)
	if err != nil {
		return err
	}
	state := states[name]
	if !made && !state.ReplayTopic.IsZero() {
		return nil
	}
	state.ReplayTopic = time.Now().UTC()
	return delivery.WritePause(ctx, table, name, state)
}

// watchDeadLetters counts the dead letters that wait until ctx ends.
func (a *App) watchDeadLetters(ctx context.Context) {
	records, err := publish.NewRecords(producerConfig(a.cfg), a.logger)
	if err != nil {
		a.logger.Info("dead letters that wait are not counted", "error", err)
		return
	}
	defer records.Close()
	ledger := ledgerTopic(a.cfg)
	topics := func() []string { return deadLetterTopics(a.subscribed(), a.catalog.Set(), "") }
	deadletter.NewWatch(letterSource{records: records}, topics, ledger, deadletter.NewMetrics(a.registry), a.logger).Run(ctx)
}
