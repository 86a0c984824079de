package publish

import (
	"context"
	"fmt"
	"strconv"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/kafka"
	"eventgateway/internal/preflight"
)

// TopicPlan is how to create a topic if it is missing.
type TopicPlan struct {
	Name                    string
	Partitions, Replication int
	// Retention is how long records must be kept, MaxRecord the largest in bytes.
	Retention time.Duration
	MaxRecord int
}

// TopicOutcome is the result of one plan.
type TopicOutcome struct {
	Name string
	// Created says that the topic was missing; Settings are those it was created with.
	Created  bool
	Settings map[string]string
	// Partitions and Replication are those it has now, Asked the planned partitions.
	Partitions, Replication, Asked int
	// Err is why the topic does not exist and was not created.
	Err error
}

// UnreachableError says that no broker answers.
type UnreachableError struct{ preflight.Unreachable }

func (e UnreachableError) Error() string { return "reach kafka: " + e.What }

// TooFewBrokersError says that topics cannot have that many replicas.
type TooFewBrokersError struct{ Brokers, Replication int }

func (e TooFewBrokersError) Error() string {
	brokers := "brokers"
	if e.Brokers == 1 {
		brokers = "broker"
	}
	return fmt.Sprintf("create topics with replication %d: the cluster has %d %s", e.Replication, e.Brokers, brokers)
}

// CreateTopics creates the topics that are missing and leaves all others unchanged.
// With dryRun, Kafka is only asked whether it would create them. The error concerns
// all topics, an outcome's error only its own. Outcomes are in the order of plans.
func CreateTopics(ctx context.Context, cfg Config, plans []TopicPlan, dryRun bool) ([]TopicOutcome, error) {
	in, err := newInspector(cfg)
	if err != nil {
		return nil, err
	}
	defer in.close()
	if obstacle := in.reach(ctx); obstacle != nil {
		return nil, UnreachableError{*obstacle}
	}
	names := make([]string, len(plans))
	for i, p := range plans {
		names[i] = p.Name
	}
	found := make(map[string]preflight.TopicFacts, len(plans))
	for _, t := range in.topics(ctx, names) {
		found[t.Name] = t
	}
	_, brokers := in.brokers(ctx)
	defaults := brokerDefaults(brokers)
	outcomes := make([]TopicOutcome, len(plans))
	var specs []librdkafka.TopicSpecification
	for i, p := range plans {
		outcomes[i] = p.outcome(found[p.Name])
		if found[p.Name].Presence != preflight.Missing {
			continue
		}
		if p.Replication > len(brokers) {
			return nil, TooFewBrokersError{Brokers: len(brokers), Replication: p.Replication}
		}
		outcomes[i].Settings = p.settings(defaults)
		specs = append(specs, p.spec(defaults))
	}
	return outcomes, in.createAll(ctx, specs, outcomes, dryRun)
}

// outcome is what is known before topics are created.
func (p TopicPlan) outcome(t preflight.TopicFacts) TopicOutcome {
	o := TopicOutcome{Name: p.Name, Asked: p.Partitions}
	switch t.Presence {
	case preflight.Present:
		o.Partitions, o.Replication = len(t.Partitions), t.FewestReplicas()
	case preflight.Missing:
		o.Partitions, o.Replication = p.Partitions, p.Replication
	case preflight.Hidden:
		o.Err = fmt.Errorf("describe topic %s: %w", p.Name, librdkafka.NewError(librdkafka.ErrTopicAuthorizationFailed, "", false))
	case preflight.Unclear:
		o.Err = fmt.Errorf("describe topic %s: %s", p.Name, t.Problem)
	}
	return o
}

// createAll creates topics and records it in their outcomes.
func (in *inspector) createAll(ctx context.Context, specs []librdkafka.TopicSpecification, outcomes []TopicOutcome, dryRun bool) error {
	if len(specs) == 0 {
		return nil
	}
	results, err := in.create(ctx, specs, dryRun)
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	for i := range outcomes {
		o := &outcomes[i]
		if o.Settings == nil {
			continue // it is not to be created
		}
		failure, ok := results[o.Name]
		code, _ := kafka.ErrorCode(failure)
		switch {
		case !ok:
			o.Err = fmt.Errorf("create topic %s: kafka did not answer for it", o.Name)
		case failure == nil:
			o.Created = true
		case code == librdkafka.ErrTopicAlreadyExists: // somebody else was faster
			o.Settings, o.Partitions, o.Replication = nil, 0, 0
			if again := in.topics(ctx, []string{o.Name}); again[0].Presence == preflight.Present {
				o.Partitions, o.Replication = len(again[0].Partitions), again[0].FewestReplicas()
			}
		default:
			o.Err = fmt.Errorf("create topic %s: %w", o.Name, failure)
		}
	}
	return nil
}

// create asks Kafka to create topics, or, with dryRun, whether it would. The map has
// the error, or nil, of each topic that Kafka answered for.
func (in *inspector) create(ctx context.Context, specs []librdkafka.TopicSpecification, dryRun bool) (map[string]error, error) {
	var results []librdkafka.TopicResult
	err := in.ask(ctx, func(ctx context.Context, admin *librdkafka.AdminClient) (err error) {
		results, err = admin.CreateTopics(ctx, specs, librdkafka.SetAdminValidateOnly(dryRun),
			librdkafka.SetAdminOperationTimeout(inspectTimeout), librdkafka.SetAdminRequestTimeout(inspectTimeout))
		return err
	})
	if err != nil {
		return nil, err
	}
	failures := make(map[string]error, len(results))
	for _, r := range results {
		failures[r.Topic] = nil
		if r.Error.Code() != librdkafka.ErrNoError {
			failures[r.Topic] = r.Error
		}
	}
	return failures, nil
}

func (p TopicPlan) spec(defaults preflight.Settings) librdkafka.TopicSpecification {
	return librdkafka.TopicSpecification{
		Topic: p.Name, NumPartitions: p.Partitions, ReplicationFactor: p.Replication, Config: p.settings(defaults),
	}
}

// kafkaRetention is Kafka's default retention.ms.
const kafkaRetention = 7 * 24 * time.Hour

// settings are those that a topic needs beyond the brokers' defaults, which are nil
// if they are not known.
func (p TopicPlan) settings(defaults preflight.Settings) map[string]string {
	set := map[string]string{"cleanup.policy": "delete"}
	switch least, known := defaults.Number("min.insync.replicas"); {
	case p.Replication >= 3: // with two replicas, one stopped broker would stop all writes
		set["min.insync.replicas"] = "2"
	case known && int(least) > p.Replication: // Kafka would refuse every event
		set["min.insync.replicas"] = strconv.Itoa(p.Replication)
	}
	switch retention, known := defaultRetention(defaults); {
	case !known: // an explicit setting must not shorten what brokers may do by default
		set["retention.ms"] = milliseconds(max(p.Retention, kafkaRetention))
	case retention < p.Retention:
		set["retention.ms"] = milliseconds(p.Retention)
	}
	if size, _ := defaults.Number("log.retention.bytes"); size >= 0 { // set, or not known
		set["retention.bytes"] = "-1"
	}
	largest, known := defaults.Number("message.max.bytes")
	if !known {
		largest = defaultTopicBytes
	}
	if int64(p.MaxRecord) > largest {
		set["max.message.bytes"] = strconv.Itoa(p.MaxRecord)
	}
	return set
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// defaults are the settings of the first broker that shows them, nil if none does.
func (in *inspector) defaults(ctx context.Context) preflight.Settings {
	md, err := in.admin.Brokers(kafka.TimeLeft(ctx, inspectTimeout))
	if err != nil {
		return nil
	}
	for _, b := range md.Brokers {
		settings, err := in.settings(ctx, librdkafka.ResourceBroker, strconv.Itoa(int(b.ID)))
		if err == nil || NotAllowed(err) { // then no other broker shows them either
			return settings
		}
	}
	return nil
}

// brokerDefaults are the settings of the first broker that shows them.
func brokerDefaults(brokers []preflight.BrokerFacts) preflight.Settings {
	for _, b := range brokers {
		if b.Settings != nil {
			return b.Settings
		}
	}
	return nil
}

// defaultRetention is that of topics without retention.ms. Brokers use the first of
// three settings.
func defaultRetention(broker preflight.Settings) (retention time.Duration, known bool) {
	if retention, known = broker.Duration("log.retention.ms", time.Millisecond); known {
		return retention, true
	}
	if retention, known = broker.Duration("log.retention.minutes", time.Minute); known {
		return retention, true
	}
	return broker.Duration("log.retention.hours", time.Hour)
}
