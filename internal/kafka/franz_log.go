package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// FranzLogger passes franz-go's log lines on, as [ForwardLogs] does with librdkafka's.
// An error becomes a warning: franz-go tries again, and what callers see is logged
// where it happens. Everything else is for debugging, but for the warnings that only an
// operator can do something about, of which the same is logged once in ten seconds:
// franz-go repeats them with each try, for each of the gateway's clients.
func FranzLogger(logger *slog.Logger) kgo.Logger {
	return franzLogger{logger, &repeats{now: time.Now, seen: map[string]*repeated{}}}
}

type franzLogger struct {
	logger  *slog.Logger
	repeats *repeats
}

// Level keeps franz-go from building lines that nobody reads.
func (l franzLogger) Level() kgo.LogLevel {
	if l.logger.Enabled(context.Background(), slog.LevelDebug) {
		return kgo.LogLevelDebug
	}
	return kgo.LogLevelWarn
}

func (l franzLogger) Log(level kgo.LogLevel, text string, pairs ...any) {
	to := slog.LevelDebug
	if level == kgo.LogLevelError || level == kgo.LogLevelWarn && forOperators(text) {
		to = slog.LevelWarn
	}
	if !l.logger.Enabled(context.Background(), to) {
		return
	}
	attrs := []any{"text", text, slog.Group("detail", pairs...)}
	if to == slog.LevelWarn {
		left, log := l.repeats.note(text + about(pairs))
		if !log {
			return
		}
		if left > 0 {
			attrs = append(attrs, "left_out", left)
		}
	}
	l.logger.Log(context.Background(), to, "franz-go", attrs...)
}

// about is the broker that a line is about, if any.
func about(pairs []any) string {
	for i := 0; i+1 < len(pairs); i += 2 {
		if name, ok := pairs[i].(string); ok && (name == "addr" || name == "broker") {
			return fmt.Sprint(" ", pairs[i+1])
		}
	}
	return ""
}

// repeats bounds how often the same line is logged.
type repeats struct {
	now  func() time.Time
	mu   sync.Mutex
	seen map[string]*repeated
}

type repeated struct {
	at   time.Time // of the last that was logged
	left int       // those left out since
}

const (
	repeatInterval = 10 * time.Second
	// repeatsKept bounds the memory: there are few texts and brokers.
	repeatsKept = 1000
)

// note reports whether a line is to be logged, and how many were left out before it.
func (r *repeats) note(line string) (left int, log bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	before, ok := r.seen[line]
	switch {
	case !ok && len(r.seen) >= repeatsKept:
		clear(r.seen)
		fallthrough
	case !ok:
		r.seen[line] = &repeated{at: now}
		return 0, true
	case now.Sub(before.at) < repeatInterval:
		before.left++
		return 0, false
	}
	left = before.left
	*before = repeated{at: now}
	return left, true
}

// operatorWarnings begin franz-go's warnings about something that its retries do not
// cure: brokers that cannot be reached or that speak TLS or SASL otherwise, and topics
// that were made anew. franz-go has no codes for its lines.
var operatorWarnings = []string{
	"unable to open connection to broker",
	"read from broker received EOF during api versions discovery",
	"read from broker errored, killing connection after 0 successful responses",
	"broker rejected our connection with REBOOTSTRAP_REQUIRED",
	"metadata has a new ID for a topic we already hold",
}

func forOperators(text string) bool {
	for _, beginning := range operatorWarnings {
		if strings.HasPrefix(text, beginning) {
			return true
		}
	}
	return false
}
