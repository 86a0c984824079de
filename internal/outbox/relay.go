package outbox

import (
	"context"
	"log/slog"
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
	// acceptGap lets messages be lost together with their slot.
	acceptGap bool
	// rescan makes the next session read the table before the write-ahead log.
	rescan bool
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

// AcceptGap makes the relay go on when messages of the write-ahead log may be lost, because
// their slot is. Without it the relay fails then. It is called before Run.
func (r *Relay) AcceptGap() { r.acceptGap = true }

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
		r.status.set(failing, err)
		r.metrics.sessions.WithLabelValues(r.cfg.Name, "failed").Inc()
		r.logger.Warn("the outbox relay failed and starts again", "outbox", r.cfg.Name, "error", err)
		if time.Since(begun) > steadyAfter {
			pauses.Reset()
		}
		r.pause(ctx, pauses.Next())
	}
	r.status.set(stopped, nil)
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
