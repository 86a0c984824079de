package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"eventgateway/internal/config"
	"eventgateway/internal/delivery"
	"eventgateway/internal/delivery/endpoint"
	"eventgateway/internal/filewatch"
	"eventgateway/internal/intake"
	"eventgateway/internal/kafka"
	"eventgateway/internal/preflight"
	"eventgateway/internal/rate"
	"eventgateway/internal/schema"
	"eventgateway/internal/strictjson"
)

// userAgent names the gateway to endpoints.
const userAgent = "eventgateway"

// CheckSubscriptions reports what is wrong with the subscriptions of a configuration that
// is valid otherwise. The error is [config.Errors].
func CheckSubscriptions(cfg *config.Config) error {
	var wrong config.Errors
	add := func(at, key string, problem, fix string) {
		path := at + "." + key
		if cfg.Expanded(path) && key != "secrets" { // the problem may quote it
			problem = "its expanded value cannot be used"
		}
		wrong = append(wrong, &config.Error{Path: path, Problem: problem, Fix: fix, Source: cfg.Source(path)})
	}
	for i, s := range cfg.Subscriptions {
		at := fmt.Sprintf("subscriptions[%d]", i)
		for _, fault := range faultsOf(endpoint.Check(endpointConfig(s))) {
			key, problem, fix := endpointFault(fault)
			add(at, key, problem, fix)
		}
		for pointer := range s.Filter.Data {
			if _, err := strictjson.ParsePointer(pointer); err != nil {
				add(at, "filter.data", "has a JSON Pointer that cannot be read: "+err.Error(), "write for example /customer/country")
			}
		}
	}
	if len(cfg.Subscriptions) > 0 {
		if choice, err := kafka.ChooseClient(kafka.ClientAuto, connection(cfg)); err == nil && choice.Client != kafka.ClientFranz {
			wrong = append(wrong, &config.Error{
				Path: "subscriptions", Source: cfg.Source("subscriptions"),
				Problem: "cannot read from this Kafka, because " + choice.Reason, Fix: "change that property, or run the subscriptions in a gateway without it",
			})
		}
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

func faultsOf(err error) []error {
	var joined interface{ Unwrap() []error }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &joined):
		return joined.Unwrap()
	}
	return []error{err}
}

// endpointFault splits an error of endpoint.Check.
func endpointFault(fault error) (key, problem, fix string) {
	fix = "docs/subscriptions.md has an example"
	key, problem = "url", fault.Error()
	for _, known := range []string{"url", "oauth2.token_url", "secrets", "tls"} {
		if rest, ok := strings.CutPrefix(problem, known+": "); ok {
			return known, rest, fix
		}
	}
	return key, problem, fix
}

func connection(cfg *config.Config) kafka.Connection {
	return kafka.Connection{Brokers: cfg.Kafka.Brokers, Properties: cfg.Kafka.Properties}
}

func endpointConfig(s config.Subscription) endpoint.Config {
	e := endpoint.Config{
		URL: s.URL, Timeout: s.Timeout, Concurrency: s.Concurrency, Headers: map[string]string{}, UserAgent: userAgent,
		TLS: endpoint.TLS{CA: s.TLS.CA, Cert: s.TLS.Cert, Key: s.TLS.Key, ServerName: s.TLS.ServerName}, Allow: prefixes(s.AllowCIDRs),
	}
	for _, secret := range s.Secrets {
		e.Secrets = append(e.Secrets, secret.Reveal())
	}
	for name, value := range s.Headers {
		e.Headers[name] = value.Reveal()
	}
	if o := s.OAuth2; o != nil {
		e.OAuth2 = &endpoint.OAuth2{TokenURL: o.TokenURL, ClientID: o.ClientID, ClientSecret: o.ClientSecret.Reveal(), Scopes: o.Scopes}
	}
	return e
}

// subscriptionConfigs translates the subscriptions of a valid configuration. Event types
// that are not loaded have no topic, and are left out.
func subscriptionConfigs(cfg *config.Config, set *schema.Set, logger *slog.Logger) []delivery.Config {
	list := make([]delivery.Config, 0, len(cfg.Subscriptions))
	for _, s := range cfg.Subscriptions {
		c := delivery.Config{
			Name: s.Name, Topics: subscriptionTopics(s, set), Types: s.Types,
			Endpoint: endpointConfig(s), Binary: s.Mode == config.ModeBinary, Ordered: s.Ordering == config.OrderingKey,
			Concurrency: s.Concurrency, Start: kafka.Start{Earliest: s.Start.Earliest, Time: s.Start.Time},
			Retry:      delivery.Retry{Attempts: s.Retry.Attempts, Initial: s.Retry.Initial, Max: s.Retry.Max, Total: s.Retry.Total},
			HoldEntity: s.OnDead == config.OnDeadHoldEntity, WhenFull: delivery.Full(s.WhenFull), OnLost: delivery.OnLost(s.OnLost), OnExpiring: delivery.OnExpiring(s.OnExpiring),
			DeadLetterTopic: s.DeadLetterTopic, Session: s.SessionTimeout, ServerSide: s.GroupProtocol == config.GroupConsumer,
			Filter: delivery.Filter{Types: s.Filter.Types, Keys: s.Filter.Keys},
		}
		for pointer, value := range s.Filter.Data {
			p, err := strictjson.ParsePointer(pointer)
			if err != nil {
				continue // cannot happen: CheckSubscriptions has read it
			}
			c.Filter.Data = append(c.Filter.Data, delivery.Match{Pointer: p, Value: value})
		}
		slices.SortFunc(c.Filter.Data, func(a, b delivery.Match) int { return slices.Compare(a.Pointer, b.Pointer) })
		if len(c.Topics) == 0 {
			logger.Error("a subscription names no event type that is loaded, and does not run", "subscription", s.Name, "types", s.Types)
			continue
		}
		list = append(list, c)
	}
	return list
}

// subscriptionTopics are the topics that a subscription reads, sorted.
func subscriptionTopics(s config.Subscription, set *schema.Set) []string {
	topics := slices.Clone(s.Topics)
	for _, t := range set.Types() {
		if !slices.Contains(s.Types, t.Name) {
			continue
		}
		for _, version := range t.Versions {
			if def, err := set.Lookup(t.Name, version); err == nil {
				topics = append(topics, def.Topic)
			}
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// subscriptionDeadLetters are the topics for dead letters of the subscriptions.
func subscriptionDeadLetters(cfg *config.Config, set *schema.Set) (names []string) {
	for _, s := range cfg.Subscriptions {
		for _, topic := range subscriptionTopics(s, set) {
			names = append(names, s.DeadLetters(topic))
		}
	}
	return names
}

// deadLetterHeaders is room for what a dead letter says of where it comes from.
const deadLetterHeaders = 2 << 10

// replayRecordBytes is the largest record of a topic for dead letters of subscriptions, or for
// their replays.
func replayRecordBytes(cfg *config.Config) int {
	return int(cfg.HTTP.BodyLimit.Bytes()) + intake.HeaderLimit + deadLetterHeaders + preflight.HeaderRoom
}

// replayNeeds is what the topics for replays of subscriptions need.
func replayNeeds(cfg *config.Config) (needs []preflight.TopicNeeds) {
	for _, s := range cfg.Subscriptions {
		what := []string{"replays to the subscription " + s.Name}
		needs = append(needs, preflight.TopicNeeds{
			Name: delivery.ReplayTopic(s.Name), Types: what, Keyless: what, Largest: what[0], MaxData: replayRecordBytes(cfg) - preflight.HeaderRoom,
		})
	}
	return needs
}

// needSubscriptionDeadLetters adds to needs what dead letters of subscriptions need of
// their topics.
func needSubscriptionDeadLetters(cfg *config.Config, set *schema.Set, needs []preflight.TopicNeeds) {
	for _, s := range cfg.Subscriptions {
		for _, topic := range subscriptionTopics(s, set) {
			at := slices.IndexFunc(needs, func(n preflight.TopicNeeds) bool { return n.Name == s.DeadLetters(topic) })
			if at < 0 {
				continue
			}
			n, what := &needs[at], "dead letters of the subscription "+s.Name
			n.DeadLetters = true
			n.Types = appendOnce(n.Types, what)
			n.Keyless = appendOnce(n.Keyless, what)
			if data := int(cfg.HTTP.BodyLimit.Bytes()) + intake.HeaderLimit + deadLetterHeaders; data > n.MaxData {
				n.MaxData, n.Largest = data, what
			}
		}
	}
}

// subscriptionNeeds is what the subscriptions need of Kafka.
func subscriptionNeeds(cfg *config.Config, set *schema.Set) (needs []preflight.SubscriptionNeeds) {
	for _, s := range cfg.Subscriptions {
		n := preflight.SubscriptionNeeds{
			Name: s.Name, Group: delivery.Group(s.Name), Topics: subscriptionTopics(s, set), RetryTotal: s.Retry.Total,
			Session: s.SessionTimeout, Metadata: delivery.MaxMetadata,
		}
		if s.GroupProtocol == config.GroupConsumer {
			n.Session = 0
		}
		needs = append(needs, n)
	}
	return needs
}

// groupsTimeout bounds the questions about the groups of subscriptions.
const groupsTimeout = 10 * time.Second

// subscriptionGroups asks whether this user may use the groups of the subscriptions.
func subscriptionGroups(ctx context.Context, cfg *config.Config) (facts []preflight.GroupFacts) {
	if len(cfg.Subscriptions) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, groupsTimeout)
	defer cancel()
	admin := connection(cfg).GroupAdmin(slog.New(slog.DiscardHandler))
	defer admin.Close()
	for _, s := range cfg.Subscriptions {
		g := preflight.GroupFacts{Group: delivery.Group(s.Name)}
		if err := admin.MayUse(ctx, g.Group); err != nil {
			g.Refused = err.Error()
		}
		facts = append(facts, g)
	}
	return facts
}

// StateTable is where the pauses of subscriptions are kept.
func StateTable(cfg *config.Config, logger *slog.Logger) *kafka.Table {
	replication := 0
	if cfg.Kafka.CreateTopics.Enabled {
		replication = cfg.Kafka.CreateTopics.Replication
	}
	return connection(cfg).NewTable(delivery.StateTopic(cfg.Kafka.TransactionalIDPrefix), replication, logger)
}

// pushRateWait bounds how long an attempt waits until it is counted in Redis. Nobody waits for
// its answer, so that may take longer than for a call.
const pushRateWait = time.Second

// buildSubscriptions makes what pushes events to endpoints. It has no subscriptions if
// the configuration has none: they may come with a reload.
func (a *App) buildSubscriptions() error {
	rates := &subscriptionRates{limiter: rate.New(rate.Config{Wait: pushRateWait}, rate.NewRedis(a.rdb, a.installationTag), a.logger, rate.NewMetrics(prometheus.NewRegistry()))}
	a.pushRates = rates
	rates.replace(a.cfg)
	a.stages.add("rates of subscriptions", func(context.Context) error {
		rates.limiter.Close()
		return nil
	})
	a.pushes = delivery.NewSet(subscriptionConfigs(a.cfg, a.catalog.Set(), a.logger), StateTable(a.cfg, a.logger), delivery.Deps{
		Kafka: connection(a.cfg), DeadLetters: a.producer, Rates: rates, Logger: a.logger, Metrics: delivery.NewMetrics(a.registry),
	})
	return nil
}

// subscriptionRates counts attempts of all gateways together.
type subscriptionRates struct {
	limiter *rate.Limiter
	mu      sync.Mutex
	limited map[string]bool
}

// ratePrefix keeps the counts of subscriptions apart from those of clients.
const ratePrefix = "\x00subscription:"

func (r *subscriptionRates) replace(cfg *config.Config) {
	limits := rate.Limits{Clients: map[string]rate.Limit{}}
	limited := map[string]bool{}
	for _, s := range cfg.Subscriptions {
		if s.Rate.Count > 0 {
			limits.Clients[ratePrefix+s.Name] = rate.Limit(s.Rate)
			limited[s.Name] = true
		}
	}
	r.limiter.Replace(limits)
	r.mu.Lock()
	r.limited = limited
	r.mu.Unlock()
}

// Take implements delivery.Rates.
func (r *subscriptionRates) Take(subscription string) (bool, time.Duration) {
	r.mu.Lock()
	limited := r.limited[subscription]
	r.mu.Unlock()
	if !limited {
		return true, 0
	}
	d := r.limiter.Take(ratePrefix+subscription, false, 1)
	return d.Allowed, d.RetryAfter
}

// watchSubscriptions reads the subscriptions again whenever the configuration file
// changes, until ctx ends. A file that is not valid changes nothing.
func (a *App) watchSubscriptions(ctx context.Context) {
	if a.cfg.File == "" {
		return
	}
	look := func() filewatch.Stamp { return filewatch.Files(a.cfg.File) }
	filewatch.Watch(ctx, clientsInterval, look(), look, a.reloadSubscriptions)
}

func (a *App) reloadSubscriptions() {
	cfg, err := config.Examine(a.cfg.File, os.Environ())
	if a.cfg.SoleWriter && cfg != nil && !concernsSubscriptions(err) {
		err = nil // `gateway dev` starts with a file that lacks auth, for example
	}
	if err == nil {
		err = CheckSubscriptions(cfg)
	}
	if err != nil {
		a.logger.Error("configuration refused, the subscriptions stay as they are", "file", a.cfg.File, "error", err)
		return
	}
	a.subscriptionsMu.Lock()
	next := *a.cfg
	next.Subscriptions = cfg.Subscriptions
	a.subscriptions = &next
	a.subscriptionsMu.Unlock()
	a.pushRates.replace(cfg)
	a.replaceSubscriptions(a.catalog.Set())
}

// concernsSubscriptions reports whether one of the errors is about the subscriptions.
func concernsSubscriptions(err error) bool {
	var wrong config.Errors
	return errors.As(err, &wrong) && slices.ContainsFunc(wrong, func(e *config.Error) bool { return strings.HasPrefix(e.Path, "subscriptions") })
}

// replaceSubscriptions lets the subscriptions be as the file and the event types say now.
func (a *App) replaceSubscriptions(set *schema.Set) {
	cfg := a.subscribed()
	setTopics(a.producer, cfg, set)
	a.pushes.Replace(subscriptionConfigs(cfg, set, a.logger))
}

// subscribed is the configuration with the subscriptions that the file has now.
func (a *App) subscribed() *config.Config {
	a.subscriptionsMu.Lock()
	defer a.subscriptionsMu.Unlock()
	if a.subscriptions != nil {
		return a.subscriptions
	}
	return a.cfg
}
