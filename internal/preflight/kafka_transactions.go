package preflight

import (
	"fmt"
	"time"
)

// registry checks the topic that lists transactional ids. A rebuild fences the ids that
// it finds there: a producer whose id is not listed could still write.
func (k kafka) registry() []Finding {
	t := *k.facts.Registry
	g := newGroup("kafka.registry")
	if t.Presence != Present {
		g.add(t.Name, k.registryPresence(t))
		return g.findings
	}
	c := topicCheck{kafka: k, facts: t}
	g.add(t.Name, c.registryShape())
	findings := g.findings
	for _, rule := range topicRules() {
		if rule.registry {
			g := newGroup(rule.check)
			g.add(t.Name, rule.look(c))
			findings = append(findings, g.findings...)
		}
	}
	return findings
}

func (k kafka) registryPresence(t TopicFacts) []ruleResult {
	create := fmt.Sprintf("kafka-topics.sh --bootstrap-server %s --create --topic %s --partitions 1 --config cleanup.policy=compact", k.needs.Bootstrap, t.Name)
	switch {
	case t.Presence != Missing:
		return k.presence(t)
	case t.Creation == nil:
		return []ruleResult{{Warning, t.creationUnsaid(), create}}
	case t.Creation.Refused != "":
		return []ruleResult{{
			Error, "the topic, which lists transactional ids, is missing, and the gateway cannot create it, so no event can be written: " + t.Creation.Refused,
			"create it (" + create + "), or " + k.allow("Create", "--topic "+t.Name),
		}}
	}
	return fine("missing; the gateway will create it")
}

func (c topicCheck) registryShape() []ruleResult {
	var found []ruleResult
	if n := len(c.facts.Partitions); n != 1 {
		found = append(found, ruleResult{
			Error, fmt.Sprintf("the topic has %d partitions, and transactional ids are looked for in the first only: a rebuild leaves producers that it does not find there unfenced, and events may be written twice", n),
			"stop all gateways, delete the topic and start them again: they create it with one partition",
		})
	}
	if policy := c.facts.Settings["cleanup.policy"]; c.facts.Settings != nil && policy != "compact" {
		found = append(found, ruleResult{
			Error, fmt.Sprintf("cleanup.policy is %q: the ids of producers that run for longer than the retention are forgotten, a rebuild does not fence them, and events may be written twice", policy),
			c.set("cleanup.policy", "compact"),
		})
	}
	if found == nil {
		return fine("lists transactional ids in 1 partition")
	}
	return found
}

func (k kafka) transactions() Finding {
	t := *k.facts.Transactions
	f := Finding{Severity: Error, Check: "kafka.transactions", Subject: t.ID}
	switch t.Problem {
	case TransactionsWork:
		f.Severity, f.What = OK, "a transactional producer was initialised"
	case TransactionsNotAllowed:
		f.What = "this user may not use transactional ids of the gateway, so no event can be written: " + t.What
		f.Do = k.allow("Write", fmt.Sprintf("--transactional-id %s --resource-pattern-type prefixed", k.needs.TransactionalIDPrefix+"-"))
	case TransactionsTooLong:
		f.What = fmt.Sprintf("kafka.transaction_timeout is %s and the brokers take %s (transaction.max.timeout.ms), so no event can be written: %s",
			span(k.needs.TransactionTimeout), k.longestTransaction(), t.What)
		f.Do = "lower kafka.transaction_timeout, or raise transaction.max.timeout.ms of the brokers"
	default:
		f.What = "a transactional producer could not be initialised, so no event can be written: " + t.What
		f.Do = "see that the brokers can create and lead the partitions of __transaction_state: its replication (transaction.state.log.replication.factor, 3 by default) must not exceed the number of brokers"
	}
	return f
}

// longestTransaction is what the brokers allow, in words.
func (k kafka) longestTransaction() string {
	for _, b := range k.facts.Brokers {
		if most, known := b.Settings.Duration("transaction.max.timeout.ms", time.Millisecond); known {
			return "at most " + span(most)
		}
	}
	return "less"
}
