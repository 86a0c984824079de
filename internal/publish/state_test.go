package publish

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
)

func TestStateOfATopicThatIsThere(t *testing.T) {
	t.Parallel()
	sound := topic{partitions: 3, leaders: []int32{1, 2, 3}, inSync: []int{3, 3, 3}, topicSettings: topicSettings{minInSync: 2}}
	with := func(change func(*topic)) topic {
		changed := sound
		changed.leaders, changed.inSync = []int32{1, 2, 3}, []int{3, 3, 3}
		change(&changed)
		return changed
	}
	for name, c := range map[string]struct {
		topic           topic
		held            []Quarantined
		refused, partly string
	}{
		"sound":           {sound, nil, "", ""},
		"settings hidden": {with(func(t *topic) { t.minInSync, t.inSync[0] = 0, 1 }), nil, "", ""},
		"refused":         {sound, []Quarantined{{Reason: "not-allowed"}}, "Kafka refuses it: not-allowed", ""},
		"a silent one":    {sound, []Quarantined{{Reason: stuckReason, Partitions: []int32{1}}}, "", "partitions 1 acknowledge nothing"},
		"no leader":       {with(func(t *topic) { t.leaders[2] = -1 }), nil, "", "partitions 2 have no leader"},
		"below min ISR":   {with(func(t *topic) { t.inSync[0] = 1 }), nil, "", "partitions 0 have fewer than 2 replicas in sync (min.insync.replicas)"},
		"all for a reason": {
			with(func(t *topic) { t.inSync[0], t.leaders[2] = 1, -1 }),
			[]Quarantined{{Reason: stuckReason, Partitions: []int32{1}}},
			"partitions 1 acknowledge nothing; partitions 2 have no leader; partitions 0 have fewer than 2 replicas in sync (min.insync.replicas)", "",
		},
		"one for three reasons": {with(func(t *topic) { t.leaders[1] = -1 }), []Quarantined{{Reason: stuckReason, Partitions: []int32{1}}}, "", "partitions 1 acknowledge nothing; partitions 1 have no leader"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, TopicState{Presence: TopicPresent, Refused: c.refused, Partly: c.partly}, c.topic.state(c.held))
		})
	}
	require.Equal(t, "partitions 0, 1, 2, 3, 4 and 2 more wait", partitionsText([]int32{0, 1, 2, 3, 4, 5, 6}, "wait"))
}

func TestStatesOfTopics(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(2, "there"))
	p := start(t, cluster.ListenAddrs(), []string{"there", "missing"})
	require.Eventually(t, func() bool { return p.Takes() == nil && p.topics.anyMissing() }, patience, tick)
	states := p.TopicStates([]string{"there", "missing", "foreign"})
	require.Equal(t, map[string]TopicState{
		"there": {Presence: TopicPresent}, "missing": {Presence: TopicMissing}, "foreign": {Presence: TopicNotAsked},
	}, states)
	p.monitor.quarantine.stuck("there", 1)
	require.Equal(t, "partitions 1 acknowledge nothing", p.TopicStates([]string{"there"})["there"].Partly)
	require.Equal(t, []int32{1}, p.Quarantine()[0].Partitions)
	p.monitor.down.Store(true)
	require.ErrorContains(t, p.Takes(), "does not answer")
	p.monitor.down.Store(false)
}

// TestTopicThatIsToBeMade: it counts as missing only once that failed.
func TestTopicThatIsToBeMade(t *testing.T) {
	t.Parallel()
	topics := &topics{create: TopicCreation{Enabled: true}, absent: absentTopics{missing: []string{"m"}, hidden: []string{"h"}, unclear: []string{"u"}}}
	require.Equal(t, TopicBeingMade, topics.presenceOf("m"))
	require.Equal(t, TopicHidden, topics.presenceOf("h"))
	require.Equal(t, TopicUnclear, topics.presenceOf("u"))
	topics.createFailed = true
	require.Equal(t, TopicMissing, topics.presenceOf("m"))
}
