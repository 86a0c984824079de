package publish

import (
	"context"
	"log/slog"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/preflight"
)

// checkID is behind the prefix in the transactional id that Inspect initialises.
// It is always the same one, so that Kafka keeps one line for it and no more; no
// gateway has it.
const checkID = "-check"

// tryTransactions initialises a transactional producer and closes it. Its
// coordinator, its permissions and its time-out are those of a gateway's.
func (in *inspector) tryTransactions(ctx context.Context) *preflight.TransactionFacts {
	facts := &preflight.TransactionFacts{ID: in.cfg.TransactionalIDPrefix + checkID}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	ear := &complaints{} // nothing but the call's own error is of interest
	inc, err := newIncarnation(in.cfg, facts.ID, defaultBatchBytes, slog.New(ear), ear.note)
	if err == nil {
		defer inc.close(0)
		err = inc.initialise(ctx)
	}
	if err == nil {
		return facts
	}
	facts.What = err.Error()
	code, _ := errorCode(err)
	switch {
	case NotAllowed(err):
		facts.Problem = preflight.TransactionsNotAllowed
	case code == kafka.ErrInvalidTransactionTimeout:
		facts.Problem = preflight.TransactionsTooLong
	default:
		facts.Problem = preflight.TransactionsFail
	}
	return facts
}
