package schema

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"eventgateway/internal/backoff"
	"eventgateway/internal/budget"
	"eventgateway/internal/event"
)

const (
	// defaultInterval lets two looks and the reload of a large folder fit into one
	// second.
	defaultInterval = 300 * time.Millisecond
	// restless is how many polls in a row may see yet another state before the
	// folder is read although it keeps changing.
	restless = 60
	// blindSpot is after how many polls the content is read although nothing
	// seems to have changed: a file that was rewritten within one tick of the file
	// system's clock, or behind a cache, keeps its fingerprint.
	blindSpot = 100
)

// Config says where the event types are.
type Config struct {
	Dir      string
	Watch    bool          // reload on change
	Interval time.Duration // between two looks at the folder, half as long after a change; 0 is 300 ms
	// OnChange, if set, is called by Run after each reload, with the set that
	// was in use until then and the new one, which is in use already. It is not
	// called for the set that New has loaded.
	OnChange func(before, after *Set)

	Budget     *budget.Budget // what checks may cost together; nil: no limit
	TokenLimit int            // tokens of one event's data; 0: no limit
}

func (c Config) bounds() bounds { return bounds{c.Budget, c.TokenLimit} }

// Catalog is the current set of event types, reloaded when the folder changes.
type Catalog struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	set     atomic.Pointer[Set]
	watch   watch // owned by Run
}

// watch is what Run remembers of the folder.
type watch struct {
	seen    digest // fingerprint at the last poll
	loaded  digest // content of the current set
	refused digest // content that was refused last; zero if none since
	settled bool   // seen has been read
	moves   int    // polls in a row that saw yet another state
	quiet   int    // polls since the content was read
}

// New loads the event types; bad ones, or none, are an error.
func New(cfg Config, logger *slog.Logger, registerer prometheus.Registerer) (*Catalog, error) {
	if cfg.Interval <= 0 {
		cfg.Interval = defaultInterval
	}
	f, _ := steady(cfg.Dir)
	set, err := build(f, nil)
	if err != nil {
		return nil, err
	}
	set.bounds = cfg.bounds()
	m, err := newMetrics(registerer)
	if err != nil {
		return nil, err
	}
	c := &Catalog{cfg: cfg, log: logger, metrics: m}
	c.watch = watch{seen: f.fingerprint(), loaded: f.content(), settled: true}
	c.set.Store(set)
	m.loaded(set)
	c.logWarnings(set)
	return c, nil
}

// Run reloads the event types whenever the folder changes, until ctx ends. A
// folder that does not load is logged and counted once, and the last good set
// stays in use. Call it once.
func (c *Catalog) Run(ctx context.Context) error {
	if !c.cfg.Watch {
		<-ctx.Done()
		return nil
	}
	for pause := c.cfg.Interval; backoff.Sleep(ctx, pause); {
		c.poll()
		pause = c.cfg.Interval
		if !c.watch.settled { // a change waits for its second look
			pause /= 2
		}
	}
	return nil
}

// poll looks at the folder once. A change is read when the next poll finds no
// further change, so that a copy in progress is not taken for the new state. (That
// second look, and the content behind the fingerprint, are why this is not
// filewatch.Watch.)
func (c *Catalog) poll() {
	w := &c.watch
	w.quiet++
	if now := scan(c.cfg.Dir).fingerprint(); now != w.seen {
		w.seen, w.settled = now, false
		if w.moves++; w.moves < restless {
			return
		}
	}
	w.moves = 0
	if w.settled && w.quiet < blindSpot {
		return
	}
	f, still := steady(c.cfg.Dir)
	if !still {
		return // the next poll tries again
	}
	w.seen, w.settled, w.quiet = f.fingerprint(), true, 0
	c.reload(f)
}

// reload takes a new state of the folder, or refuses it.
func (c *Catalog) reload(f folder) {
	w := &c.watch
	content := f.content()
	switch content {
	case w.refused:
		return
	case w.loaded:
		if w.refused != (digest{}) {
			w.refused = digest{}
			c.log.Info("schemas are as they were loaded again", "dir", c.cfg.Dir)
		}
		return
	}
	set, err := build(f, c.set.Load())
	if err != nil {
		w.refused = content
		c.metrics.reloads.WithLabelValues("refused").Inc()
		c.log.Error("schemas refused, the last good ones stay in use", "dir", c.cfg.Dir, "problems", problemLines(err))
		return
	}
	set.bounds = c.cfg.bounds()
	w.loaded, w.refused = content, digest{}
	before := c.set.Swap(set)
	c.metrics.reloads.WithLabelValues("loaded").Inc()
	c.metrics.loaded(set)
	c.log.Info("schemas reloaded", "dir", c.cfg.Dir, "event_types", len(set.names))
	c.logWarnings(set)
	if c.cfg.OnChange != nil {
		c.cfg.OnChange(before, set)
	}
}

// maxLoggedWarnings bounds the warnings in one log line.
const maxLoggedWarnings = 5

// logWarnings says once per load that schemas may not mean what they say.
func (c *Catalog) logWarnings(set *Set) {
	warnings := set.Warnings()
	if len(warnings) == 0 {
		return
	}
	var first []string
	for _, w := range warnings[:min(maxLoggedWarnings, len(warnings))] {
		first = append(first, w.String())
	}
	c.log.Warn("schemas may not mean what they say, gateway schemas check lists all warnings",
		"dir", c.cfg.Dir, "warnings", len(warnings), "first", first)
}

func problemLines(err error) []string {
	var failed *LoadError
	if errors.As(err, &failed) {
		return failed.Lines()
	}
	return []string{err.Error()}
}

// Set returns the current set. A caller that asks it several questions gets
// consistent answers.
func (c *Catalog) Set() *Set { return c.set.Load() }

// Check is Set.Check on the current set.
func (c *Catalog) Check(eventType, version string, data []byte) (event.Checked, error) {
	return c.set.Load().Check(eventType, version, data)
}

// CheckWithin is Set.CheckWithin on the current set.
func (c *Catalog) CheckWithin(eventType, version string, data []byte, within *event.Allowance) (event.Checked, error) {
	return c.set.Load().CheckWithin(eventType, version, data, within)
}

// Together is Set.Together on the current set.
func (c *Catalog) Together(bytes int) (*event.Allowance, error) {
	return c.set.Load().Together(bytes)
}

// Key is Set.Key on the current set.
func (c *Catalog) Key(pointers []string, data []byte, within *event.Allowance) (*string, error) {
	return c.set.Load().Key(pointers, data, within)
}

// Lookup is Set.Lookup on the current set.
func (c *Catalog) Lookup(eventType, version string) (*event.Definition, error) {
	return c.set.Load().Lookup(eventType, version)
}

// Schema is Set.Schema on the current set.
func (c *Catalog) Schema(eventType, version string) ([]byte, error) {
	return c.set.Load().Schema(eventType, version)
}

// Types is Set.Types on the current set.
func (c *Catalog) Types() []EventType { return c.set.Load().Types() }
