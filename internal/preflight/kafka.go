package preflight

import "fmt"

// Kafka compares the facts about Kafka with what the promise needs of it
// (docs/guarantees.md, "What it rests on"). It is an error if one lost broker loses
// acknowledged events, or if a retry can be published again, and a warning if that takes
// two failures. A cluster of one broker can promise no more than its disk, which is a
// warning: such a cluster is for development.
func Kafka(facts KafkaFacts, needs KafkaNeeds) []Finding {
	findings := compression(needs)
	if facts.Unreachable != nil {
		return append(findings, unreachable(*facts.Unreachable, needs))
	}
	k := kafka{facts: facts, needs: needs}
	findings = append(findings, Finding{
		Severity: OK, Check: "kafka.reach", Subject: needs.Bootstrap,
		What: fmt.Sprintf("cluster %s answers; it has %s", facts.ClusterID, count(len(facts.Brokers), "broker")),
	})
	findings = append(findings, k.brokers()...)
	if facts.Client != nil {
		findings = append(findings, k.client()...)
	}
	findings = append(findings, k.producer()...)
	findings = append(findings, k.topics()...)
	for _, t := range facts.Own {
		findings = append(findings, k.own(t)...)
	}
	findings = append(findings, k.groups()...)
	if facts.Transactions != nil {
		findings = append(findings, k.transactions())
	}
	return findings
}

type kafka struct {
	facts KafkaFacts
	needs KafkaNeeds
}

func unreachable(u Unreachable, needs KafkaNeeds) Finding {
	do := map[Obstacle]string{
		BadSettings:  "correct kafka.properties",
		NoSuchHost:   "correct the host in kafka.brokers, or the name service of this machine",
		NoConnection: "see that brokers listen at kafka.brokers and that no firewall is between; security.protocol in kafka.properties must be that of the brokers' listener; an address that is not in kafka.brokers is one that a broker advertises (advertised.listeners)",
		NoTLS:        "name the authority that signed the brokers' certificates with ssl.ca.location in kafka.properties; kafka.brokers must use the names in the certificates",
		NoLogin:      "correct sasl.mechanisms, sasl.username and sasl.password in kafka.properties",
		NoAnswer:     "see that brokers listen at kafka.brokers and that no firewall drops packets between",
	}[u.Obstacle]
	what := "no broker answers, so all events are refused (503 log-unavailable): "
	if u.Obstacle == BadSettings {
		what = "the Kafka client does not start: "
	}
	return Finding{Severity: Error, Check: "kafka.reach", Subject: needs.Bootstrap, What: what + u.What, Do: do}
}

// brokers checks whether every broker answers at the address that it advertises: the
// first connection may have been to another broker.
func (k kafka) brokers() []Finding {
	var findings []Finding
	answering, withSettings := 0, 0
	for _, b := range k.facts.Brokers {
		if b.Unreachable != "" {
			findings = append(findings, Finding{
				Severity: Error, Check: "kafka.broker", Subject: b.Address,
				What: fmt.Sprintf("broker %d does not answer at the address that it advertises: %s; events for partitions that it leads are refused or get 504", b.ID, b.Unreachable),
				Do:   "make that address reachable from here, or correct advertised.listeners of the broker; if the broker is down, start it",
			})
			continue
		}
		answering++
		if b.Settings != nil {
			withSettings++
		}
	}
	if answering > 0 {
		findings = append(findings, Finding{
			Severity: OK, Check: "kafka.broker",
			What: count(answering, "broker") + " answered at the advertised address",
		})
	}
	if answering > withSettings {
		findings = append(findings, Finding{
			Severity: Warning, Check: "kafka.broker.settings",
			What: "brokers do not tell this user their settings: recovery reads on quiet partitions wait by Kafka's default replica.lag.time.max.ms (30 s), right or not",
			Do:   k.allow("DescribeConfigs", "--cluster"),
		})
	}
	return findings
}

func (k kafka) producer() []Finding {
	if k.facts.ProducerRefused == "" {
		return nil
	}
	return []Finding{{
		Severity: Error, Check: "kafka.producer",
		What: "Kafka refuses this user an idempotent producer, so nothing can be written: " + k.facts.ProducerRefused,
		Do:   "allow Write on the topics of the event types; Kafka before 2.8 also needs " + k.allow("IdempotentWrite", "--cluster"),
	}}
}

// setTopic is the command line that changes a topic's setting.
func (k kafka) setTopic(name, setting string, value any) string {
	return fmt.Sprintf("kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s --add-config %s=%v",
		k.needs.Bootstrap, name, setting, value)
}

// allow is the command line that gives the gateway's user a permission.
func (k kafka) allow(operation, on string) string {
	return fmt.Sprintf("kafka-acls.sh --bootstrap-server %s --add --allow-principal User:GATEWAY_USER --operation %s %s", k.needs.Bootstrap, operation, on)
}
