package ingest

import (
	"sync"
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
	// requests are those of Accept: an attempt points to its request, and one of its own
	// would be an allocation for each event.
	requests sync.Pool
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
		requests: sync.Pool{New: func() any { return new(Request) }},
	}
}
