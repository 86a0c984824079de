package app

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/admin"
	"eventgateway/internal/event"
	"eventgateway/internal/idempotency"
	"eventgateway/internal/publish"
)

// fakeServices are Kafka and Redis as readiness sees them.
type fakeServices struct {
	kafka       error
	topics      map[string]publish.TopicState // present, unless listed
	quarantined []publish.Quarantined
	claims      idempotency.Availability
}

func (f *fakeServices) Takes() error                           { return f.kafka }
func (f *fakeServices) Quarantine() []publish.Quarantined      { return f.quarantined }
func (f *fakeServices) Availability() idempotency.Availability { return f.claims }
func (f *fakeServices) TopicStates(names []string) map[string]publish.TopicState {
	states := map[string]publish.TopicState{}
	for _, name := range names {
		states[name] = publish.TopicState{Presence: publish.TopicPresent}
		if s, ok := f.topics[name]; ok {
			states[name] = s
		}
	}
	return states
}

func (f *fakeServices) topic(name string, s publish.TopicState) {
	f.topics = map[string]publish.TopicState{name: s}
}

var errGone = errors.New("connection refused")

// away is a Redis of which so many buckets take no claims.
func away(buckets int) idempotency.Availability {
	return idempotency.Availability{Away: errGone, AwayBuckets: buckets, Buckets: 256}
}

func lost(buckets int) idempotency.Availability {
	return idempotency.Availability{Lost: buckets, Buckets: 256}
}

// returning is a flushed Redis with the claims of some types, of all of which the topic
// "optional" cannot be read further.
func returning(types ...string) idempotency.Availability {
	topics := []event.TopicReplay{{Topic: "optional", Types: []string{"optional"}, Read: 50, Total: 100, Waiting: []string{"optional[3]: no leader"}}}
	for _, name := range types {
		topics = append(topics, event.TopicReplay{Topic: name, Types: []string{name}, Read: 100, Total: 100, Done: true})
	}
	now := lost(256)
	now.Rebuild = idempotency.NewRebuildState(topics, (&idempotency.Tally{Topics: topics}).Progress(0))
	return now
}

var (
	optional = event.Definition{Type: "optional", Version: "v1", Topic: "optional"}
	required = event.Definition{Type: "required", Version: "v1", Topic: "required", IdempotencyRequired: true}
	lenient  = event.Definition{Type: "lenient", Version: "v1", Topic: "lenient", IdempotencyRequired: true, OnStoreFailure: event.PublishOnStoreFailure}
)

func newReadiness(f *fakeServices, defs ...event.Definition) *readiness {
	return &readiness{
		definitions: func() []event.Definition { return defs }, topics: f, claims: f, taken: map[string]bool{},
		onStoreFailure: event.RejectOnStoreFailure, onStoreLoss: event.RejectOnStoreFailure, logger: slog.New(slog.DiscardHandler),
	}
}

// TestReadyOnceStarted: what makes a gateway that was ready once unready.
func TestReadyOnceStarted(t *testing.T) {
	t.Parallel()
	all := []event.Definition{lenient, optional, required}
	const keyed = "events with an idempotency key are refused: "
	for name, c := range map[string]struct {
		types  []event.Definition
		now    func(*fakeServices)
		checks map[string]error
		ready  bool
		want   map[string]admin.Taken
		why    string // of one of them
	}{
		"all is well":                       {all, func(*fakeServices) {}, nil, true, nil, ""},
		"kafka is down":                     {all, func(f *fakeServices) { f.kafka = errGone }, nil, false, map[string]admin.Taken{"lenient": "none", "optional": "none", "required": "none"}, "Kafka takes no events: connection refused"},
		"kafka does not answer":             {all, func(*fakeServices) {}, map[string]error{"kafka": errGone}, false, map[string]admin.Taken{"lenient": "none", "optional": "none", "required": "none"}, "connection refused"},
		"no token can be verified":          {all, func(*fakeServices) {}, map[string]error{"auth": errGone}, false, nil, ""},
		"redis is away":                     {all, func(f *fakeServices) { f.claims = away(256) }, map[string]error{"redis": errGone}, true, map[string]admin.Taken{"optional": "some", "required": "none"}, keyed + "Redis takes no claims"},
		"redis is away, all need it":        {[]event.Definition{required}, func(f *fakeServices) { f.claims = away(256) }, nil, false, map[string]admin.Taken{"required": "none"}, keyed},
		"redis is away, one can do without": {[]event.Definition{required, lenient}, func(f *fakeServices) { f.claims = away(256) }, nil, true, map[string]admin.Taken{"required": "none"}, keyed},
		"a node of a cluster is away":       {[]event.Definition{required}, func(f *fakeServices) { f.claims = away(64) }, nil, true, map[string]admin.Taken{"required": "some"}, "refused, 25 % of them: Redis"},
		"redis was flushed":                 {all, func(f *fakeServices) { f.claims = lost(256) }, nil, true, map[string]admin.Taken{"lenient": "none", "optional": "some", "required": "none"}, "Redis is new or has lost claims"},
		"redis was flushed, all need it":    {[]event.Definition{required, lenient}, func(f *fakeServices) { f.claims = lost(256) }, nil, false, map[string]admin.Taken{"required": "none", "lenient": "none"}, keyed},
		"claims are not confirmed": {all, func(f *fakeServices) {
			f.claims = idempotency.Availability{Lost: 256, Buckets: 256, Unconfirmed: errGone}
		}, nil, true, map[string]admin.Taken{"lenient": "none", "optional": "some", "required": "none"}, keyed + "connection refused"},
		"claims of a type are back": {all, func(f *fakeServices) { f.claims = returning("required", "lenient") }, nil, true, map[string]admin.Taken{"optional": "some"}, "which are read from Kafka: optional is read to 50 %, waiting for optional[3]: no leader"},
		"a topic is deleted":        {all, func(f *fakeServices) { f.topic("required", publish.TopicState{Presence: publish.TopicMissing}) }, nil, true, map[string]admin.Taken{"required": "none"}, "its topic required is missing"},
		"the only topic is missing": {[]event.Definition{required}, func(f *fakeServices) { f.topic("required", publish.TopicState{Presence: publish.TopicMissing}) }, nil, true, map[string]admin.Taken{"required": "none"}, "missing"},
		"a topic is hidden":         {[]event.Definition{required}, func(f *fakeServices) { f.topic("required", publish.TopicState{Presence: publish.TopicHidden}) }, nil, true, map[string]admin.Taken{"required": "none"}, "does not show"},
		"a topic is refused": {all, func(f *fakeServices) {
			f.topic("optional", publish.TopicState{Presence: publish.TopicPresent, Refused: "not-allowed"})
			f.quarantined = []publish.Quarantined{{Topic: "optional", Reason: "not-allowed"}}
		}, nil, true, map[string]admin.Taken{"optional": "none"}, "topic optional: not-allowed"},
		"the only topic is refused": {[]event.Definition{optional}, func(f *fakeServices) {
			f.topic("optional", publish.TopicState{Presence: publish.TopicPresent, Refused: "not-allowed"})
		}, nil, false, map[string]admin.Taken{"optional": "none"}, "not-allowed"},
		"partitions are refused": {[]event.Definition{optional}, func(f *fakeServices) {
			f.topic("optional", publish.TopicState{Presence: publish.TopicPresent, Partly: "partitions 1 have no leader"})
		}, nil, true, map[string]admin.Taken{"optional": "some"}, "no leader"},
		"no types":                {nil, func(*fakeServices) {}, nil, true, nil, ""},
		"no types, without redis": {nil, func(f *fakeServices) { f.claims = away(256) }, map[string]error{"redis": errGone}, false, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakeServices{}
			r := newReadiness(f, c.types...)
			require.True(t, r.look())
			c.now(f)
			j := r.judge(c.checks)
			require.Equal(t, c.ready, j.Ready, j.Reason)
			require.Equal(t, c.ready, j.Reason == "")
			states, found := map[string]admin.Taken(nil), c.why == ""
			for _, s := range j.Types {
				if states == nil {
					states = map[string]admin.Taken{}
				}
				states[s.Name] = s.Taken
				require.NotEmpty(t, s.Why)
				for _, why := range s.Why {
					found = found || len(c.why) > 0 && strings.Contains(why, c.why)
				}
			}
			require.Equal(t, c.want, states)
			require.True(t, found, "%q in %+v", c.why, j.Types)
			require.Len(t, j.Quarantined, len(f.quarantined))
		})
	}
}

// TestReadyAtTheStart: a gateway is not ready until each type whose topic exists was taken.
func TestReadyAtTheStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		now   func(*fakeServices)
		ready bool
	}{
		"all is well":          {func(*fakeServices) {}, true},
		"kafka is down":        {func(f *fakeServices) { f.kafka = errGone }, false},
		"redis is away":        {func(f *fakeServices) { f.claims = away(256) }, false},
		"redis is new":         {func(f *fakeServices) { f.claims = lost(256) }, false},
		"claims are lost":      {func(f *fakeServices) { f.claims = lost(1) }, false},
		"a topic is missing":   {func(f *fakeServices) { f.topic("required", publish.TopicState{Presence: publish.TopicMissing}) }, true},
		"a topic is made":      {func(f *fakeServices) { f.topic("required", publish.TopicState{Presence: publish.TopicBeingMade}) }, false},
		"a topic is not known": {func(f *fakeServices) { f.topic("required", publish.TopicState{Presence: publish.TopicNotAsked}) }, false},
		"a topic is refused": {func(f *fakeServices) {
			f.topic("required", publish.TopicState{Presence: publish.TopicPresent, Refused: "no"})
		}, false},
		"a partition is not up": {func(f *fakeServices) {
			f.topic("required", publish.TopicState{Presence: publish.TopicPresent, Partly: "1"})
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakeServices{}
			r := newReadiness(f, optional, required)
			c.now(f)
			require.Equal(t, c.ready, r.judge(nil).Ready)
			require.Equal(t, c.ready, r.look())
			*f = fakeServices{}
			require.True(t, r.judge(nil).Ready)
		})
	}
}

// TestTypesAreTakenOnceOneByOne: they need not be taken at the same time.
func TestTypesAreTakenOnceOneByOne(t *testing.T) {
	t.Parallel()
	f := &fakeServices{}
	r := newReadiness(f, optional, required)
	refused := publish.TopicState{Presence: publish.TopicPresent, Refused: "no"}
	f.topic("optional", refused)
	require.Contains(t, r.judge(nil).Reason, "could not be taken yet: optional")
	f.topic("required", refused)
	require.True(t, r.judge(nil).Ready)
	r.onStoreFailure, r.onStoreLoss = event.PublishOnStoreFailure, event.PublishOnStoreFailure
	f.claims = lost(256)
	require.Empty(t, r.judge(nil).Types[0].Why[1:], "by policy, the rebuild stops nothing")
}

// TestRebuildIsShown: what it waits for is named once, and how far it is in the check as well.
func TestRebuildIsShown(t *testing.T) {
	t.Parallel()
	f := &fakeServices{}
	r := newReadiness(f, optional, required)
	require.Nil(t, r.judge(nil).Rebuild)
	f.claims = returning("required")
	require.Equal(t, &admin.Rebuild{OffsetsRead: 150, Offsets: 200, Percent: 75, TopicsDone: 1, Topics: 2, Waiting: []string{"optional[3]: no leader"}}, r.judge(nil).Rebuild)
	require.ErrorContains(t, r.claimsReady(t.Context()), "75 % so far")
}

// TestVersionsOfAType: a type is taken as long as one of its versions is.
func TestVersionsOfAType(t *testing.T) {
	t.Parallel()
	second := optional
	second.Version, second.Topic = "v2", "other"
	f := &fakeServices{}
	r := newReadiness(f, optional, second)
	require.True(t, r.look())
	f.topic("other", publish.TopicState{Presence: publish.TopicMissing})
	require.Equal(t, []admin.TypeState{{Name: "optional", Taken: admin.TakenSome, Why: []string{"its topic other is missing"}}}, r.judge(nil).Types)
	f.topics["optional"] = publish.TopicState{Presence: publish.TopicMissing}
	require.Equal(t, admin.TakenNone, r.judge(nil).Types[0].Taken)
}
