package preflight

import (
	"fmt"
	"time"
)

func (k kafka) transactions() Finding {
	t := *k.facts.Transactions
	f := Finding{Severity: Error, Check: "kafka.transactions", Subject: t.ID}
	switch t.Problem {
	case TransactionsWork:
		f.Severity, f.What = OK, "a transactional producer was initialised"
	case TransactionsNotAllowed:
		f.What = "this user may not use transactional ids of the gateway, so no event can be written: " + t.What
		f.Do = k.allow("Write", fmt.Sprintf("--transactional-id %s --resource-pattern-type prefixed", k.needs.TransactionalIDPrefix+"-"))
	case TransactionsTooLong:
		f.What = fmt.Sprintf("kafka.transaction_timeout is %s and the brokers take %s (transaction.max.timeout.ms), so no event can be written: %s",
			span(k.needs.TransactionTimeout), k.longestTransaction(), t.What)
		f.Do = "lower kafka.transaction_timeout, or raise transaction.max.timeout.ms of the brokers"
	default:
		f.What = "a transactional producer could not be initialised, so no event can be written: " + t.What
		f.Do = "see that the brokers can create and lead the partitions of __transaction_state: its replication (transaction.state.log.replication.factor, 3 by default) must not exceed the number of brokers"
	}
	return f
}

// longestTransaction is what the brokers allow, in words.
func (k kafka) longestTransaction() string {
	for _, b := range k.facts.Brokers {
		if most, known := b.Settings.Duration("transaction.max.timeout.ms", time.Millisecond); known {
			return "at most " + span(most)
		}
	}
	return "less"
}
