package publish

import (
	"context"
	"errors"
	"log/slog"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/kafka"
	"eventgateway/internal/preflight"
)

const (
	// reachTimeout is how long brokers may take to be connected to: a TLS and SASL
	// handshake over a slow network takes a second or two.
	reachTimeout = 10 * time.Second
	reachStep    = 250 * time.Millisecond
	// inspectTimeout bounds each question asked afterwards.
	inspectTimeout = 5 * time.Second
	// unreachableAfter is how long connecting to any broker may fail before the cluster
	// counts as unreachable: time enough for a few attempts.
	unreachableAfter = time.Second
)

// Inspect asks Kafka for the facts that the guarantee depends on, with the connection
// settings of a gateway. It writes no records and changes no topics. In transactional
// mode it initialises one transactional producer, always with the same id: Kafka
// shows in no other way whether that is allowed.
func Inspect(ctx context.Context, cfg Config, topics []string) preflight.KafkaFacts {
	unusable := func(err error) preflight.KafkaFacts {
		return preflight.KafkaFacts{Unreachable: &preflight.Unreachable{Obstacle: preflight.BadSettings, What: err.Error()}}
	}
	choice, err := chooseClient(cfg)
	if err != nil {
		return unusable(err)
	}
	in, err := newInspector(cfg)
	if err != nil {
		return unusable(err)
	}
	defer in.close()
	if obstacle := in.reach(ctx); obstacle != nil {
		return preflight.KafkaFacts{Unreachable: obstacle}
	}
	var facts preflight.KafkaFacts
	facts.ClusterID, facts.Brokers = in.brokers(ctx)
	facts.Topics = in.topics(ctx, topics)
	facts.Client = in.client(ctx, choice, facts.Brokers, facts.Topics)
	if cfg.CreateTopics.Enabled {
		defaults := brokerDefaults(facts.Brokers)
		in.tryCreation(ctx, facts.Topics, func(name string) librdkafka.TopicSpecification { return cfg.CreateTopics.spec(name, defaults) })
	}
	facts.Own = in.own(ctx)
	in.tryOwnCreation(ctx, facts.Own)
	if cfg.Transactional {
		facts.Transactions = in.tryTransactions(ctx)
	}
	facts.ProducerRefused = in.errors.fatal()
	return facts
}

// inspector asks through a producer like those of a gateway, so that it meets
// the same obstacles.
type inspector struct {
	cfg      Config
	producer *librdkafkaProducer
	admin    *kafka.Admin // of producer
	errors   *errorRecorder
}

func newInspector(cfg Config) (*inspector, error) {
	recorder := &errorRecorder{}
	producer, err := newLibrdkafka(producerSettings(cfg, defaultBatchBytes), "", defaultBatchBytes, slog.New(recorder),
		func(_ *librdkafkaProducer, e librdkafka.Error) { recorder.record(e) })
	if err != nil {
		return nil, err
	}
	admin, err := kafka.AdminOf(producer.kp)
	if err != nil {
		producer.close(0)
		return nil, err
	}
	return &inspector{cfg: cfg, producer: producer, admin: admin, errors: recorder}, nil
}

func (in *inspector) close() {
	in.admin.Close()
	in.producer.close(0)
}

// reach waits until a broker answers. It gives up early if none can.
func (in *inspector) reach(ctx context.Context) *preflight.Unreachable {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	for {
		// A broker that is connected by now is asked before giving up.
		_, err := in.admin.Brokers(reachStep)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil || in.errors.down():
			return in.errors.obstacle(err)
		}
	}
}

// ask calls Kafka, for at most inspectTimeout.
func (in *inspector) ask(ctx context.Context, question func(context.Context, *librdkafka.AdminClient) error) error {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	return in.admin.Use(func(admin *librdkafka.AdminClient) error { return question(ctx, admin) })
}

// NotAllowed reports whether Kafka refused because a permission is missing.
func NotAllowed(err error) bool {
	code, ok := kafka.ErrorCode(err)
	if !ok {
		return false
	}
	switch code {
	case librdkafka.ErrTopicAuthorizationFailed, librdkafka.ErrClusterAuthorizationFailed, librdkafka.ErrTransactionalIDAuthorizationFailed:
		return true
	default:
		return false
	}
}

// reason is an error's text, in plain words for a timeout.
func reason(err error) string {
	if code, _ := kafka.ErrorCode(err); code == librdkafka.ErrTimedOut || errors.Is(err, context.DeadlineExceeded) {
		return "no answer within " + inspectTimeout.String()
	}
	return err.Error()
}

// checkID follows the prefix in the transactional id that Inspect initialises. It is
// always the same, so that Kafka keeps one entry for it, and no gateway uses it.
const checkID = "-check"

// tryTransactions initialises a transactional producer and closes it. It needs the
// same coordinator, permissions and timeout as a gateway's.
func (in *inspector) tryTransactions(ctx context.Context) *preflight.TransactionFacts {
	facts := &preflight.TransactionFacts{ID: in.cfg.TransactionalIDPrefix + checkID}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	ignored := &errorRecorder{} // only the call's own error counts
	inc, err := newTransactional(in.cfg, facts.ID, defaultBatchBytes, slog.New(ignored), func(_ *librdkafkaProducer, e librdkafka.Error) { ignored.record(e) })
	if err == nil {
		defer inc.close(0)
		err = inc.initialise(ctx)
	}
	if err == nil {
		return facts
	}
	facts.What = err.Error()
	code, _ := kafka.ErrorCode(err)
	switch {
	case NotAllowed(err):
		facts.Problem = preflight.TransactionsNotAllowed
	case code == librdkafka.ErrInvalidTransactionTimeout:
		facts.Problem = preflight.TransactionsTooLong
	default:
		facts.Problem = preflight.TransactionsFail
	}
	return facts
}
