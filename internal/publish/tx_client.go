package publish

import (
	"context"
	"sync"
	"time"

	"eventgateway/internal/event"
)

// txClient is a Kafka producer with one transactional id, as a txProducer uses it. The
// two are *franzTx and *librdkafkaTx. All but queued, failed and close is called by one
// goroutine at a time.
type txClient interface {
	// initialise makes the id ready. When it returns nil, no earlier producer with the
	// same id can append or commit any more.
	initialise(ctx context.Context) error
	// prepare sets e's form for this client, which needs nothing of the caller's memory
	// that a client of this kind does not copy later.
	prepare(e *entry)
	// begin begins a transaction for entries. After an error nothing is begun.
	begin(ctx context.Context, entries []*entry) error
	// send hands e over to the transaction. Taken, its group gets one report of it, from
	// any goroutine; after close perhaps never. Neither taken nor refused, the
	// transaction has failed already.
	send(e *entry) (taken bool, refused *event.Error)
	// flush lets what was handed over be sent. It does not wait.
	flush()
	// commit returns nil only if all is committed that was acknowledged since begin. An
	// error leaves open whether it is, or will be.
	commit(ctx context.Context) error
	// pause is how long to wait after a commit before another transaction begins.
	pause() time.Duration
	// reusable reports whether another transaction may begin after a commit that
	// succeeded.
	reusable() bool
	// failed is closed when the client can do nothing more. A client whose reports tell
	// returns nil.
	failed() <-chan struct{}
	// queued is the number of records that wait for a report.
	queued() int
	// close ends the client: from its return on, nothing is sent.
	close()
}

// aborter is a txClient that cannot commit a transaction of which a record was refused.
type aborter interface {
	txClient
	// abort returns nil only if nothing of the transaction can be committed any more.
	abort(ctx context.Context) error
}

// txGroup gathers the reports of the entries of one transaction.
type txGroup struct {
	entries []*entry
	done    chan struct{} // closed when no report is missing

	mu      sync.Mutex
	missing int
	over    bool // what is reported from now on is not noted
}

func newTxGroup(entries []*entry) *txGroup {
	g := &txGroup{entries: entries, done: make(chan struct{}), missing: len(entries)}
	for _, e := range entries {
		e.state, e.group = deliveryState{}, g
	}
	return g
}

// report notes what a client says of e.
func (g *txGroup) report(e *entry, r report) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over || e.state.reported {
		return
	}
	e.state.report, e.state.reported = r, true
	g.countLocked()
}

// without notes that no report of one entry will come.
func (g *txGroup) without() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.countLocked()
}

func (g *txGroup) countLocked() {
	if g.missing--; g.missing == 0 {
		close(g.done)
	}
}

// end takes no more reports: from now on the entries' states are the caller's.
func (g *txGroup) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
}

// alone reports whether no other record of e's partition is in the group.
func (g *txGroup) alone(e *entry) bool {
	for _, other := range g.entries {
		if other != e && other.partition() == e.partition() {
			return false
		}
	}
	return true
}
