package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/kafka"
)

const (
	// copyTransactionTimeout is when Kafka aborts a transaction whose process has died, up to
	// 10 s later. Until then it hides what others have written to the topic of the notes
	// behind it. copyTimeout bounds what a Copier does at a time.
	copyTransactionTimeout = 15 * time.Second
	copyTimeout            = 30 * time.Second
	copyCloseTimeout       = 5 * time.Second
)

// Copier writes records that others have written once more, with notes of it, in
// transactions of one transactional id: whoever reads committed records sees the copies of a
// transaction with their notes, or nothing. It always uses franz-go. It is for one goroutine.
type Copier struct {
	cfg    Config
	id     string
	logger *slog.Logger

	client  *kgo.Client // nil: Begin has to be called
	hooks   *txBrokers
	largest sync.Map // batch by topic, in bytes; franz-go asks when it learns of a topic
	spent   bool     // the client is not used for another transaction
}

// TakenOverError says that another producer with the same transactional id has begun.
type TakenOverError struct{ err error }

func (e *TakenOverError) Error() string {
	return "another producer with the same transactional id has begun: " + e.err.Error()
}

// Unwrap returns Kafka's error.
func (e *TakenOverError) Unwrap() error { return e.err }

// Permanent reports whether an error of a Copier is the same with every try, until somebody
// changes a topic, a permission or the record.
func Permanent(err error) bool {
	for _, one := range [...]error{
		kerr.UnknownTopicOrPartition, kerr.InvalidTopicException, kerr.TopicAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed,
		kerr.ClusterAuthorizationFailed, kerr.SaslAuthenticationFailed, kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.PolicyViolation,
	} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// NewCopier returns a Copier that must be closed. It connects in Begin. The id must be one's
// own: two Copiers with one id end each other.
func NewCopier(cfg Config, transactionalID string, logger *slog.Logger) *Copier {
	return &Copier{cfg: cfg, id: transactionalID, logger: logger}
}

// Begin makes sure that no earlier Copier with this id commits anything any more: what it had
// begun is aborted, or committed, when Begin returns. It is also called after an error.
func (c *Copier) Begin(ctx context.Context) error {
	c.Close()
	connection, missing, err := c.cfg.connection().FranzOptions()
	if err != nil {
		return fmt.Errorf("create kafka producer: %w", err)
	}
	if len(missing) > 0 {
		return fmt.Errorf("copying records needs a connection that franz-go can express: kafka.properties.%s: %s", missing[0].Name, missing[0].Reason)
	}
	ctx, cancel := context.WithTimeout(ctx, copyTimeout)
	defer cancel()
	c.hooks = &txBrokers{franzBrokers: newFranzBrokers(copyTimeout, func(error) {})}
	c.client, err = kgo.NewClient(append(connection[:len(connection):len(connection)],
		kgo.TransactionalID(c.id), kgo.TransactionTimeout(copyTransactionTimeout),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(copyPartitioner)),
		kgo.ProducerBatchMaxBytesFn(c.largestBatch), kgo.ProducerLinger(0),
		kgo.WithHooks(c.hooks), kgo.WithLogger(kafka.FranzLogger(c.logger)),
	)...)
	if err != nil {
		return fmt.Errorf("create kafka producer: %w", err)
	}
	id, _, err := c.client.ProducerID(ctx)
	if err == nil && id < 0 {
		err = errNoTxnEpoch
	}
	if err != nil {
		c.Close()
		return c.explain("initialise transactions", err)
	}
	c.spent = false
	return nil
}

// copyPartitioner keeps a partition that is given, and chooses others as the gateway does.
func copyPartitioner(string) func(*kgo.Record, int) int {
	return func(r *kgo.Record, n int) int {
		switch {
		case r.Partition >= 0 && int(r.Partition) < n:
			return int(r.Partition)
		case r.Key != nil:
			return int(partitionOf(r.Key, int32(n))) //nolint:gosec // partitions are few
		}
		return rand.IntN(n) //nolint:gosec // spreads load, guards nothing
	}
}

func (c *Copier) largestBatch(topic string) int32 {
	if size, ok := c.largest.Load(topic); ok {
		return size.(int32) //nolint:forcetypeassert // it holds nothing else
	}
	return defaultTopicBytes
}

// Commit writes copies, then what notes returns when their places are set, in one
// transaction. nil means that Kafka has committed all. After an error, Begin tells: what is
// there then, stays.
func (c *Copier) Commit(ctx context.Context, copies []*kafka.Record, notes func() []*kafka.Record) error {
	if c.client == nil || c.spent {
		if err := c.Begin(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, copyTimeout)
	defer cancel()
	begun := time.Now()
	err := c.commit(ctx, copies, notes)
	if err != nil {
		c.abandon()
	}
	var taken *TakenOverError
	if errors.As(err, &taken) && time.Since(begun) >= copyTransactionTimeout {
		return fmt.Errorf("a transaction took too long, and kafka has aborted it: %w", taken.err)
	}
	return err
}

func (c *Copier) commit(ctx context.Context, copies []*kafka.Record, notes func() []*kafka.Record) error {
	if err := c.learn(ctx, copies); err != nil {
		return err
	}
	begun, err := c.epoch(ctx)
	if err != nil {
		return c.explain("begin a transaction", err)
	}
	if err := c.client.BeginTransaction(); err != nil {
		return c.explain("begin a transaction", err)
	}
	for _, records := range []func() []*kafka.Record{func() []*kafka.Record { return copies }, notes} {
		list := records()
		if len(list) == 0 {
			continue
		}
		if err := c.client.ProduceSync(ctx, list...).FirstErr(); err != nil {
			return c.explain("write to "+list[0].Topic, err)
		}
	}
	// The rules that franzTx keeps hold here, too: see there.
	now, err := c.epoch(ctx)
	if err == nil && now != begun {
		err = errNewEpoch
	}
	if err != nil {
		return c.explain("commit a transaction", err)
	}
	ends, answers := c.hooks.ends.Load(), c.hooks.answers.Load()
	if err := c.client.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return c.explain("commit a transaction", err)
	}
	ends, answers = c.hooks.ends.Load()-ends, c.hooks.answers.Load()-answers
	if answers == 0 {
		return errNotEnded
	}
	c.spent = ends > answers
	return nil
}

func (c *Copier) epoch(ctx context.Context) (producerEpoch, error) {
	id, epoch, err := c.client.ProducerID(ctx)
	return producerEpoch{id, epoch}, err
}

// learn asks how large batches the topics take.
func (c *Copier) learn(ctx context.Context, records []*kafka.Record) error {
	var missing []string
	for _, r := range records {
		if _, ok := c.largest.LoadOrStore(r.Topic, int32(defaultTopicBytes)); !ok {
			missing = append(missing, r.Topic)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	all, err := kadm.NewClient(c.client).DescribeTopicConfigs(ctx, missing...)
	if err != nil {
		for _, topic := range missing {
			c.largest.Delete(topic)
		}
		return fmt.Errorf("ask kafka for max.message.bytes: %w", err)
	}
	for _, topic := range all {
		for _, s := range topic.Configs {
			if s.Key != "max.message.bytes" {
				continue
			}
			if size, err := strconv.ParseInt(s.MaybeValue(), 10, 32); err == nil && size > 0 {
				c.largest.Store(topic.Name, int32(size))
			}
		}
	}
	return nil
}

func (c *Copier) explain(what string, err error) error {
	if errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch) || errors.Is(err, kerr.TransactionalIDNotFound) {
		return fmt.Errorf("%s: %w", what, &TakenOverError{err})
	}
	return fmt.Errorf("%s: %w", what, err)
}

// abandon aborts what is open, if Kafka answers soon, and ends the client.
func (c *Copier) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), copyCloseTimeout)
	defer cancel()
	if c.client != nil {
		_ = c.client.AbortBufferedRecords(ctx)
		_ = c.client.EndTransaction(ctx, kgo.TryAbort) // else Begin does it, or Kafka after its timeout
	}
	c.Close()
}

// Close ends the connections. A transaction that is open is aborted by Kafka.
func (c *Copier) Close() {
	if c.client != nil {
		c.client.Close()
		c.client = nil
	}
}
