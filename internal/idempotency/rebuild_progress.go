package idempotency

import (
	"context"
	"log/slog"
	"time"
)

// progressLines is how often a rebuild logs how far it is.
const progressLines = 15 * time.Second

// Progress is how far the reading of the log is, over all topics.
type Progress struct {
	Read, Total  int64 // offsets; Total grows until each topic's is known
	Topics, Done int
	Waiting      []string // what topics wait for
	Rate         float64  // offsets read per second so far
	// Left is the time that the rest takes at this rate, 0 if that is not known.
	Left time.Duration
}

// Progress sums up the tally's topics, which are being read since took.
func (t *Tally) Progress(took time.Duration) Progress { return t.progressSince(0, took) }

// progressSince is Progress of a reading that began took ago, when offsets had been read already.
func (t *Tally) progressSince(first int64, took time.Duration) Progress {
	p := Progress{Topics: len(t.Topics)}
	known := p.Topics > 0
	for _, topic := range t.Topics {
		p.Read += topic.Read
		p.Total += topic.Total
		p.Waiting = append(p.Waiting, topic.Waiting...)
		if topic.Done {
			p.Done++
		} else if topic.Total == 0 {
			known = false
		}
	}
	if took > 0 {
		p.Rate = float64(max(0, p.Read-first)) / took.Seconds()
	}
	if known && p.Rate > 0 {
		p.Left = time.Duration(float64(p.Total-p.Read) / p.Rate * float64(time.Second)).Round(time.Second)
	}
	return p
}

// progressLog logs how far a rebuild is. Calls are one after the other.
type progressLog struct {
	logger      *slog.Logger
	begun, last time.Time // begun: when topics were first reported
}

func (l *progressLog) see(ctx context.Context, t Tally, now time.Time) {
	switch {
	case len(t.Topics) == 0:
		return
	case l.begun.IsZero():
		l.begun, l.last = now, now
		return
	case now.Sub(l.last) < progressLines:
		return
	}
	l.last = now
	p := t.Progress(now.Sub(l.begun))
	l.logger.LogAttrs(ctx, slog.LevelInfo, "rebuilding the idempotency store",
		slog.Int("topics_done", p.Done), slog.Int("topics", p.Topics),
		slog.Int64("offsets_read", p.Read), slog.Int64("offsets", p.Total), slog.Float64("offsets_per_second", p.Rate),
		slog.Float64("seconds_left", p.Left.Seconds()), slog.Int64("records_written", t.Written))
}

// withLines returns progress, and logs what it is told as well.
func withLines(ctx context.Context, logger *slog.Logger, progress func(Tally)) func(Tally) {
	lines := &progressLog{logger: logger}
	return func(t Tally) {
		lines.see(ctx, t, time.Now())
		progress(t)
	}
}
