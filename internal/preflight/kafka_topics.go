package preflight

import "fmt"

// verdict is what a rule says of one topic.
type verdict struct {
	severity Severity
	what, do string
}

func fine(format string, args ...any) []verdict {
	return []verdict{{severity: OK, what: fmt.Sprintf(format, args...)}}
}

// topicCheck is one topic that is there, with what is needed of it.
type topicCheck struct {
	kafka
	facts TopicFacts
	needs TopicNeeds
}

func (c topicCheck) set(setting string, value any) string {
	return c.setTopic(c.facts.Name, setting, value)
}

// topicRule looks at one side of a topic. It says nothing of what it cannot know.
type topicRule struct {
	check    string
	look     func(topicCheck) []verdict
	registry bool // holds for the registry of transactional ids as well
}

func topicRules() []topicRule {
	return []topicRule{
		{"kafka.topic.permissions", topicCheck.permissions, true},
		{"kafka.topic.settings", topicCheck.settings, true},
		{"kafka.topic.replication", topicCheck.replication, true},
		{"kafka.topic.min-insync", topicCheck.minInSync, true},
		{"kafka.topic.in-sync", topicCheck.inSync, true},
		{"kafka.topic.unclean-election", topicCheck.uncleanElection, true},
		{"kafka.topic.size", topicCheck.size, false},
		{"kafka.topic.retention", topicCheck.retention, false},
		{"kafka.topic.compaction", topicCheck.compaction, false},
		{"kafka.topic.timestamps", topicCheck.timestamps, false},
		{"kafka.topic.shared", topicCheck.shared, false},
	}
}

func (k kafka) topics() []Finding {
	needs := make(map[string]TopicNeeds, len(k.needs.Topics))
	for _, n := range k.needs.Topics {
		needs[n.Name] = n
	}
	there := newGroup("kafka.topic.exists")
	var checks []topicCheck
	for _, t := range k.facts.Topics {
		there.add(t.Name, k.presence(t))
		if t.Presence == Present {
			checks = append(checks, topicCheck{kafka: k, facts: t, needs: needs[t.Name]})
		}
	}
	findings := there.findings
	for _, rule := range topicRules() {
		g := newGroup(rule.check)
		for _, c := range checks {
			g.add(c.facts.Name, rule.look(c))
		}
		findings = append(findings, g.findings...)
	}
	return findings
}

// presence says whether the topic is there, and if not, whether that will do.
func (k kafka) presence(t TopicFacts) []verdict {
	switch t.Presence {
	case Present:
		return fine("%s", count(len(t.Partitions), "partition"))
	case Hidden:
		return []verdict{{
			Error, "this user may not see the topic, so its event types answer 503 as if it were missing",
			k.allow("Describe", "--topic "+t.Name),
		}}
	case Missing:
		return k.missing(t)
	case Unclear:
	}
	return []verdict{{Warning, "Kafka could not tell whether the topic is there: " + t.Problem, "see whether the brokers are well, and check again"}}
}

func (k kafka) missing(t TopicFacts) []verdict {
	apply := "gateway topics apply -c FILE creates it"
	switch {
	case !k.needs.CreateTopics:
		return []verdict{{
			Error, "the topic is missing: its event types answer 503 log-unavailable until somebody creates it",
			apply + "; so does " + k.createLine(t.Name),
		}}
	case t.Creation == nil:
		return []verdict{{Warning, t.creationUnsaid(), apply}}
	case t.Creation.NotAllowed:
		return []verdict{{
			Error, "the topic is missing, and this user may not create it: " + t.Creation.Refused,
			k.allow("Create", "--topic "+t.Name) + ", or create it as somebody else: " + k.createLine(t.Name),
		}}
	case t.Creation.Refused != "":
		return []verdict{{
			Error, fmt.Sprintf("the topic is missing, and Kafka would not create it with %s and %s: %s",
				count(k.needs.Partitions, "partition"), count(k.needs.Replication, "replica"), t.Creation.Refused),
			"correct kafka.create_topics",
		}}
	}
	return []verdict{{
		Warning, fmt.Sprintf("the topic is missing; the gateway will create it with %s, %s and the brokers' defaults for everything else, which cannot be checked before",
			count(k.needs.Partitions, "partition"), count(k.needs.Replication, "replica")),
		apply + " now, with settings that fit",
	}}
}

// creationUnsaid: no answer is neither a yes nor a no.
func (t TopicFacts) creationUnsaid() string {
	return "the topic is missing, and Kafka did not say whether it would let the gateway create it: " + t.Problem
}

func (k kafka) createLine(name string) string {
	return fmt.Sprintf("kafka-topics.sh --bootstrap-server %s --create --topic %s --partitions %d --replication-factor %d --config min.insync.replicas=2",
		k.needs.Bootstrap, name, k.needs.Partitions, k.needs.Replication)
}

func (c topicCheck) permissions() []verdict {
	if c.facts.Allowed == nil {
		return []verdict{{
			Warning, "Kafka does not say what this user may do with the topic (brokers before 2.3 never do)",
			"see with kafka-acls.sh --list that the gateway's user may Describe, Read and Write",
		}}
	}
	var found []verdict
	if !c.facts.Allowed[Write] {
		found = append(found, verdict{Error, "this user may not write: events are refused", c.allow("Write", "--topic "+c.facts.Name)})
	}
	if !c.facts.Allowed[Read] {
		found = append(found, verdict{
			Error, "this user may not read: an event whose attempt died stays unknown (504), and keys that Redis lost cannot be rebuilt, so that keyed events get 503",
			c.allow("Read", "--topic "+c.facts.Name),
		})
	}
	if found == nil {
		return fine("this user may write and read")
	}
	return found
}

func (c topicCheck) settings() []verdict {
	if c.facts.Settings != nil {
		return nil // the other rules say what they are
	}
	return []verdict{{
		Warning, "Kafka does not tell the topic's settings, so retention, min.insync.replicas, sizes and compaction are not checked, and the gateway assumes Kafka's defaults: " + c.facts.SettingsProblem,
		c.allow("DescribeConfigs", "--topic "+c.facts.Name),
	}}
}

func (c topicCheck) shared() []verdict {
	if len(c.needs.Types) < 2 {
		return nil
	}
	return fine("%d event types share the topic, its settings and its order: %s", len(c.needs.Types), several(c.needs.Types))
}

// group gathers what one check says of many topics: what is the same of several
// topics is said once.
type group struct {
	check    string
	findings []Finding
	subjects map[verdict][]string
	at       map[verdict]int
}

func newGroup(check string) *group {
	return &group{check: check, subjects: map[verdict][]string{}, at: map[verdict]int{}}
}

func (g *group) add(topic string, verdicts []verdict) {
	for _, v := range verdicts {
		if _, ok := g.at[v]; !ok {
			g.at[v] = len(g.findings)
			g.findings = append(g.findings, Finding{Severity: v.severity, Check: g.check, What: v.what, Do: v.do})
		}
		g.subjects[v] = append(g.subjects[v], topic)
		g.findings[g.at[v]].Subject = several(g.subjects[v])
	}
}
