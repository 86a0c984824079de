package idempotency

import (
	"context"
	"errors"
	"fmt"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
)

// Generations is the registry of gateways and generations in Kafka.
type Generations interface {
	// Self is the id of this process.
	Self() string
	// Confirmed is the newest generation that this process has read, and the latest time (by failpoint.Now, with a monotonic clock) of which it is known that no newer one had been
	// raised: the time before the last renewal of its registration was sent that was acknowledged and behind which the topic was read. A zero time: never yet.
	Confirmed() (event.Generation, time.Time)
	// Err says why nothing is confirmed at present; nil if that is not known, or not so.
	Err() error
	// Changed receives, coalesced, when another generation was read.
	Changed() <-chan struct{}
	// Raise writes the generation after the newest one, and then reads the topic to its end: who is registered then, this process included.
	Raise(ctx context.Context) (event.Generation, []event.Gateway, error)
	// Next is the generation that followed number. False: none, or it is no longer known.
	Next(number uint64) (event.Generation, bool)
	// Registered reads the topic to its end: who is registered.
	Registered(ctx context.Context) ([]event.Gateway, error)
	// Forget deletes registrations of processes that are over.
	Forget(ctx context.Context, ids []string) error
}

const (
	// confirmSlack is what publishing needs beside the delivery timeout: see internal/ingest.
	confirmSlack = 1500 * time.Millisecond
	// renewalParts is how often a registration is renewed in a lease.
	renewalParts = 6
	// clockDifference is the largest between two gateways, the assumption of docs/guarantees.md.
	clockDifference = time.Minute
	// confirmedWithin bounds how long a command waits for Kafka's word on generations.
	confirmedWithin = 30 * time.Second
	confirmedPoll   = 20 * time.Millisecond
)

// silence is how long after its last confirmation of a generation a gateway may still have
// records in flight under it: a lease, and a little more where two renewals of the
// registration would leave no time for a delivery.
func (c Config) silence() time.Duration {
	return max(c.Lease, c.DeliveryTimeout+confirmSlack+2*c.Lease/renewalParts)
}

// confirmedFor is how long after it a claim may still be asked for.
func (c Config) confirmedFor() time.Duration {
	return c.silence() - c.DeliveryTimeout - confirmSlack
}

var errNotConfirmed = errors.New("kafka has not confirmed this gateway's registration lately: it does not know whether its claims still count")

// membership is what this process knows of generations.
type membership struct {
	cfg       Config
	gens      Generations // nil: nobody counts generations, and each rebuild waits a lease
	unsettled *unsettledClaims
}

// measured reports whether generations are counted.
func (m *membership) measured() bool { return m.gens != nil }

// number is the newest generation that this process knows, 0 if there are none.
func (m *membership) number() uint64 {
	if m.gens == nil {
		return 0
	}
	g, at := m.gens.Confirmed()
	if at.IsZero() {
		return 0
	}
	m.unsettled.enter(g.Number)
	return g.Number
}

// known reports whether the generation was read after this process was registered.
func (m *membership) known() bool {
	if m.gens == nil {
		return true
	}
	_, at := m.gens.Confirmed()
	return !at.IsZero()
}

// await waits until the generation is known.
func (m *membership) await(ctx context.Context) error {
	limit, cancel := context.WithTimeout(ctx, confirmedWithin)
	defer cancel()
	if !backoff.Poll(limit, confirmedPoll, m.known) {
		return fmt.Errorf("read the generation of the claims in kafka: %w", limit.Err())
	}
	return nil
}

// current is the generation for a claim, and until when records may be in flight under
// it. A zero time sets no limit. An error is an *event.Unconfirmed.
func (m *membership) current(now time.Time) (number uint64, until time.Time, err error) {
	if m.gens == nil {
		return 0, time.Time{}, nil
	}
	g, at := m.gens.Confirmed()
	if at.IsZero() || now.Sub(at) > m.cfg.confirmedFor() {
		return 0, time.Time{}, &event.Unconfirmed{Cause: errNotConfirmed}
	}
	return g.Number, at.Add(m.cfg.silence()), nil
}

// trouble says why no claims are made because of Kafka; nil if they are.
func (m *membership) trouble(now time.Time) error {
	_, _, err := m.current(now)
	if err == nil {
		return nil
	}
	if cause := m.gens.Err(); cause != nil {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}
