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

// errorRecorder keeps what librdkafka reports beside its answers. Most errors come as
// events, but connections that a broker ends only as log lines, so the recorder is
// also the log's handler.
type errorRecorder struct {
	mu        sync.Mutex
	errors    []librdkafka.Error
	lastLine  string    // of the log, about a failed connection
	downSince time.Time // since when no broker could be connected to
}

func (r *errorRecorder) record(e librdkafka.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Code() != librdkafka.ErrAllBrokersDown {
		r.errors = append(r.errors, e)
	} else if r.downSince.IsZero() {
		r.downSince = time.Now()
	}
}

func (r *errorRecorder) down() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.downSince.IsZero() && time.Since(r.downSince) > unreachableAfter
}

// obstacles ranks what librdkafka reports: a client that gets as far as a login has a
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

// obstacle is the error with the highest rank, or last if none has one.
func (r *errorRecorder) obstacle(last error) *preflight.Unreachable {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, best := &preflight.Unreachable{Obstacle: preflight.NoAnswer, What: last.Error()}, 0
	if r.lastLine != "" {
		found = &preflight.Unreachable{Obstacle: preflight.NoConnection, What: r.lastLine}
	}
	for _, e := range r.errors {
		if o, ok := obstacles[e.Code()]; ok && o.rank > best {
			found, best = &preflight.Unreachable{Obstacle: o.obstacle, What: e.Error()}, o.rank
		}
	}
	return found
}

// fatal is the text of the error that stopped the producer for good, "" if none did.
func (r *errorRecorder) fatal() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.errors {
		if e.IsFatal() {
			return e.Error()
		}
	}
	return ""
}

// failTag is librdkafka's name for lines about connections that failed.
const failTag = "FAIL"

// Handle keeps the latest line about a connection that failed (kafka.ForwardLogs).
func (r *errorRecorder) Handle(_ context.Context, line slog.Record) error {
	var tag, text string
	line.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "tag":
			tag = a.Value.String()
		case "text":
			text = a.Value.String()
		}
		return true
	})
	if tag == failTag {
		if _, message, ok := strings.Cut(text, "]: "); ok && strings.HasPrefix(text, "[thrd:") {
			text = message // without the thread's name
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.lastLine = text
	}
	return nil
}

// Enabled is part of [slog.Handler].
func (r *errorRecorder) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs is part of [slog.Handler]; nothing here uses it.
func (r *errorRecorder) WithAttrs([]slog.Attr) slog.Handler { return r }

// WithGroup is part of [slog.Handler]; nothing here uses it.
func (r *errorRecorder) WithGroup(string) slog.Handler { return r }
