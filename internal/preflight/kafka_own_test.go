package preflight

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What a gateway's own topic lacks is an error where events are refused, or written twice,
// without it.
func TestOwnTopics(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		duty     Duty
		spoil    func(*TopicFacts) // nil: nothing
		severity Severity          // "": no problem
		check    string
		what, do string
	}{
		"gateways, good":         {ListsGateways, nil, "", "", "", ""},
		"notes, good":            {NotesTopics, nil, "", "", "", ""},
		"gateways, to create":    {ListsGateways, func(f *TopicFacts) { *f = TopicFacts{Presence: Missing, Creation: &CreationFacts{}} }, "", "", "", ""},
		"gateways, not created":  {ListsGateways, func(f *TopicFacts) { *f = TopicFacts{Presence: Missing, Creation: &CreationFacts{Refused: "denied"}} }, Error, "kafka.gateways", "no keyed event can be taken: denied", "--operation Create"},
		"gateways, hidden":       {ListsGateways, func(f *TopicFacts) { *f = TopicFacts{Presence: Hidden} }, Error, "kafka.gateways", "lists gateways", "--operation Describe"},
		"gateways, read only":    {ListsGateways, func(f *TopicFacts) { f.Allowed = Operations{Read: true} }, Error, "kafka.topic.permissions", "may not write the topic, which lists gateways", "--operation Write"},
		"gateways, nothing":      {ListsGateways, func(f *TopicFacts) { f.Allowed = Operations{Describe: true} }, Error, "kafka.topic.permissions", "may not read or write", "--operation Read"},
		"gateways, two":          {ListsGateways, func(f *TopicFacts) { f.Partitions = partitions(2, 3, 3) }, Error, "kafka.gateways", "has 2 partitions", "delete the topic"},
		"gateways, deletes":      {ListsGateways, func(f *TopicFacts) { f.Settings["cleanup.policy"] = "delete" }, Error, "kafka.gateways", "events may be written twice", "cleanup.policy=compact"},
		"notes, not created":     {NotesTopics, func(f *TopicFacts) { *f = TopicFacts{Presence: Missing, Creation: &CreationFacts{Refused: "denied"}} }, Warning, "kafka.topic-notes", "topics of schemas that were removed are not read", "--operation Create"},
		"notes, hidden":          {NotesTopics, func(f *TopicFacts) { *f = TopicFacts{Presence: Hidden} }, Warning, "kafka.topic-notes", "notes where events were written", "--operation Describe"},
		"notes, not answered":    {NotesTopics, func(f *TopicFacts) { *f = TopicFacts{Problem: "no answer"} }, Warning, "kafka.topic-notes", "could not tell", "check again"},
		"producers, two of them": {ListsProducers, func(f *TopicFacts) { f.Partitions = partitions(2, 3, 3) }, Error, "kafka.registry", "unfenced", "delete the topic"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts, needs := goodFacts()
			own, _ := goodTopic()
			own.Partitions = partitions(1, 3, 3)
			own.Settings["cleanup.policy"] = "compact"
			if c.spoil != nil {
				c.spoil(&own)
			}
			own.Name = "gw-own"
			facts.Own = []OwnTopic{{own, c.duty}}
			bad := problems(judge(t, facts, needs))
			if c.severity == "" {
				require.Empty(t, bad)
				return
			}
			requireProblem(t, bad, c.severity, c.check, c.what, c.do)
		})
	}
}
