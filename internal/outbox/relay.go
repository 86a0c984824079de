package outbox

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"eventgateway/internal/backoff"
)

// Deps are what a Relay works with.
type Deps struct {
	Door    Door
	Claims  Claims
	Log     Log
	Logger  *slog.Logger
	Metrics *Metrics
	Now     func() time.Time // nil: the wall clock
}

// Relay publishes the rows of one outbox. Of several relays of an outbox one is active.
type Relay struct {
	cfg     *Config
	door    Door
	claims  Claims
	log     Log
	logger  *slog.Logger
	metrics *Metrics
	now     func() time.Time
	status  *status
}

// New returns a Relay.
func New(cfg Config, deps Deps) *Relay {
	now := deps.Now
	if now == nil {
		now = time.Now
	}
	return &Relay{
		cfg: &cfg, door: deps.Door, claims: deps.Claims, log: deps.Log, logger: deps.Logger, metrics: deps.Metrics, now: now,
		status: newStatus(cfg.Name, deps.Metrics),
	}
}

const (
	// A session that failed is followed by another one after a pause that doubles from the
	// one to the other.
	firstReconnect, longestReconnect = 200 * time.Millisecond, 5 * time.Second
	// steadyAfter is how long a session lasts after which the next pause is a short one.
	steadyAfter = 10 * time.Second
)

// Run relays until ctx ends. Whatever fails, it tries again.
func (r *Relay) Run(ctx context.Context) {
	pauses := backoff.NewExponential(firstReconnect, longestReconnect)
	for ctx.Err() == nil {
		begun := time.Now()
		err := r.session(ctx)
		if ctx.Err() != nil {
			break
		}
		err = explained(err, r.cfg)
		r.status.set(Failing, err)
		r.metrics.sessions.WithLabelValues(r.cfg.Name, "failed").Inc()
		r.logger.Warn("the outbox relay failed and starts again", "outbox", r.cfg.Name, "error", err)
		if time.Since(begun) > steadyAfter {
			pauses.Reset()
		}
		r.pause(ctx, pauses.Next())
	}
	r.status.set(Stopped, nil)
}

func (r *Relay) session(ctx context.Context) error {
	s, err := r.lead(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	return s.run(ctx)
}

func (*Relay) pause(ctx context.Context, d time.Duration) bool { return backoff.Sleep(ctx, d) }

func (c *Config) listenDSN() string {
	if c.ListenDSN != "" {
		return c.ListenDSN
	}
	return c.DSN
}

// Role is what a relay does now.
type Role string

// The roles.
const (
	Starting Role = "starting"
	Standby  Role = "standby"
	Active   Role = "active"
	Failing  Role = "failing"
	Stopped  Role = "stopped"
)

// status is what others may know of a relay.
type status struct {
	name    string
	metrics *Metrics
	mu      sync.Mutex
	role    Role
	err     error
}

func newStatus(name string, m *Metrics) *status {
	s := &status{name: name, metrics: m}
	s.set(Starting, nil)
	return s
}

func (s *status) set(role Role, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.role, s.err = role, err
	active := 0.0
	if role == Active {
		active = 1
	}
	s.metrics.active.WithLabelValues(s.name).Set(active)
}

// Role returns what the relay does now and, if it is failing, why.
func (r *Relay) Role() (Role, error) {
	r.status.mu.Lock()
	defer r.status.mu.Unlock()
	return r.status.role, r.status.err
}
