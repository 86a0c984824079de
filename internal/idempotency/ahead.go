package idempotency

import (
	"log/slog"
	"time"

	"eventgateway/internal/failpoint"
)

// interrupted stands for the bucket in which an interrupted rebuild was found.
const interrupted = bucketCount

// aheadOfKafka is what Redis names of generations that are newer than any that this process has
// read. Usually it is about to read them. If Kafka confirms later that there is none as new,
// the registry of gateways was lost, or Kafka replaced: those generations do not exist, and
// nobody will ever be in them again.
type aheadOfKafka struct {
	seen [bucketCount + 1]struct {
		number uint64
		after  time.Time // it was read before
	}
	unknown uint64 // the highest that does not exist, of what the last check of the markers found
	told    uint64
}

// exceeds reports whether a generation that was just found does not exist.
func (a *aheadOfKafka) exceeds(where int, number uint64, m *membership) bool {
	one := &a.seen[where]
	if one.number != number {
		one.number, one.after = number, failpoint.Now()
		return false
	}
	newest, confirmed := m.gens.Confirmed()
	if newest.Number >= number || !confirmed.After(one.after) {
		return false
	}
	a.unknown = max(a.unknown, number)
	return true
}

// tell logs it once.
func (a *aheadOfKafka) tell(logger *slog.Logger) {
	if a.unknown <= a.told {
		return
	}
	a.told = a.unknown
	logger.Warn("redis names a generation of claims that kafka does not know: the topic of gateways was deleted, or kafka replaced; nothing that redis has is taken for complete, and the log is read for the whole window",
		"generation", a.unknown)
}
