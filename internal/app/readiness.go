package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"eventgateway/internal/admin"
	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/idempotency"
	"eventgateway/internal/publish"
	"eventgateway/internal/schema"
)

// readiness knows which event types are taken now, each by its policy. The gateway is not
// ready until each type whose topic exists was taken once. Later it is ready as long as
// any is: a caller gets a better answer from the gateway than from a load balancer that
// has no gateway left.
type readiness struct {
	definitions func() []event.Definition
	topics      topicStates
	claims      claimStates
	// onStoreFailure is the default of event types, onStoreLoss holds for all.
	onStoreFailure, onStoreLoss event.StoreFailurePolicy
	logger                      *slog.Logger

	mu     sync.Mutex
	passed bool            // each type was taken once
	taken  map[string]bool // versions of types that were, until passed
}

// topicStates is what readiness asks of publish.Log.
type topicStates interface {
	Takes() error
	TopicStates(names []string) map[string]publish.TopicState
	Quarantine() []publish.Quarantined
}

// claimStates is what readiness asks of idempotency.Store.
type claimStates interface {
	Availability() idempotency.Availability
}

// definitions lists all versions of all types, in order.
func definitions(set *schema.Set) []event.Definition {
	var list []event.Definition
	for _, t := range set.Types() {
		for _, version := range t.Versions {
			if def, err := set.Lookup(t.Name, version); err == nil { // always: the set itself listed it
				list = append(list, *def)
			}
		}
	}
	return list
}

// state is what the events of one version of a type meet now.
type state struct {
	exists bool // its topic does, or will in a moment
	taken  bool // at least some of its events are taken
	keyed  bool // events with an idempotency key are taken, by policy
	why    []string
}

// watch looks until each type was taken once, or ctx ends.
func (r *readiness) watch(ctx context.Context) { backoff.Poll(ctx, readyInterval, r.look) }

// await returns when each type was taken once, or ctx ends.
func (r *readiness) await(ctx context.Context) { backoff.Poll(ctx, readyInterval, r.hasPassed) }

func (r *readiness) hasPassed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.passed
}

// look reports whether each type whose topic exists was taken once.
func (r *readiness) look() bool {
	defs, kafka := r.definitions(), r.topics.Takes()
	return r.note(defs, r.states(defs, kafka), kafka) == nil
}

// note remembers which types were taken. It returns those that are still to come.
func (r *readiness) note(defs []event.Definition, states []state, kafka error) (missing []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.passed {
		return nil
	}
	if kafka != nil {
		return []string{"all"} // even if there are no types
	}
	for i, def := range defs {
		name := def.Type + " " + def.Version
		if states[i].taken && states[i].keyed {
			r.taken[name] = true
		}
		if states[i].exists && !r.taken[name] && !slices.Contains(missing, def.Type) {
			missing = append(missing, def.Type)
		}
	}
	if missing == nil {
		r.passed, r.taken = true, nil
		r.logger.Info("gateway ready: it takes events of all types whose topics exist")
	}
	return missing
}

// states are those of the definitions. kafka says why Kafka takes no event at all.
func (r *readiness) states(defs []event.Definition, kafka error) []state {
	names := make([]string, len(defs))
	for i, def := range defs {
		names[i] = def.Topic
	}
	topics, claims := r.topics.TopicStates(names), r.claims.Availability()
	states := make([]state, len(defs))
	for i, def := range defs {
		s := topicState(def.Topic, topics[def.Topic])
		if kafka != nil {
			s.taken, s.why = false, []string{"Kafka takes no events: " + kafka.Error()}
		}
		refused, all := r.keyedRefused(def, claims)
		s.keyed = refused == ""
		if !s.keyed {
			s.why = append(s.why, refused)
			s.taken = s.taken && (!all || !def.IdempotencyRequired)
		}
		states[i] = s
	}
	return states
}

// topicState is what a topic alone means for its events.
func topicState(name string, t publish.TopicState) state {
	switch t.Presence {
	case publish.TopicPresent:
	case publish.TopicMissing:
		return state{why: []string{fmt.Sprintf("its topic %s is missing", name)}}
	case publish.TopicHidden:
		return state{why: []string{fmt.Sprintf("Kafka does not show its topic %s to the gateway's user", name)}}
	case publish.TopicBeingMade:
		return state{exists: true, why: []string{fmt.Sprintf("its topic %s is being created", name)}}
	case publish.TopicUnclear:
		return state{exists: true, why: []string{fmt.Sprintf("Kafka does not describe its topic %s", name)}}
	case publish.TopicNotAsked:
		return state{exists: true, why: []string{fmt.Sprintf("Kafka was not asked for its topic %s yet", name)}}
	}
	switch {
	case t.Refused != "":
		return state{exists: true, why: []string{fmt.Sprintf("topic %s: %s", name, t.Refused)}}
	case t.Partly != "":
		return state{exists: true, taken: true, why: []string{fmt.Sprintf("topic %s: %s", name, t.Partly)}}
	}
	return state{exists: true, taken: true}
}

// keyedRefused says why events with an idempotency key are refused, "" if they are not,
// and whether all are or only those of some buckets.
func (r *readiness) keyedRefused(def event.Definition, claims idempotency.Availability) (why string, all bool) {
	policy := r.onStoreFailure
	if def.OnStoreFailure != "" {
		policy = def.OnStoreFailure
	}
	switch {
	case claims.Away != nil && policy != event.PublishOnStoreFailure:
		return keyedText(claims.AwayBuckets, claims.Buckets) + "Redis takes no claims", claims.AwayBuckets == claims.Buckets
	case claims.Away == nil && claims.Unconfirmed != nil: // whatever the policies: Kafka takes no events, or not for long
		return keyedText(claims.Buckets, claims.Buckets) + claims.Unconfirmed.Error(), true
	case claims.Away == nil && claims.Lost > 0 && r.onStoreLoss != event.PublishOnStoreFailure && !claims.Rebuild.Returned(def.Type):
		text := keyedText(claims.Lost, claims.Buckets) + "Redis is new or has lost claims, which are read from Kafka"
		if waits := claims.Rebuild.Waits(def.Type); waits != nil {
			text += ": " + strings.Join(waits, "; ")
		}
		return text, claims.Lost == claims.Buckets
	}
	return "", false
}

func keyedText(buckets, of int) string {
	if buckets == of {
		return "events with an idempotency key are refused: "
	}
	return fmt.Sprintf("events with an idempotency key are refused, %d %% of them: ", max(1, 100*buckets/of))
}

// claimsReady is the check of the claims: none are lost, as far as is known.
func (r *readiness) claimsReady(context.Context) error {
	if now := r.claims.Availability(); now.Lost > 0 {
		if rebuild := now.Rebuild; rebuild != nil && rebuild.Progress.Topics > 0 {
			return fmt.Errorf("%d of %d buckets of claims are not ready: Redis is new or has lost them, and they are read from Kafka, %d %% so far", now.Lost, now.Buckets, rebuild.Percent())
		}
		return fmt.Errorf("%d of %d buckets of claims are not ready: Redis is new or has lost them, and they are read from Kafka", now.Lost, now.Buckets)
	}
	return nil
}

// redisReady is the check of Redis, as it was last probed.
func (r *readiness) redisReady(context.Context) error { return r.claims.Availability().Away }

// judge says whether the gateway is ready, given the results of the checks.
func (r *readiness) judge(results map[string]error) admin.Judgement {
	defs := r.definitions()
	kafka := r.topics.Takes()
	if kafka == nil {
		kafka = results["kafka"]
	}
	states := r.states(defs, kafka)
	missing := r.note(defs, states, kafka)
	j := admin.Judgement{Types: typeStates(defs, states)}
	j.Rebuild = rebuildOf(r.claims.Availability().Rebuild)
	for _, q := range r.topics.Quarantine() {
		j.Quarantined = append(j.Quarantined, admin.Quarantined{Topic: q.Topic, Partitions: q.Partitions, Reason: q.Reason, Since: q.Since})
	}
	exists := slices.ContainsFunc(states, func(s state) bool { return s.exists })
	taken := slices.ContainsFunc(states, func(s state) bool { return s.taken })
	switch {
	case results["auth"] != nil:
		j.Reason = "no caller with a token can be authenticated"
	case kafka != nil:
		j.Reason = "Kafka takes no events"
	case missing != nil:
		j.Reason = "since the start, events of these types could not be taken yet: " + firstOf(missing)
	case exists && !taken:
		j.Reason = "no event type is taken"
	case !exists && results["redis"] != nil: // there are no types: webhooks need Redis
		j.Reason = "Redis takes no claims"
	default:
		j.Ready = true
	}
	return j
}

// rebuildOf is how far a rebuild is, nil if that is not known.
func rebuildOf(state *idempotency.RebuildState) *admin.Rebuild {
	if state == nil || state.Progress.Topics == 0 {
		return nil
	}
	p := state.Progress
	return &admin.Rebuild{
		OffsetsRead: p.Read, Offsets: p.Total, Percent: p.Percent(), TopicsDone: p.Done, Topics: p.Topics,
		PerSecond: int64(p.Rate), SecondsLeft: int64(p.Left.Seconds()), Waiting: p.Waiting,
	}
}

// typeStates joins the versions of each type, and leaves out those that are wholly taken.
func typeStates(defs []event.Definition, states []state) []admin.TypeState {
	var list []admin.TypeState
	for from := 0; from < len(defs); {
		to := from
		t := admin.TypeState{Name: defs[from].Type, Taken: admin.TakenNone}
		for ; to < len(defs) && defs[to].Type == t.Name; to++ {
			if states[to].taken {
				t.Taken = admin.TakenSome
			}
			for _, why := range states[to].why {
				if !slices.Contains(t.Why, why) {
					t.Why = append(t.Why, why)
				}
			}
		}
		if t.Why != nil {
			list = append(list, t)
		}
		from = to
	}
	return list
}

// firstOf lists the first few of many.
func firstOf(names []string) string {
	const most = 5
	text := strings.Join(names[:min(most, len(names))], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
