package publish

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/preflight"
)

// errorRecorder are what librdkafka reports beside its answers: errors by events,
// and, for connections that a broker ends, by lines of its log only. It is the
// log's handler.
type errorRecorder struct {
	mu        sync.Mutex
	errors    []librdkafka.Error
	lastLine  string    // of the log, about a connection that failed
	downSince time.Time // when first no broker could be connected to
}

func (c *errorRecorder) record(_ *incarnation, e librdkafka.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Code() != librdkafka.ErrAllBrokersDown {
		c.errors = append(c.errors, e)
	} else if c.downSince.IsZero() {
		c.downSince = time.Now()
	}
}

func (c *errorRecorder) down() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.downSince.IsZero() && time.Since(c.downSince) > unreachableAfter
}

// obstacles ranks what librdkafka reports: who gets as far as a login has a
// connection, so a later obstacle says more than an earlier one.
var obstacles = map[librdkafka.ErrorCode]struct {
	obstacle preflight.Obstacle
	rank     int
}{
	librdkafka.ErrAuthentication:           {preflight.NoLogin, 4},
	librdkafka.ErrSaslAuthenticationFailed: {preflight.NoLogin, 4},
	librdkafka.ErrUnsupportedSaslMechanism: {preflight.NoLogin, 4},
	librdkafka.ErrSsl:                      {preflight.NoTLS, 3},
	librdkafka.ErrTransport:                {preflight.NoConnection, 2},
	librdkafka.ErrResolve:                  {preflight.NoSuchHost, 1},
}

// obstacle is the most telling complaint. last is said if there is none.
func (c *errorRecorder) obstacle(last error) *preflight.Unreachable {
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
func (c *errorRecorder) fatal() string {
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
func (c *errorRecorder) Handle(_ context.Context, r slog.Record) error {
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
func (c *errorRecorder) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs is part of [slog.Handler]; nothing here uses it.
func (c *errorRecorder) WithAttrs([]slog.Attr) slog.Handler { return c }

// WithGroup is part of [slog.Handler]; nothing here uses it.
func (c *errorRecorder) WithGroup(string) slog.Handler { return c }
