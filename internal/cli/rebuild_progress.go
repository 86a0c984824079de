package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"eventgateway/internal/idempotency"
)

const (
	// barInterval is the least time between two states of the bar, lineInterval between two
	// lines where there is no terminal.
	barInterval  = 200 * time.Millisecond
	lineInterval = 5 * time.Second
	barWidth     = 24
)

// isTerminal says whether a person sees what is written, as it is.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progressLine is one bar that moves on a terminal, else a line now and then.
type progressLine struct {
	out   io.Writer
	bar   bool
	drawn bool // the bar is there
	now   func() time.Time
	shown time.Time
}

func newProgressLine(out io.Writer, bar bool) progressLine {
	return progressLine{out: out, bar: bar, now: time.Now}
}

// due reports whether it is time to show something again.
func (p *progressLine) due() bool {
	interval := lineInterval
	if p.bar {
		interval = barInterval
	}
	now := p.now()
	if !p.shown.IsZero() && now.Sub(p.shown) < interval {
		return false
	}
	p.shown = now
	return true
}

func (p *progressLine) write(text string) {
	if p.bar {
		fmt.Fprintf(p.out, "\r%s\x1b[K", text) // and clear to the end of the line
		p.drawn = true
		return
	}
	fmt.Fprintln(p.out, text)
}

// drawing is the bar before a text; nothing where there is no terminal.
func (p *progressLine) drawing(percent int) string {
	if !p.bar {
		return ""
	}
	full := barWidth * percent / 100
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "] "
}

// end leaves the bar as it is: what is written next begins a line.
func (p *progressLine) end() {
	if p.drawn {
		fmt.Fprintln(p.out)
		p.drawn = false
	}
}

// rebuildProgress shows how far a rebuild is.
type rebuildProgress struct {
	progressLine
	reading time.Time // when topics were first reported
	waiting string    // what was last said to wait
}

func newRebuildProgress(out io.Writer, bar bool) *rebuildProgress {
	return &rebuildProgress{progressLine: newProgressLine(out, bar)}
}

func (p *rebuildProgress) see(t idempotency.Tally) {
	now := p.now()
	if p.reading.IsZero() && len(t.Topics) > 0 {
		p.reading = now
	}
	if !p.due() {
		return
	}
	text := fmt.Sprintf("waited %.1f s: earlier attempts can no longer write", t.Waited.Seconds())
	if !p.reading.IsZero() {
		progress := t.Progress(now.Sub(p.reading))
		text = p.text(progress, t.Written)
		p.name(progress.Waiting)
	}
	p.write(text)
}

func (p *rebuildProgress) text(progress idempotency.Progress, written int64) string {
	text := fmt.Sprintf("%3d %%  %d of %d offsets, %d of %d topics, %d keys written, %.0f/s",
		progress.Percent(), progress.Read, progress.Total, progress.Done, progress.Topics, written, progress.Rate)
	if progress.Left > 0 {
		text += fmt.Sprintf(", about %v left", progress.Left)
	}
	return p.drawing(progress.Percent()) + text
}

// name says what cannot be read, whenever that changes.
func (p *rebuildProgress) name(waiting []string) {
	text := strings.Join(waiting, "; ")
	if text == p.waiting {
		return
	}
	p.waiting = text
	p.end()
	if text == "" {
		text = "nothing any more"
	}
	fmt.Fprintln(p.out, "waiting for:", text)
}
