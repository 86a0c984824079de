package publish

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/preflight"
)

// complaints are what librdkafka reports beside its answers: errors by events,
// and, for connections that a broker ends, by lines of its log only. It is the
// log's handler.
type complaints struct {
	mu        sync.Mutex
	errors    []kafka.Error
	lastLine  string    // of the log, about a connection that failed
	downSince time.Time // when first no broker could be connected to
}

func (c *complaints) note(_ *incarnation, e kafka.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Code() != kafka.ErrAllBrokersDown {
		c.errors = append(c.errors, e)
	} else if c.downSince.IsZero() {
		c.downSince = time.Now()
	}
}

func (c *complaints) down() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.downSince.IsZero() && time.Since(c.downSince) > giveUpAfter
}

// obstacles ranks what librdkafka reports: who gets as far as a login has a
// connection, so a later obstacle says more than an earlier one.
var obstacles = map[kafka.ErrorCode]struct {
	obstacle preflight.Obstacle
	rank     int
}{
	kafka.ErrAuthentication:           {preflight.NoLogin, 4},
	kafka.ErrSaslAuthenticationFailed: {preflight.NoLogin, 4},
	kafka.ErrUnsupportedSaslMechanism: {preflight.NoLogin, 4},
	kafka.ErrSsl:                      {preflight.NoTLS, 3},
	kafka.ErrTransport:                {preflight.NoConnection, 2},
	kafka.ErrResolve:                  {preflight.NoSuchHost, 1},
}

// obstacle is the most telling complaint. last is said if there is none.
func (c *complaints) obstacle(last error) *preflight.Unreachable {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, best := &preflight.Unreachable{Obstacle: preflight.NoAnswer, What: last.Error()}, 0
	if c.lastLine != "" {
		found = &preflight.Unreachable{Obstacle: preflight.NoConnection, What: c.lastLine}
	}
	for _, e := range c.errors {
		if o, ok := obstacles[e.Code()]; ok && o.rank > best {
			found, best = &preflight.Unreachable{Obstacle: o.obstacle, What: e.Error()}, o.rank
		}
	}
	return found
}

// fatal is the error after which the producer writes nothing any more.
func (c *complaints) fatal() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.errors {
		if e.IsFatal() {
			return e.Error()
		}
	}
	return ""
}

// failTag is librdkafka's name for lines about connections that failed.
const failTag = "FAIL"

// Handle keeps the latest line about a connection that failed (pumpLogs).
func (c *complaints) Handle(_ context.Context, r slog.Record) error {
	var tag, text string
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "tag":
			tag = a.Value.String()
		case "text":
			text = a.Value.String()
		}
		return true
	})
	if tag == failTag {
		if _, behind, ok := strings.Cut(text, "]: "); ok && strings.HasPrefix(text, "[thrd:") {
			text = behind // the thread's name says nothing
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lastLine = text
	}
	return nil
}

// Enabled is part of [slog.Handler].
func (c *complaints) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs is part of [slog.Handler]; nothing here uses it.
func (c *complaints) WithAttrs([]slog.Attr) slog.Handler { return c }

// WithGroup is part of [slog.Handler]; nothing here uses it.
func (c *complaints) WithGroup(string) slog.Handler { return c }
