package ingest

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

// Config sets a Door's limits.
type Config struct {
	// PublicURL is the gateway's own address as callers see it, without a
	// trailing slash, or empty.
	PublicURL string
	// DeliveryTimeout bounds how long the log may take to acknowledge.
	DeliveryTimeout time.Duration
	// Lease is how long a claim is held before another attempt may take over.
	Lease time.Duration
	// ClaimTimeout bounds one round trip to the idempotency store.
	ClaimTimeout time.Duration
	// OnStoreFailure is the policy of types that name none.
	OnStoreFailure event.StoreFailurePolicy
	// OnStoreLoss is the policy while the store may have lost claims and is
	// being rebuilt from the log.
	OnStoreLoss event.StoreFailurePolicy
}

// Deps are what a Door works with.
type Deps struct {
	Catalog Catalog
	Claims  Claims
	Settler Settler
	Log     Log
	Metrics *Metrics
	Now     func() time.Time // nil: the wall clock
}

// Door accepts events. It is safe for concurrent use.
type Door struct {
	cfg     Config
	catalog Catalog
	claims  Claims
	settler Settler
	log     Log
	metrics *Metrics
	now     func() time.Time
	newID   func() string
	tokens  *tokens
}

// New returns a Door.
func New(cfg Config, deps Deps) *Door {
	now := deps.Now
	if now == nil {
		now = failpoint.Now
	}
	return &Door{
		cfg:     cfg,
		catalog: deps.Catalog, claims: deps.Claims, settler: deps.Settler, log: deps.Log,
		metrics: deps.Metrics,
		now:     now, newID: randomID, tokens: newTokens(),
	}
}

// Accept takes one event through the door and returns when its fate is known,
// or known to be unknown. Errors are *event.Error.
func (d *Door) Accept(ctx context.Context, req Request) (Result, error) {
	checked, err := d.check(&req)
	return d.enter(ctx, &req, checked, err)
}

// check validates, times it, and finds the key where the request says it is.
func (d *Door) check(req *Request) (event.Checked, error) {
	start := d.now()
	checked, err := d.catalog.Check(req.Type, req.Version, req.Data)
	if req.Key != nil && checked.Definition != nil && (err == nil || kindOf(err) == event.KeyMissing) {
		checked.Key, err = d.catalog.Key(req.Key.Pointers, req.Data)
	}
	d.metrics.parse.Observe(d.now().Sub(start).Seconds())
	if req.Fault != nil {
		err = req.Fault
	}
	return checked, err
}

// enter takes a checked event on, and counts what becomes of it.
func (d *Door) enter(ctx context.Context, req *Request, checked event.Checked, invalid error) (Result, error) {
	if invalid != nil && keepable(invalid) && req.DeadLetter != nil {
		return d.keep(ctx, req, invalid)
	}
	if invalid != nil {
		result, err := d.refuseInvalid(ctx, req, invalid)
		return result, d.count(label(checked), err)
	}
	result, err := d.accept(ctx, req, checked)
	return d.tell(checked, result, err)
}

// tell counts what became of a valid event, and passes it on.
func (d *Door) tell(checked event.Checked, result Result, err error) (Result, error) {
	if err != nil {
		return Result{}, d.count(label(checked), err)
	}
	d.metrics.accepted(label(checked), result)
	return result, nil
}

// label is the event type for metrics: only one that there is.
func label(checked event.Checked) string {
	if checked.Definition == nil {
		return ""
	}
	return checked.Definition.Type
}

func (d *Door) accept(ctx context.Context, req *Request, checked event.Checked) (Result, error) {
	if !req.Identity.IsZero() {
		return d.acceptOnce(ctx, req, checked)
	}
	if checked.Definition.IdempotencyRequired {
		return Result{}, event.Refuse(event.IdempotencyKeyMissing,
			"Events of type %s need an Idempotency-Key header (or a ce-id), so that a retry cannot publish twice. Choose one value per event and send the same one with every retry.", req.Type)
	}
	place, err := d.log.Place(checked.Definition.Topic, keyBytes(checked.Key), rand.Uint64()) //nolint:gosec // spreads load, guards nothing
	if err != nil {
		return Result{}, err
	}
	receipt, err := d.publish(ctx, d.record(req, checked, place, nil, d.now()))
	if err != nil {
		return Result{}, err
	}
	return Result{Receipt: receipt}, nil
}

// publish writes the record and times it.
func (d *Door) publish(ctx context.Context, r event.Record) (event.Receipt, error) {
	at, err := d.log.Publish(ctx, r)
	return d.published(r, at, err)
}

// published is the receipt of a record that was acknowledged, and times it.
func (d *Door) published(r event.Record, at event.Position, err error) (event.Receipt, error) {
	d.metrics.publish.Observe(d.now().Sub(r.Timestamp).Seconds())
	if err != nil {
		return event.Receipt{}, err
	}
	return event.ReceiptOf(r, at), nil
}

// record makes the Kafka record of a checked event that is published now.
func (d *Door) record(req *Request, checked event.Checked, place event.Placement, claim *event.Claim, now time.Time) event.Record {
	var id event.ClaimID
	if claim != nil {
		id = claim.ID
	} else if !req.Identity.IsZero() { // published without deduplication
		id = req.Identity.ClaimID(req.Client)
	}
	def := checked.Definition
	attributes, dataSchema := d.attributes(req, id, now), d.dataSchema(def)
	contentType := cmp.Or(req.ContentType, req.MediaType)
	record := event.Record{
		Placement: place,
		Key:       keyBytes(checked.Key),
		Value:     req.Data,
		Headers:   event.NewHeaders(def, attributes, contentType, dataSchema, claim),
		Timestamp: now,
	}
	if def.Structured {
		record.Value = event.Structured(def, attributes, contentType, dataSchema, req.Data)
	}
	if req.DeadLetter != nil && def.Topic == req.DeadLetter.Topic {
		record.Headers = append(record.Headers, req.DeadLetter.Headers...)
	}
	return record
}

func keyBytes(key *string) []byte {
	if key == nil {
		return nil
	}
	return []byte(*key)
}

// invalidLookTimeout bounds how long a refusal waits for the store: most invalid
// events never were valid.
const invalidLookTimeout = 500 * time.Millisecond

// refuseInvalid answers an event that does not validate. If it is keyed and
// was written before its schema changed, the retry gets its receipt.
func (d *Door) refuseInvalid(ctx context.Context, req *Request, invalid error) (Result, error) {
	if req.Identity.IsZero() || !mayHaveBeenValid(invalid) {
		return Result{}, invalid
	}
	ctx, cancel := context.WithTimeout(ctx, min(d.cfg.ClaimTimeout, invalidLookTimeout))
	defer cancel()
	standing, err := d.claims.Look(ctx, req.Identity.ClaimID(req.Client), fingerprint(req))
	if err != nil || standing.State != event.Settled {
		return Result{}, invalid
	}
	result := Result{Receipt: standing.Receipt, Replayed: true}
	d.metrics.accepted(req.Type, result)
	return result, nil
}

// mayHaveBeenValid reports whether a change of schemas can explain the error.
func mayHaveBeenValid(err error) bool {
	switch kindOf(err) {
	case event.SchemaViolation, event.KeyMissing, event.UnknownEventType:
		return true
	}
	return false
}

// kindOf is the kind of an *event.Error, and empty for every other error.
func kindOf(err error) event.Kind {
	var e *event.Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Kind
}

// fingerprint is what a retry must repeat. A webhook's provider repeats only its
// delivery's id: the body may count attempts, or come in other company.
func fingerprint(req *Request) event.Fingerprint {
	if req.Identity.Kind == event.IdentityWebhook {
		return event.NewFingerprint("", "", "", nil)
	}
	return event.NewFingerprint(req.Type, req.Version, req.MediaType, req.Data)
}

// count counts a refusal and passes it on.
func (d *Door) count(eventType string, err error) error {
	if err == nil {
		return nil
	}
	var e *event.Error
	if !errors.As(err, &e) {
		e = event.Failure(err)
		err = e
	}
	d.metrics.refused(eventType, e)
	return err
}
