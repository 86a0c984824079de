package cli

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"eventgateway/internal/rate"
)

const (
	// logWindow is how long lines of one kind are counted together.
	logWindow = 10 * time.Second
	// maxLinesOfAddress bounds the lines with one message about one address in a window,
	// maxLinesOfMessage those with one message that name no address.
	maxLinesOfAddress = 20
	maxLinesOfMessage = 200
	// maxLogKinds bounds the memory for counting: beyond it all addresses count together.
	maxLogKinds = 4096
	// remoteKey is the attribute with the address that caused a line.
	remoteKey = "remote"
)

// sampledLog is a slog.Handler that leaves out lines, so that a stranger who calls as fast
// as it can does not fill the disk. For each message and address, the first lines of a
// window are written. When the window is over, a line says how many were left out.
type sampledLog struct {
	slog.Handler
	counts *logCounts
}

func newSampledLog(h slog.Handler) *sampledLog {
	return &sampledLog{h, &logCounts{kinds: map[logKind]*logCount{}, root: h}}
}

type logKind struct {
	message string
	from    netip.Prefix // invalid: no address
}

type logCounts struct {
	root slog.Handler

	mu    sync.Mutex
	kinds map[logKind]*logCount
}

type logCount struct {
	lines int
	level slog.Level // the highest of those that were left out
}

// Handle implements slog.Handler.
func (s *sampledLog) Handle(ctx context.Context, r slog.Record) error {
	if !s.counts.admit(&r) {
		return nil
	}
	return s.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (s *sampledLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &sampledLog{s.Handler.WithAttrs(attrs), s.counts}
}

// WithGroup implements slog.Handler.
func (s *sampledLog) WithGroup(name string) slog.Handler {
	return &sampledLog{s.Handler.WithGroup(name), s.counts}
}

func (c *logCounts) admit(r *slog.Record) bool {
	kind, most := logKind{message: r.Message}, maxLinesOfMessage
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == remoteKey {
			kind.from, most = subscriberOf(a.Value.String()), maxLinesOfAddress
		}
		return a.Key != remoteKey
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	count, ok := c.kinds[kind]
	if !ok {
		if len(c.kinds) >= maxLogKinds {
			kind.from = netip.Prefix{}
			count, ok = c.kinds[kind]
		}
		if !ok {
			count = &logCount{}
			c.kinds[kind] = count
			time.AfterFunc(logWindow, func() { c.end(kind) })
		}
	}
	count.lines++
	if count.lines <= most {
		return true
	}
	count.level = max(count.level, r.Level)
	return false
}

// end ends a window, and says what was left out.
func (c *logCounts) end(kind logKind) {
	c.mu.Lock()
	count := c.kinds[kind]
	delete(c.kinds, kind)
	c.mu.Unlock()
	most := maxLinesOfMessage
	if kind.from.IsValid() {
		most = maxLinesOfAddress
	}
	if count.lines <= most {
		return
	}
	logger := slog.New(c.root).With("message", kind.message, "lines", count.lines-most, "window", logWindow.String())
	if kind.from.IsValid() {
		logger = logger.With(remoteKey, kind.from.String())
	}
	logger.Log(context.Background(), count.level, "log lines were left out")
}

// subscriberOf is what an address is counted under, with or without a port.
func subscriberOf(text string) netip.Prefix {
	address, err := netip.ParseAddr(text)
	if err != nil {
		port, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Prefix{}
		}
		address = port.Addr()
	}
	return rate.Subscriber(address)
}
