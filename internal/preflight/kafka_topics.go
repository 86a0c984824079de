package preflight

import "fmt"

// ruleResult is what a rule found about one topic.
type ruleResult struct {
	severity Severity
	what, do string
}

func fine(format string, args ...any) []ruleResult {
	return []ruleResult{{severity: OK, what: fmt.Sprintf(format, args...)}}
}

// topicCheck is a topic that exists, with what is needed of it.
type topicCheck struct {
	kafka
	facts TopicFacts
	needs TopicNeeds
	own   *ownDuty // nil: events are written to it
}

func (c topicCheck) set(setting string, value any) string {
	return c.setTopic(c.facts.Name, setting, value)
}

// topicRule checks one property of a topic. It has no result where the facts are not known.
type topicRule struct {
	check string
	look  func(topicCheck) []ruleResult
	own   bool // holds for the gateway's own topics as well
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
		{"kafka.topic.dead-letters", topicCheck.deadLetters, false},
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

// presence says whether the topic exists and, if not, whether that is acceptable.
func (k kafka) presence(t TopicFacts) []ruleResult {
	switch t.Presence {
	case Present:
		return fine("%s", count(len(t.Partitions), "partition"))
	case Hidden:
		return []ruleResult{{
			Error, "this user may not see the topic, so its event types answer 503 as if it were missing",
			k.allow("Describe", "--topic "+t.Name),
		}}
	case Missing:
		return k.missing(t)
	case Unclear:
	}
	return []ruleResult{{Warning, "Kafka could not tell whether the topic is there: " + t.Problem, "see whether the brokers are healthy, then check again"}}
}

func (k kafka) missing(t TopicFacts) []ruleResult {
	apply := "gateway topics apply -c FILE creates it"
	switch {
	case !k.needs.CreateTopics:
		return []ruleResult{{
			Error, "the topic is missing: its event types answer 503 log-unavailable until it is created",
			apply + "; so does " + k.createLine(t.Name),
		}}
	case t.Creation == nil:
		return []ruleResult{{Warning, t.creationUnsaid(), apply}}
	case t.Creation.NotAllowed:
		return []ruleResult{{
			Error, "the topic is missing, and this user may not create it: " + t.Creation.Refused,
			k.allow("Create", "--topic "+t.Name) + ", or create it as another user: " + k.createLine(t.Name),
		}}
	case t.Creation.Refused != "":
		return []ruleResult{{
			Error, fmt.Sprintf("the topic is missing, and Kafka would not create it with %s and %s: %s",
				count(k.needs.Partitions, "partition"), count(k.needs.Replication, "replica"), t.Creation.Refused),
			"correct kafka.create_topics",
		}}
	}
	return []ruleResult{{
		Warning, fmt.Sprintf("the topic is missing; the gateway will create it with %s, %s and settings that fit",
			count(k.needs.Partitions, "partition"), count(k.needs.Replication, "replica")),
		apply + " now",
	}}
}

// creationUnsaid is the finding where Kafka did not answer: that is neither a yes nor a no.
func (t TopicFacts) creationUnsaid() string {
	return "the topic is missing, and Kafka did not say whether it would let the gateway create it: " + t.Problem
}

func (k kafka) createLine(name string) string {
	return fmt.Sprintf("kafka-topics.sh --bootstrap-server %s --create --topic %s --partitions %d --replication-factor %d --config min.insync.replicas=2",
		k.needs.Bootstrap, name, k.needs.Partitions, k.needs.Replication)
}

func (c topicCheck) permissions() []ruleResult {
	if c.facts.Allowed == nil {
		return []ruleResult{{
			Warning, "Kafka does not say what this user may do with the topic (brokers before 2.3 never do)",
			"see with kafka-acls.sh --list that the gateway's user may Describe, Read and Write",
		}}
	}
	if c.own != nil {
		return c.ownPermissions()
	}
	var found []ruleResult
	if !c.facts.Allowed[Write] {
		found = append(found, ruleResult{Error, "this user may not write: events are refused", c.allow("Write", "--topic "+c.facts.Name)})
	}
	if !c.facts.Allowed[Read] {
		found = append(found, ruleResult{
			Error, "this user may not read: an event whose attempt died stays unknown (504), and keys that Redis lost cannot be rebuilt, so that keyed events get 503",
			c.allow("Read", "--topic "+c.facts.Name),
		})
	}
	if found == nil {
		return fine("this user may write and read")
	}
	return found
}

func (c topicCheck) settings() []ruleResult {
	if c.facts.Settings != nil {
		return nil // the other rules check them
	}
	return []ruleResult{{
		Warning, "Kafka does not tell the topic's settings, so retention, min.insync.replicas, sizes and compaction are not checked, and the gateway assumes Kafka's defaults: " + c.facts.SettingsProblem,
		c.allow("DescribeConfigs", "--topic "+c.facts.Name),
	}}
}

func (c topicCheck) shared() []ruleResult {
	if len(c.needs.Types) < 2 {
		return nil
	}
	return fine("%d event types share the topic, its settings and its order: %s", len(c.needs.Types), several(c.needs.Types))
}

// group collects the findings of one check about many topics: a finding that is the same
// for several topics is reported once.
type group struct {
	check    string
	findings []Finding
	subjects map[ruleResult][]string
	at       map[ruleResult]int
}

func newGroup(check string) *group {
	return &group{check: check, subjects: map[ruleResult][]string{}, at: map[ruleResult]int{}}
}

func (g *group) add(topic string, results []ruleResult) {
	for _, v := range results {
		if _, ok := g.at[v]; !ok {
			g.at[v] = len(g.findings)
			g.findings = append(g.findings, Finding{Severity: v.severity, Check: g.check, What: v.what, Do: v.do})
		}
		g.subjects[v] = append(g.subjects[v], topic)
		g.findings[g.at[v]].Subject = several(g.subjects[v])
	}
}
