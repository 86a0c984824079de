package preflight

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const day = 24 * time.Hour

// goodSettings are what a topic should have.
func goodSettings() Settings {
	return Settings{
		"min.insync.replicas": "2", "unclean.leader.election.enable": "false", "max.message.bytes": "1048588",
		"retention.ms": "604800000", "retention.bytes": "-1", "cleanup.policy": "delete", "min.compaction.lag.ms": "0",
		"message.timestamp.type": "CreateTime",
	}
}

func partitions(n, replicas, inSync int) (list []PartitionFacts) {
	for id := range n {
		list = append(list, PartitionFacts{ID: id, Led: true, Replicas: replicas, InSync: inSync})
	}
	return list
}

// goodTopic is one with which nothing is wrong.
func goodTopic() (TopicFacts, TopicNeeds) {
	facts := TopicFacts{
		Name: "orders", Presence: Present, Partitions: partitions(12, 3, 3), Settings: goodSettings(),
		Allowed: Operations{Describe: true, DescribeConfigs: true, Read: true, Write: true},
	}
	return facts, TopicNeeds{Name: "orders", Types: []string{"orders.placed"}, Largest: "orders.placed", MaxData: 900 << 10}
}

func goodFacts() (KafkaFacts, KafkaNeeds) {
	settings := Settings{"transaction.max.timeout.ms": "900000"}
	facts := KafkaFacts{ClusterID: "c"}
	for id, address := range []string{"a:9092", "b:9092", "c:9092"} {
		facts.Brokers = append(facts.Brokers, BrokerFacts{ID: id + 1, Address: address, Settings: settings})
	}
	return facts, KafkaNeeds{
		Bootstrap: "a:9092", KeyWindow: day, Partitions: 12, Replication: 3,
		TransactionTimeout: 20 * time.Second, TransactionalIDPrefix: "gw",
	}
}

// judge is Kafka, with what holds for all findings.
func judge(t *testing.T, facts KafkaFacts, needs KafkaNeeds) []Finding {
	t.Helper()
	found := Kafka(facts, needs)
	for _, f := range found {
		require.NotEmpty(t, f.What, f)
		require.True(t, strings.HasPrefix(f.Check, "kafka."), f)
		require.Equal(t, f.Severity == OK, f.Do == "", f)
	}
	return found
}

// requireProblem requires that there is only this one. what and do are parts of its texts.
func requireProblem(t *testing.T, bad []Finding, severity Severity, check, what, do string) {
	t.Helper()
	require.Len(t, bad, 1)
	require.Equal(t, severity, bad[0].Severity)
	require.Equal(t, check, bad[0].Check)
	require.Contains(t, bad[0].What, what)
	require.Contains(t, bad[0].Do, do)
}

// problems are the findings that are not OK.
func problems(found []Finding) (list []Finding) {
	for _, f := range found {
		if f.Severity != OK {
			list = append(list, f)
		}
	}
	return list
}

func TestKafkaThatIsGood(t *testing.T) {
	t.Parallel()
	facts, needs := goodFacts()
	topic, need := goodTopic()
	second := topic
	second.Name = "payments"
	facts.Topics, needs.Topics = []TopicFacts{topic, second}, []TopicNeeds{need, {Name: "payments", MaxData: 900 << 10}}
	found := judge(t, facts, needs)
	require.Empty(t, problems(found))
	var checks []string
	for _, f := range found {
		checks = append(checks, strings.TrimPrefix(f.Check, "kafka."))
		if strings.HasPrefix(f.Check, "kafka.topic.") {
			require.Equal(t, "orders, payments", f.Subject, "what is the same of both is said once")
		}
	}
	require.Equal(t, []string{
		"reach", "broker", "topic.exists", "topic.permissions", "topic.replication", "topic.min-insync", "topic.in-sync",
		"topic.unclean-election", "topic.size", "topic.retention", "topic.compaction", "topic.timestamps",
	}, checks, "everything that was looked at is said")
}

// A topicCase changes what is good, and expects one problem.
type topicCase struct {
	settings Settings // over the good ones
	change   func(*KafkaFacts, *TopicFacts, *KafkaNeeds, *TopicNeeds)
	severity Severity // "": no problem
	check    string
	what     string
	do       string
}

func (c topicCase) run(t *testing.T) {
	t.Helper()
	facts, needs := goodFacts()
	topic, need := goodTopic()
	maps.Copy(topic.Settings, c.settings)
	if c.change != nil {
		c.change(&facts, &topic, &needs, &need)
	}
	facts.Topics, needs.Topics = []TopicFacts{topic}, []TopicNeeds{need}
	found := judge(t, facts, needs)
	if c.severity == "" {
		require.Empty(t, problems(found))
		return
	}
	bad := problems(found)
	require.Len(t, bad, 1, bad)
	require.Equal(t, c.severity, bad[0].Severity, bad)
	require.Equal(t, c.check, bad[0].Check)
	require.Equal(t, "orders", bad[0].Subject)
	require.Contains(t, bad[0].What, c.what)
	require.Contains(t, bad[0].Do, c.do)
}

func replicas(n int) func(*KafkaFacts, *TopicFacts, *KafkaNeeds, *TopicNeeds) {
	return func(_ *KafkaFacts, t *TopicFacts, _ *KafkaNeeds, _ *TopicNeeds) { t.Partitions = partitions(12, n, n) }
}

func TestDurabilityOfTopics(t *testing.T) {
	t.Parallel()
	minISR := func(n string) Settings { return Settings{"min.insync.replicas": n} }
	for name, c := range map[string]topicCase{
		"one replica": {minISR("1"), replicas(1), Error, "kafka.topic.replication", "1 replica in a cluster of 3 brokers", "kafka-reassign-partitions.sh"},
		"one replica, one broker": {minISR("1"), func(f *KafkaFacts, t *TopicFacts, _ *KafkaNeeds, _ *TopicNeeds) {
			f.Brokers, t.Partitions = f.Brokers[:1], partitions(2, 1, 1)
		}, Warning, "kafka.topic.replication", "the cluster's only broker", "development"},
		"one of them with one replica": {minISR("1"), func(_ *KafkaFacts, t *TopicFacts, _ *KafkaNeeds, _ *TopicNeeds) {
			t.Partitions[3].Replicas, t.Partitions[3].InSync = 1, 1
		}, Error, "kafka.topic.replication", "1 replica", ""},
		"min.insync 1 of 3": {minISR("1"), nil, Error, "kafka.topic.min-insync", "only one of its 3 replicas", "--entity-name orders --add-config min.insync.replicas=2"},
		"min.insync 1 of 2": {minISR("1"), replicas(2), Error, "kafka.topic.min-insync", "only one of its 2 replicas", "so give it 3"},
		"min.insync 2 of 2": {minISR("2"), replicas(2), Warning, "kafka.topic.min-insync", "2 of 2 replicas", "give it more replicas"},
		"min.insync 3 of 3": {minISR("3"), nil, Warning, "kafka.topic.min-insync", "3 of 3 replicas", "min.insync.replicas=2"},
		"min.insync 4 of 3": {minISR("4"), nil, Error, "kafka.topic.min-insync", "refuses every event", "min.insync.replicas=2"},
		"min.insync 3 of 5": {minISR("3"), replicas(5), "", "", "", ""},
		"a partition without leader": {nil, func(_ *KafkaFacts, t *TopicFacts, _ *KafkaNeeds, _ *TopicNeeds) {
			t.Partitions[4].Led, t.Partitions[4].InSync = false, 0
		}, Error, "kafka.topic.in-sync", "1 of 12 partitions without a leader (4)", "--unavailable-partitions"},
		"too few in sync": {nil, func(_ *KafkaFacts, t *TopicFacts, _ *KafkaNeeds, _ *TopicNeeds) {
			t.Partitions = partitions(12, 3, 1)
		}, Error, "kafka.topic.in-sync", "12 of 12 partitions with fewer replicas in sync than min.insync.replicas, which is 2 (0, 1, 2 and 9 more)", "--under-min-isr-partitions"},
		"one not in sync": {nil, func(_ *KafkaFacts, t *TopicFacts, _ *KafkaNeeds, _ *TopicNeeds) {
			t.Partitions[11].InSync = 2
		}, Warning, "kafka.topic.in-sync", "1 of 12 partitions with replicas that are not in sync (11)", "--under-replicated-partitions"},
		"unclean election":             {Settings{"unclean.leader.election.enable": "true"}, nil, Warning, "kafka.topic.unclean-election", "lacks acknowledged events", "unclean.leader.election.enable=false"},
		"unclean election of the only": {Settings{"unclean.leader.election.enable": "true", "min.insync.replicas": "1"}, replicas(1), Error, "kafka.topic.replication", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

func TestLogOfTopics(t *testing.T) {
	t.Parallel()
	keyless := func(_ *KafkaFacts, _ *TopicFacts, _ *KafkaNeeds, n *TopicNeeds) { n.Keyless = []string{"page.viewed"} }
	tombstones := func(_ *KafkaFacts, _ *TopicFacts, _ *KafkaNeeds, n *TopicNeeds) {
		n.Tombstones = []string{"orders.placed"}
	}
	deadLetters := func(_ *KafkaFacts, _ *TopicFacts, _ *KafkaNeeds, n *TopicNeeds) { n.DeadLetters = true }
	transactional := func(f *KafkaFacts, _ *TopicFacts, _ *KafkaNeeds, _ *TopicNeeds) {
		f.Transactions = &TransactionFacts{ID: "gw-check"}
	}
	for name, c := range map[string]topicCase{
		"no room for data":           {Settings{"max.message.bytes": "921599"}, nil, Error, "kafka.topic.size", "orders.placed may have 921600 bytes", "max.message.bytes=925696"},
		"no room for headers":        {Settings{"max.message.bytes": "921600"}, nil, Warning, "kafka.topic.size", "because of their headers", "http.body_limit"},
		"room for data and headers":  {Settings{"max.message.bytes": "925696"}, nil, "", "", "", ""},
		"kept for less than keys":    {Settings{"retention.ms": "86399999"}, nil, Error, "kafka.topic.retention", "keys for 24h (idempotency.ttl)", "retention.ms=90000000"},
		"kept as long as keys":       {Settings{"retention.ms": "86400000"}, nil, Warning, "kafka.topic.retention", "hardly longer", "retention.ms=90000000"},
		"kept for an hour more":      {Settings{"retention.ms": "90000000"}, nil, "", "", "", ""},
		"kept forever":               {Settings{"retention.ms": "-1"}, nil, "", "", "", ""},
		"kept for longer than int64": {Settings{"retention.ms": "9223372036854775807"}, nil, "", "", "", ""},
		"kept up to a size":          {Settings{"retention.bytes": "9000000000"}, nil, Warning, "kafka.topic.retention", "more than 100000 bytes/s", "retention.bytes=-1"},
		"dead letters, kept shortly": {Settings{"retention.ms": "432000000"}, deadLetters, Warning, "kafka.topic.dead-letters", "deleted after 120h", "retention.ms=1209600000"},
		"dead letters, kept a week":  {Settings{"retention.ms": "604800000"}, deadLetters, "", "", "", ""},
		"dead letters, kept forever": {Settings{"retention.ms": "-1"}, deadLetters, "", "", "", ""},
		"compacted":                  {Settings{"cleanup.policy": "compact"}, nil, Error, "kafka.topic.compaction", "compacted after 0s", "min.compaction.lag.ms=90000000"},
		"compacted and deleted":      {Settings{"cleanup.policy": "compact, delete"}, nil, Error, "kafka.topic.compaction", "compacted after 0s", ""},
		"compacted late":             {Settings{"cleanup.policy": "compact", "min.compaction.lag.ms": "90000000"}, nil, "", "", "", ""},
		"compacted, short retention": {Settings{"cleanup.policy": "compact", "min.compaction.lag.ms": "90000000", "retention.ms": "1"}, nil, "", "", "", ""},
		"tombstones, not compacted":  {nil, tombstones, Warning, "kafka.topic.compaction", "orders.placed may be deleted by key", "cleanup.policy=compact"},
		"tombstones, compacted":      {Settings{"cleanup.policy": "compact", "min.compaction.lag.ms": "90000000"}, tombstones, "", "", "", ""},
		"tombstones that go at once": {Settings{"cleanup.policy": "compact", "min.compaction.lag.ms": "90000000", "delete.retention.ms": "1000"}, tombstones, Warning, "kafka.topic.compaction", "go 1s after", "delete.retention.ms=86400000"},
		"compacted, without keys":    {Settings{"cleanup.policy": "compact", "min.compaction.lag.ms": "90000000"}, keyless, Error, "kafka.topic.compaction", "all events of page.viewed are refused", "cleanup.policy=delete"},
		"without keys":               {nil, keyless, "", "", "", ""},
		"transactions never end":     {Settings{"message.timestamp.before.max.ms": "9999"}, transactional, Error, "kafka.topic.timestamps", "never ends the transaction", "message.timestamp.before.max.ms=10000"},
		"transactions end":           {Settings{"message.timestamp.before.max.ms": "10000"}, transactional, "", "", "", ""},
		"no transactions":            {Settings{"message.timestamp.before.max.ms": "0"}, nil, "", "", "", ""},
		"the brokers' time":          {Settings{"message.timestamp.type": "LogAppendTime"}, nil, Warning, "kafka.topic.timestamps", "more than 10 s apart", "CreateTime"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

func TestPermissionsOnTopics(t *testing.T) {
	t.Parallel()
	allowed := func(ops ...Operation) func(*KafkaFacts, *TopicFacts, *KafkaNeeds, *TopicNeeds) {
		return func(_ *KafkaFacts, t *TopicFacts, _ *KafkaNeeds, _ *TopicNeeds) {
			t.Allowed = Operations{}
			for _, o := range ops {
				t.Allowed[o] = true
			}
		}
	}
	for name, c := range map[string]topicCase{
		"no write": {nil, allowed(Describe, Read), Error, "kafka.topic.permissions", "may not write", "--operation Write --topic orders"},
		"no read":  {nil, allowed(Describe, Write), Error, "kafka.topic.permissions", "may not read", "--operation Read --topic orders"},
		"not said": {nil, func(_ *KafkaFacts, t *TopicFacts, _ *KafkaNeeds, _ *TopicNeeds) { t.Allowed = nil }, Warning, "kafka.topic.permissions", "does not say", "kafka-acls.sh --list"},
		"settings not told": {nil, func(_ *KafkaFacts, t *TopicFacts, _ *KafkaNeeds, _ *TopicNeeds) {
			t.Settings, t.SettingsProblem = nil, "denied"
		}, Warning, "kafka.topic.settings", "not checked, and the gateway assumes Kafka's defaults: denied", "--operation DescribeConfigs --topic orders"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

func TestTopicsThatAreNotThere(t *testing.T) {
	t.Parallel()
	missing := func(create bool, creation *CreationFacts) func(*KafkaFacts, *TopicFacts, *KafkaNeeds, *TopicNeeds) {
		return func(_ *KafkaFacts, t *TopicFacts, n *KafkaNeeds, _ *TopicNeeds) {
			*t = TopicFacts{Name: t.Name, Presence: Missing, Creation: creation, Problem: "why not"}
			n.CreateTopics = create
		}
	}
	for name, c := range map[string]topicCase{
		"nothing creates it":     {nil, missing(false, nil), Error, "kafka.topic.exists", "503 log-unavailable", "gateway topics apply -c FILE"},
		"the gateway creates it": {nil, missing(true, &CreationFacts{}), Warning, "kafka.topic.exists", "will create it with 12 partitions, 3 replicas", "gateway topics apply"},
		"not allowed":            {nil, missing(true, &CreationFacts{NotAllowed: true, Refused: "denied"}), Error, "kafka.topic.exists", "may not create it: denied", "--operation Create --topic orders"},
		"too many replicas":      {nil, missing(true, &CreationFacts{Refused: "1 broker"}), Error, "kafka.topic.exists", "would not create it with 12 partitions and 3 replicas: 1 broker", "kafka.create_topics"},
		"kafka did not say":      {nil, missing(true, nil), Warning, "kafka.topic.exists", "did not say whether it would let the gateway create it: why not", "gateway topics apply"},
		"may not be seen": {nil, func(_ *KafkaFacts, t *TopicFacts, _ *KafkaNeeds, _ *TopicNeeds) {
			*t = TopicFacts{Name: t.Name, Presence: Hidden}
		}, Error, "kafka.topic.exists", "may not see", "--operation Describe --topic orders"},
		"unclear": {nil, func(_ *KafkaFacts, t *TopicFacts, _ *KafkaNeeds, _ *TopicNeeds) {
			*t = TopicFacts{Name: t.Name, Problem: "no answer"}
		}, Warning, "kafka.topic.exists", "no answer", "check again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

func TestBrokersAndProducer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change   func(*KafkaFacts)
		severity Severity
		check    string
		what     string
		do       string
	}{
		"one broker away":   {func(f *KafkaFacts) { f.Brokers[1] = BrokerFacts{ID: 2, Address: "b:9092", Unreachable: "timed out"} }, Error, "kafka.broker", "broker 2 does not answer", "advertised.listeners"},
		"settings not told": {func(f *KafkaFacts) { f.Brokers[0].Settings = nil }, Warning, "kafka.broker.settings", "replica.lag.time.max.ms", "--operation DescribeConfigs --cluster"},
		"no producer":       {func(f *KafkaFacts) { f.ProducerRefused = "denied" }, Error, "kafka.producer", "denied", "IdempotentWrite"},
		"name":              {func(f *KafkaFacts) { f.Unreachable = &Unreachable{NoSuchHost, "unknown"} }, Error, "kafka.reach", "unknown", "name service"},
		"refused":           {func(f *KafkaFacts) { f.Unreachable = &Unreachable{NoConnection, "refused"} }, Error, "kafka.reach", "refused", "firewall"},
		"tls":               {func(f *KafkaFacts) { f.Unreachable = &Unreachable{NoTLS, "bad"} }, Error, "kafka.reach", "bad", "ssl.ca.location"},
		"login":             {func(f *KafkaFacts) { f.Unreachable = &Unreachable{NoLogin, "wrong"} }, Error, "kafka.reach", "wrong", "sasl.password"},
		"silence":           {func(f *KafkaFacts) { f.Unreachable = &Unreachable{NoAnswer, "timed out"} }, Error, "kafka.reach", "timed out", "drops packets"},
		"settings":          {func(f *KafkaFacts) { f.Unreachable = &Unreachable{BadSettings, "no such"} }, Error, "kafka.reach", "does not start: no such", "kafka.properties"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts, needs := goodFacts()
			c.change(&facts)
			bad := problems(judge(t, facts, needs))
			requireProblem(t, bad, c.severity, c.check, c.what, c.do)
		})
	}
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		registry     func(*TopicFacts)
		transactions TransactionFacts
		severity     Severity // "": no problem
		check        string
		what         string
		do           string
	}{
		"good":             {nil, TransactionFacts{}, "", "", "", ""},
		"to be created":    {func(r *TopicFacts) { *r = TopicFacts{Presence: Missing, Creation: &CreationFacts{}} }, TransactionFacts{}, "", "", "", ""},
		"not to be seen":   {func(r *TopicFacts) { *r = TopicFacts{Presence: Hidden} }, TransactionFacts{}, Error, "kafka.registry", "may not see the topic, which lists transactional ids", "Describe"},
		"not created":      {func(r *TopicFacts) { *r = TopicFacts{Presence: Missing, Creation: &CreationFacts{Refused: "denied"}} }, TransactionFacts{}, Error, "kafka.registry", "cannot create it, so no event can be written: denied", "--operation Create"},
		"creation unknown": {func(r *TopicFacts) { *r = TopicFacts{Presence: Missing} }, TransactionFacts{}, Warning, "kafka.registry", "did not say", "--partitions 1"},
		"two partitions":   {func(r *TopicFacts) { r.Partitions = partitions(2, 3, 3) }, TransactionFacts{}, Error, "kafka.registry", "has 2 partitions", "delete the topic"},
		"deletes":          {func(r *TopicFacts) { r.Settings["cleanup.policy"] = "delete" }, TransactionFacts{}, Error, "kafka.registry", `"delete"`, "cleanup.policy=compact"},
		"weak":             {func(r *TopicFacts) { r.Settings["min.insync.replicas"] = "1" }, TransactionFacts{}, Error, "kafka.topic.min-insync", "is 1", "--entity-name gw-incarnations"},
		"not allowed":      {nil, TransactionFacts{Problem: TransactionsNotAllowed, What: "denied"}, Error, "kafka.transactions", "denied", "--transactional-id gw- --resource-pattern-type prefixed"},
		"too long":         {nil, TransactionFacts{Problem: TransactionsTooLong, What: "invalid"}, Error, "kafka.transactions", "is 20s and the brokers take at most 15m", "transaction.max.timeout.ms"},
		"fail":             {nil, TransactionFacts{Problem: TransactionsFail, What: "no coordinator"}, Error, "kafka.transactions", "no coordinator", "__transaction_state"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts, needs := goodFacts()
			registry, _ := goodTopic()
			registry.Partitions = partitions(1, 3, 3)
			registry.Settings["cleanup.policy"] = "compact"
			if c.registry != nil {
				c.registry(&registry)
			}
			registry.Name = "gw-incarnations"
			facts.Own, facts.Transactions = []OwnTopic{{TopicFacts: registry}}, &c.transactions
			c.transactions.ID = "gw-check"
			bad := problems(judge(t, facts, needs))
			if c.severity == "" {
				require.Empty(t, bad)
				return
			}
			requireProblem(t, bad, c.severity, c.check, c.what, c.do)
		})
	}
}

func TestSharedTopics(t *testing.T) {
	t.Parallel()
	facts, needs := goodFacts()
	topic, need := goodTopic()
	need.Types = []string{"a", "b", "c", "d", "e"}
	facts.Topics, needs.Topics = []TopicFacts{topic}, []TopicNeeds{need}
	found := judge(t, facts, needs)
	require.Empty(t, problems(found))
	require.Equal(t, "5 event types share the topic, its settings and its order: a, b, c and 2 more", found[len(found)-1].What)
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", time.Minute: "1m", 10 * time.Minute: "10m", 90 * time.Second: "1m30s",
		time.Hour: "1h", 25 * time.Hour: "25h", 20*time.Hour + 10*time.Minute: "20h10m", time.Hour + time.Second: "1h0m1s",
	} {
		require.Equal(t, want, span(d))
	}
}
