package publish

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/preflight"
)

const (
	// reachTimeout is how long brokers may take to be connected to: a TLS and SASL
	// handshake over a slow network takes a second or two.
	reachTimeout = 10 * time.Second
	reachStep    = 250 * time.Millisecond
	// inspectTimeout bounds each question asked afterwards.
	inspectTimeout = 5 * time.Second
	// giveUpAfter is how long no broker may be connected to before that counts as
	// an answer: time enough for a few attempts, should one have been bad luck.
	giveUpAfter = time.Second
)

// Inspect asks Kafka what the promise rests on, with the connection settings of
// a gateway. It writes no records and changes no topics; in transactional mode
// it initialises one transactional producer, always the same, because Kafka
// tells in no other way whether that is allowed.
func Inspect(ctx context.Context, cfg Config, topics []string) preflight.KafkaFacts {
	in, err := newInspector(cfg)
	if err != nil {
		return preflight.KafkaFacts{Unreachable: &preflight.Unreachable{Obstacle: preflight.BadSettings, What: err.Error()}}
	}
	defer in.inc.close(0)
	if obstacle := in.reach(ctx); obstacle != nil {
		return preflight.KafkaFacts{Unreachable: obstacle}
	}
	var facts preflight.KafkaFacts
	facts.ClusterID, facts.Brokers = in.brokers(ctx)
	facts.Topics = in.topics(ctx, topics)
	if cfg.CreateTopics.Enabled {
		in.tryCreation(ctx, facts.Topics, cfg.CreateTopics.spec)
	}
	if cfg.Transactional {
		registry := in.topics(ctx, []string{registryTopic(cfg)})
		in.tryCreation(ctx, registry, func(string) kafka.TopicSpecification { return registrySpec(cfg) })
		facts.Registry = &registry[0]
		facts.Transactions = in.tryTransactions(ctx)
	}
	facts.ProducerRefused = in.complaints.fatal()
	return facts
}

// inspector asks through a producer like those of a gateway, so that it meets
// the same obstacles.
type inspector struct {
	cfg        Config
	inc        *incarnation
	complaints *complaints
}

func newInspector(cfg Config) (*inspector, error) {
	c := &complaints{}
	inc, err := newIncarnation(cfg, "", defaultBatchBytes, slog.New(c), c.note)
	if err != nil {
		return nil, err
	}
	return &inspector{cfg: cfg, inc: inc, complaints: c}, nil
}

// reach waits until a broker answers. It gives up early if none can.
func (in *inspector) reach(ctx context.Context) *preflight.Unreachable {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	for {
		// One that is connected already is asked before anything is given up.
		_, err := in.inc.metadata(false, reachStep)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil || in.complaints.down():
			return in.complaints.obstacle(err)
		}
	}
}

// ask calls Kafka with a time limit of its own.
func (in *inspector) ask(ctx context.Context, question func(context.Context, *kafka.AdminClient) error) error {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	return in.inc.use(func(admin *kafka.AdminClient) error { return question(ctx, admin) })
}

// NotAllowed reports whether Kafka refused for want of a permission.
func NotAllowed(err error) bool {
	code, ok := errorCode(err)
	if !ok {
		return false
	}
	switch code {
	case kafka.ErrTopicAuthorizationFailed, kafka.ErrClusterAuthorizationFailed, kafka.ErrTransactionalIDAuthorizationFailed:
		return true
	default:
		return false
	}
}

// reason is an error's text; a time-out is said in words.
func reason(err error) string {
	if code, _ := errorCode(err); code == kafka.ErrTimedOut || errors.Is(err, context.DeadlineExceeded) {
		return "no answer within " + inspectTimeout.String()
	}
	return err.Error()
}
