package preflight

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSubscriptionGroups(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings Settings // of the only broker
		refused  string
		kept     string // retention.ms of the topic
		check    string
		severity Severity
		do       string
	}{
		"good":           {Settings{"offset.metadata.max.bytes": "4096"}, "", "604800000", "kafka.group", OK, ""},
		"unlimited":      {Settings{"offset.metadata.max.bytes": "4096"}, "", "-1", "kafka.group", OK, ""},
		"nothing known":  {nil, "", "", "kafka.group", OK, ""},
		"not allowed":    {nil, "GROUP_AUTHORIZATION_FAILED", "-1", "kafka.group.permissions", Error, "--operation Read --group g"},
		"small metadata": {Settings{"offset.metadata.max.bytes": "1024"}, "", "-1", "kafka.group.metadata", Error, "4096"},
		"long session":   {Settings{"group.min.session.timeout.ms": "6000", "group.max.session.timeout.ms": "9000"}, "", "-1", "kafka.group.session", Error, "within"},
		"short session":  {Settings{"group.min.session.timeout.ms": "11000", "group.max.session.timeout.ms": "60000"}, "", "-1", "kafka.group.session", Error, "within"},
		"deleted early":  {nil, "", "3600000", "kafka.group.retention", Warning, "retention.ms=10800000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := kafka{
				facts: KafkaFacts{
					Brokers: []BrokerFacts{{ID: 1, Settings: c.settings}}, Groups: []GroupFacts{{Group: "g", Refused: c.refused}},
					Topics: []TopicFacts{{Name: "orders", Settings: Settings{"retention.ms": c.kept}}, {Name: "other", Settings: Settings{"retention.ms": "1"}}},
				},
				needs: KafkaNeeds{Subscriptions: []SubscriptionNeeds{{
					Name: "push", Group: "g", Topics: []string{"orders"}, RetryTotal: 2 * time.Hour, Session: 10 * time.Second, Metadata: 3766,
				}}},
			}
			found := k.groups()
			require.Len(t, found, 1)
			require.Equal(t, c.check, found[0].Check)
			require.Equal(t, c.severity, found[0].Severity)
			require.Equal(t, "push", found[0].Subject)
			require.Contains(t, found[0].Do, c.do)
		})
	}
}
