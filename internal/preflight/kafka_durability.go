package preflight

import "fmt"

// An acknowledgement means that the event is on at least min.insync.replicas brokers.
// These rules check what remains of that when brokers are lost.

func (c topicCheck) replication() []ruleResult {
	replicas := c.facts.FewestReplicas()
	switch {
	case replicas > 1:
		return fine("%d replicas", replicas)
	case len(c.kafka.facts.Brokers) == 1:
		return []ruleResult{{
			Warning, "1 replica, on the cluster's only broker: with its disk all events are lost, and while it is away none are taken",
			"nothing, if this is for development; else use three brokers, and topics with 3 replicas",
		}}
	}
	return []ruleResult{{
		Error, fmt.Sprintf("1 replica in a cluster of %d brokers: with that broker's disk acknowledged events are lost, and while it is away none are taken", len(c.kafka.facts.Brokers)),
		fmt.Sprintf("give it 3 replicas: kafka-reassign-partitions.sh --bootstrap-server %s --reassignment-json-file FILE --execute, then %s",
			c.kafka.needs.Bootstrap, c.set("min.insync.replicas", 2)),
	}}
}

func (c topicCheck) minInSync() []ruleResult {
	replicas := c.facts.FewestReplicas()
	least, known := c.facts.Settings.Number("min.insync.replicas")
	fewest := int(least)
	switch {
	case !known:
		return nil
	case fewest > replicas:
		return []ruleResult{{
			Error, fmt.Sprintf("min.insync.replicas is %d and there are %s: Kafka refuses every event", fewest, count(replicas, "replica")),
			c.set("min.insync.replicas", max(1, replicas-1)) + ", or more replicas",
		}}
	case replicas == 1:
		return nil // the replication rule reports it
	case fewest == 1:
		return []ruleResult{{
			Error, fmt.Sprintf("min.insync.replicas is 1: an event is acknowledged while only one of its %d replicas may have it, and is lost with that broker", replicas),
			c.set("min.insync.replicas", 2) + moreReplicas(replicas),
		}}
	case fewest == replicas:
		return []ruleResult{{
			Warning, fmt.Sprintf("min.insync.replicas is %d of %d replicas: one broker that is restarted stops all writes", fewest, replicas),
			"give it more replicas" + lower(fewest, c.set("min.insync.replicas", 2)),
		}}
	}
	return fine("min.insync.replicas is %d of %d replicas", fewest, replicas)
}

func moreReplicas(replicas int) string {
	if replicas > 2 {
		return ""
	}
	return "; with 2 replicas one broker that is away then stops writes, so give it 3"
}

func lower(fewest int, line string) string {
	if fewest <= 2 {
		return ""
	}
	return ", or " + line
}

func (c topicCheck) inSync() []ruleResult {
	least, _ := c.facts.Settings.Number("min.insync.replicas") // 0 if not known
	if int(least) > c.facts.FewestReplicas() {
		least = 0 // the min-insync rule reports it
	}
	if ids := c.facts.numbers(func(p PartitionFacts) bool { return !p.Led }); ids != nil {
		return []ruleResult{{
			Error, fmt.Sprintf("%d of %s without a leader (%s): their events are refused", len(ids), count(len(c.facts.Partitions), "partition"), several(ids)),
			"start the brokers that are down; kafka-topics.sh --describe --unavailable-partitions lists what waits for them",
		}}
	}
	if ids := c.facts.numbers(func(p PartitionFacts) bool { return p.InSync < int(least) }); ids != nil {
		return []ruleResult{{
			Error, fmt.Sprintf("%d of %s with fewer replicas in sync than min.insync.replicas, which is %d (%s): their events are refused now", len(ids), count(len(c.facts.Partitions), "partition"), least, several(ids)),
			"start the brokers that are down, or wait until their replicas have caught up; kafka-topics.sh --describe --under-min-isr-partitions lists them",
		}}
	}
	if ids := c.facts.numbers(func(p PartitionFacts) bool { return p.InSync < p.Replicas }); ids != nil {
		return []ruleResult{{
			Warning, fmt.Sprintf("%d of %s with replicas that are not in sync (%s): a broker is down or behind, and one less stops writes or loses events", len(ids), count(len(c.facts.Partitions), "partition"), several(ids)),
			"start the brokers that are down, or wait until their replicas have caught up; kafka-topics.sh --describe --under-replicated-partitions lists them",
		}}
	}
	return fine("all replicas are in sync")
}

func (c topicCheck) uncleanElection() []ruleResult {
	unclean, known := c.facts.Settings["unclean.leader.election.enable"]
	switch {
	case !known || c.facts.FewestReplicas() == 1: // there is no other replica to elect
		return nil
	case unclean == "true":
		return []ruleResult{{
			Warning, "unclean.leader.election.enable is true: when all replicas in sync are away, one that lacks acknowledged events may lead, and they are lost",
			c.set("unclean.leader.election.enable", false),
		}}
	}
	return fine("no unclean leader election")
}
