package app

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/internal/config"
	"eventgateway/internal/preflight"
	"eventgateway/internal/publish"
	"eventgateway/internal/schema"
)

const (
	// lookInterval is between two looks, lookJitter how much later each may come: the
	// gateways of a cluster should not look all at once.
	lookInterval = 55 * time.Second
	lookJitter   = 10 * time.Second
	// firstLook comes soon after a start, which it should not slow down.
	firstLook = 2 * time.Second
	// lookTimeout bounds one look.
	lookTimeout = 10 * time.Second
)

// watchedChecks are the rules of `gateway check` whose facts can change while a gateway
// runs. Whether Kafka and Redis answer and take events is not among them: readiness,
// metrics and log lines of their own say so.
var watchedChecks = map[string]bool{
	"kafka.topic.permissions": true, "kafka.topic.settings": true, "kafka.topic.replication": true, "kafka.topic.min-insync": true,
	"kafka.topic.in-sync": true, "kafka.topic.unclean-election": true, "kafka.topic.size": true, "kafka.topic.retention": true,
	"kafka.topic.compaction": true, "kafka.topic.timestamps": true, "kafka.registry": true,
	"kafka.gateways": true, "kafka.topic-notes": true,
	"redis.permissions": true, "redis.eviction": true, "redis.evicted": true, "redis.maxmemory": true, "redis.memory": true,
	"redis.persistence": true, "redis.split_brain": true, "redis.replicas": true, "clock.redis": true,
}

// preflightWatch looks at Kafka and Redis once a minute, and says what has changed.
type preflightWatch struct {
	areas   map[string]func(context.Context) (look, error) // by name
	logger  *slog.Logger
	metrics *preflightMetrics
	// first and interval are the pauses before the first look and between two others,
	// each with up to jitter on top.
	first, interval, jitter time.Duration

	known map[findingKey]preflight.Finding
}

// look is what was found in one area.
type look struct {
	findings []preflight.Finding // each about one subject
	unknown  map[string]bool     // subjects of which not all facts are known this time
}

// findingKey names a finding: its text may have figures that change.
type findingKey struct{ check, subject string }

func (k findingKey) in(area string) bool {
	return strings.HasPrefix(k.check, area+".") || area == "redis" && k.check == "clock.redis"
}

func newPreflightWatch(cfg *config.Config, catalog *schema.Catalog, producer *publish.Log, logger *slog.Logger, metrics *preflightMetrics) *preflightWatch {
	return &preflightWatch{
		areas: map[string]func(context.Context) (look, error){
			"kafka": func(ctx context.Context) (look, error) { return lookAtKafka(ctx, cfg, catalog.Set(), producer) },
			"redis": func(ctx context.Context) (look, error) { return lookAtRedis(ctx, cfg, producer) },
		},
		logger: logger, metrics: metrics, first: firstLook, interval: lookInterval, jitter: lookJitter,
		known: map[findingKey]preflight.Finding{},
	}
}

// watchPreflight looks at Kafka and Redis until ctx ends.
func (a *App) watchPreflight(ctx context.Context) {
	if a.watch != nil {
		a.watch.run(ctx)
	}
}

// run looks again and again until ctx ends.
func (w *preflightWatch) run(ctx context.Context) {
	pause := w.first
	for backoff.Sleep(ctx, pause+rand.N(w.jitter+1)) { //nolint:gosec // spreads load, guards nothing
		w.look(ctx)
		pause = w.interval
	}
}

// look looks at all areas at once.
func (w *preflightWatch) look(ctx context.Context) {
	looking, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	done := map[string]look{}
	for area, at := range w.areas {
		wg.Go(func() {
			found, err := at(looking)
			if err == nil {
				err = looking.Err() // then facts may be missing
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case ctx.Err() != nil: // the gateway stops
			case err != nil:
				w.metrics.looks.WithLabelValues(area, "failed").Inc()
				w.logger.Debug("looking at what the promise rests on failed", "area", area, "error", err)
			default:
				w.metrics.looks.WithLabelValues(area, "done").Inc()
				done[area] = found
			}
		})
	}
	wg.Wait()
	now := maps.Clone(w.known)
	for area, found := range done {
		maps.DeleteFunc(now, func(k findingKey, _ preflight.Finding) bool { return k.in(area) && !found.unknown[k.subject] })
		for _, f := range found.findings {
			if k := (findingKey{f.Check, f.Subject}); watchedChecks[f.Check] && f.Severity != preflight.OK {
				now[k] = worse(now[k], f)
			}
		}
	}
	w.report(now)
}

// worse is the finding that matters more of two about one subject.
func worse(a, b preflight.Finding) preflight.Finding {
	if a.Severity == preflight.Error && b.Severity != preflight.Error {
		return a
	}
	return b
}

// change is how the severity of a finding changed; "" is none.
type change struct {
	check    string
	was, now preflight.Severity
}

// report logs one line for each change, which may concern many topics, and sets the
// metric.
func (w *preflightWatch) report(now map[findingKey]preflight.Finding) {
	changes := map[change][]preflight.Finding{}
	for k, f := range now {
		if was := w.known[k].Severity; was != f.Severity {
			c := change{f.Check, was, f.Severity}
			changes[c] = append(changes[c], f)
		}
	}
	for k, f := range w.known {
		if _, still := now[k]; !still {
			c := change{f.Check, f.Severity, ""}
			changes[c] = append(changes[c], f)
		}
	}
	w.known = now
	for c, about := range changes {
		slices.SortFunc(about, func(a, b preflight.Finding) int { return cmp.Compare(a.Subject, b.Subject) })
		w.log(c, about)
	}
	count := map[change]int{}
	for _, f := range now {
		count[change{check: f.Check, now: f.Severity}]++
	}
	for check := range watchedChecks {
		for _, severity := range []preflight.Severity{preflight.Warning, preflight.Error} {
			w.metrics.findings.WithLabelValues(check, string(severity)).Set(float64(count[change{check: check, now: severity}]))
		}
	}
}

func (w *preflightWatch) log(c change, about []preflight.Finding) {
	var subjects []string
	for _, f := range about {
		subjects = append(subjects, f.Subject)
	}
	attrs := []any{"check", c.check, "subject", firstOf(subjects)}
	if c.now == "" {
		w.logger.Info("a finding of gateway check is gone", append(attrs, "was", c.was)...)
		return
	}
	level := slog.LevelWarn
	if c.now == preflight.Error {
		level = slog.LevelError
	}
	attrs = append(attrs, "severity", c.now, "what", about[0].What, "do", about[0].Do)
	if c.was == "" {
		w.logger.Log(context.Background(), level, "gateway check would report a finding", attrs...)
		return
	}
	w.logger.Log(context.Background(), level, "gateway check would report a finding with another severity", append(attrs, "was", c.was)...)
}

// lookAtKafka judges each topic by itself: `gateway check` reports what is the same for
// several topics as one finding.
func lookAtKafka(ctx context.Context, cfg *config.Config, set *schema.Set, producer *publish.Log) (look, error) {
	facts, err := producer.Facts(ctx, topics(cfg, set))
	if err != nil {
		return look{}, err
	}
	return judgeTopics(facts, kafkaNeeds(cfg, set)), nil
}

func judgeTopics(facts preflight.KafkaFacts, needs preflight.KafkaNeeds) look {
	found := look{unknown: map[string]bool{}}
	one := facts
	judge := func(t preflight.TopicFacts) {
		if t.Presence == preflight.Unclear || t.Presence == preflight.Present && t.Settings == nil {
			found.unknown[t.Name] = true
		}
		found.findings = append(found.findings, preflight.Kafka(one, needs)...)
	}
	one.Own = nil
	for _, t := range facts.Topics {
		one.Topics = []preflight.TopicFacts{t}
		judge(t)
	}
	one.Topics = nil
	for _, t := range facts.Own {
		one.Own = []preflight.OwnTopic{t}
		judge(t.TopicFacts)
	}
	return found
}

func lookAtRedis(ctx context.Context, cfg *config.Config, producer *publish.Log) (look, error) {
	installation := func() string { return knownInstallation(cfg, producer) }
	facts, needs, err := inspectRedis(ctx, cfg, RedisCheck{Now: time.Now, Installation: installation})
	if err != nil {
		return look{}, err
	}
	if len(facts.Masters) == 0 {
		return look{}, errors.New("no server that holds claims answers")
	}
	for _, m := range facts.Masters {
		if m.Failure != nil {
			return look{}, errors.New("redis " + m.Address + ": " + m.Failure.Text)
		}
	}
	return look{findings: append(preflight.Redis(facts, needs), preflight.RedisClock(facts, needs)...)}, nil
}
