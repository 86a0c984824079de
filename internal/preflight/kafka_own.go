package preflight

import (
	"fmt"
	"strings"
)

// ownDuty says what the gateway does with one of its own topics, and what follows when it
// cannot.
type ownDuty struct {
	check string
	lists string // "the topic, which …"
	// without is what happens as long as the topic cannot be written or read, and severity
	// how bad that is.
	without  string
	severity Severity
	// forgotten is what happens when records are deleted by retention, hidden when they are
	// in a partition that is not read.
	forgotten, hidden string
}

func (d Duty) details() ownDuty {
	switch d {
	case ListsGateways:
		return ownDuty{
			"kafka.gateways", "lists gateways and generations of claims", "no keyed event can be taken", Error,
			"gateways, and generations of claims, are forgotten, a rebuild does not wait for what is under way, and events may be written twice",
			"gateways are looked for in the first only, and those before it was so may not be found",
		}
	case NotesTopics:
		return ownDuty{
			"kafka.topic-notes", "notes where events were written", "after a loss of Redis, the topics of schemas that were removed are not read, and retries of their events are written again", Warning,
			"where events of removed schemas were written is forgotten, and after a loss of Redis retries of these events are written again",
			"notes are looked for in the first only, and those before it was so may not be found",
		}
	case ListsProducers:
	}
	return ownDuty{
		"kafka.registry", "lists transactional ids", "no event can be written", Error,
		"the ids of producers that run for longer than the retention are forgotten, a rebuild does not fence them, and events may be written twice",
		"transactional ids are looked for in the first only: a rebuild leaves producers that it does not find there unfenced, and events may be written twice",
	}
}

// own checks a topic that the gateway keeps for itself.
func (k kafka) own(t OwnTopic) []Finding {
	duty := t.Duty.details()
	g := newGroup(duty.check)
	if t.Presence != Present {
		g.add(t.Name, k.ownPresence(t.TopicFacts, duty))
		return g.findings
	}
	c := topicCheck{kafka: k, facts: t.TopicFacts, own: &duty}
	g.add(t.Name, c.ownShape())
	findings := g.findings
	for _, rule := range topicRules() {
		if rule.own {
			g := newGroup(rule.check)
			g.add(t.Name, rule.look(c))
			findings = append(findings, g.findings...)
		}
	}
	return findings
}

func (k kafka) ownPresence(t TopicFacts, duty ownDuty) []ruleResult {
	create := fmt.Sprintf("kafka-topics.sh --bootstrap-server %s --create --topic %s --partitions 1 --config cleanup.policy=compact", k.needs.Bootstrap, t.Name)
	switch {
	case t.Presence == Hidden:
		return []ruleResult{{
			duty.severity, fmt.Sprintf("this user may not see the topic, which %s, so that %s", duty.lists, duty.without),
			k.allow("Describe", "--topic "+t.Name) + ", and the same with Create, Read and Write",
		}}
	case t.Presence != Missing:
		return k.presence(t)
	case t.Creation == nil:
		return []ruleResult{{Warning, t.creationUnsaid(), create}}
	case t.Creation.Refused != "":
		return []ruleResult{{
			duty.severity, fmt.Sprintf("the topic, which %s, is missing, and the gateway cannot create it, so %s: %s", duty.lists, duty.without, t.Creation.Refused),
			"create it (" + create + "), or " + k.allow("Create", "--topic "+t.Name),
		}}
	}
	return fine("missing; the gateway will create it")
}

func (c topicCheck) ownShape() []ruleResult {
	var found []ruleResult
	if n := len(c.facts.Partitions); n != 1 {
		found = append(found, ruleResult{
			c.own.severity, fmt.Sprintf("the topic has %d partitions, and %s", n, c.own.hidden),
			"stop all gateways, delete the topic and start them again: they create it with one partition",
		})
	}
	if policy := c.facts.Settings["cleanup.policy"]; c.facts.Settings != nil && policy != "compact" {
		found = append(found, ruleResult{
			c.own.severity, fmt.Sprintf("cleanup.policy is %q: %s", policy, c.own.forgotten),
			c.set("cleanup.policy", "compact"),
		})
	}
	if found == nil {
		return fine("%s in 1 partition", c.own.lists)
	}
	return found
}

// ownPermissions is permissions for one of the gateway's own topics.
func (c topicCheck) ownPermissions() []ruleResult {
	var missing, allow []string
	for _, operation := range [...]Operation{Read, Write} {
		if !c.facts.Allowed[operation] {
			missing = append(missing, strings.ToLower(string(operation)))
			allow = append(allow, c.allow(string(operation), "--topic "+c.facts.Name))
		}
	}
	if missing == nil {
		return fine("this user may write and read")
	}
	return []ruleResult{{
		c.own.severity, fmt.Sprintf("this user may not %s the topic, which %s, so that %s", strings.Join(missing, " or "), c.own.lists, c.own.without),
		strings.Join(allow, ", and "),
	}}
}
