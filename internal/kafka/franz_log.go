package kafka

import (
	"context"
	"log/slog"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// FranzLogger passes franz-go's log lines on, as [ForwardLogs] does with librdkafka's.
// An error becomes a warning: franz-go tries again, and what callers see is logged
// where it happens. Everything else is for debugging, but for the warnings that only an
// operator can do something about.
func FranzLogger(logger *slog.Logger) kgo.Logger { return franzLogger{logger} }

type franzLogger struct{ logger *slog.Logger }

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
	if l.logger.Enabled(context.Background(), to) {
		l.logger.Log(context.Background(), to, "franz-go", "text", text, slog.Group("detail", pairs...))
	}
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
