package preflight

import (
	"fmt"
	"time"
)

// ClientFacts says which client writes records, and what limits it.
type ClientFacts struct {
	Name   string // franz-go or librdkafka
	Reason string // why it is this one
	// Reached is how many brokers franz-go reaches, if it writes. Unasked is how many
	// were not asked before the time was up.
	Reached, Unasked int
	// Failures are those that librdkafka reaches and franz-go does not.
	Failures []ClientFailure
	// RoundTrip is how long a broker takes to answer. It is measured if librdkafka writes
	// without transactions; 0: not known.
	RoundTrip time.Duration
}

// ClientFailure is why franz-go does not reach a broker.
type ClientFailure struct {
	Address  string
	Obstacle Obstacle
	What     string // in the words of franz-go, or of Go's TLS
}

// longWait is how long an event may wait for the requests of other partitions before
// that is worth a warning: a multiple of what an acknowledgement takes otherwise.
const longWait = 50 * time.Millisecond

// client checks the client that writes.
func (k kafka) client() []Finding {
	c := k.facts.Client
	findings := []Finding{{Severity: OK, Check: "kafka.client", What: c.Name + " writes the records: " + c.Reason}}
	findings = append(findings, k.clientReach()...)
	if c.RoundTrip > 0 {
		findings = append(findings, k.clientWait()...)
	}
	return findings
}

// clientReach checks whether franz-go reaches what librdkafka reaches. Go's TLS is not
// OpenSSL. Brokers with the same kind of failure make one finding: a certificate is
// mostly wrong on all of them.
func (k kafka) clientReach() []Finding {
	const check = "kafka.client.reach"
	c := k.facts.Client
	var findings []Finding
	addresses, first := map[Obstacle][]string{}, map[Obstacle]string{}
	var order []Obstacle
	for _, f := range c.Failures {
		if addresses[f.Obstacle] == nil {
			order = append(order, f.Obstacle)
			first[f.Obstacle] = f.What
		}
		addresses[f.Obstacle] = append(addresses[f.Obstacle], f.Address)
	}
	for _, o := range order {
		brokers := "this broker"
		if len(addresses[o]) > 1 {
			brokers = "these brokers"
		}
		findings = append(findings, Finding{
			Severity: Error, Check: check, Subject: several(addresses[o]),
			What: "librdkafka reaches " + brokers + " and franz-go, which writes, does not, so events get 504: " + first[o], Do: reachWithFranz(o),
		})
	}
	if c.Unasked > 0 {
		findings = append(findings, Finding{
			Severity: Warning, Check: check, What: fmt.Sprintf("there was no time to see whether franz-go, which writes, reaches %s", count(c.Unasked, "broker")),
			Do: "check again with a longer --timeout",
		})
	}
	if c.Reached > 0 {
		findings = append(findings, Finding{Severity: OK, Check: check, What: "franz-go reaches " + count(c.Reached, "broker")})
	}
	return findings
}

// reachWithFranz is what to do where only librdkafka gets past the obstacle.
func reachWithFranz(o Obstacle) string {
	const other = "write kafka.client: librdkafka"
	switch o {
	case NoTLS:
		return "give the broker a certificate that has its name or address as a subject alternative name (Go ignores the common name), " +
			"and let it speak TLS 1.2 or 1.3 with ECDHE; or " + other
	case NoLogin:
		return "correct sasl.mechanisms, sasl.username and sasl.password in kafka.properties, or " + other
	}
	return "check again; if franz-go still fails, " + other
}

// clientWait checks how long an event waits behind other partitions. librdkafka puts one
// partition into each request, and the gateway lets it have one request per broker in
// flight (ADR 0011).
func (k kafka) clientWait() []Finding {
	const check = "kafka.client.wait"
	broker, partitions := k.busiestLeader()
	if partitions < 2 {
		return nil // one partition never waits for another
	}
	trip := k.facts.Client.RoundTrip
	wait := time.Duration(partitions) * trip
	if wait <= longWait {
		return []Finding{{
			Severity: OK, Check: check, What: fmt.Sprintf("broker %d leads %s and answers in %s: an event waits at most about %s for the others",
				broker, count(partitions, "partition"), milliseconds(trip), milliseconds(wait)),
		}}
	}
	return []Finding{{
		Severity: Warning, Check: check, What: fmt.Sprintf("broker %d leads %s and answers in %s. librdkafka puts one partition into a request and has one request per broker in flight, "+
			"so the broker takes at most %s requests a second, and an event may wait %s, plus the time that replication takes",
			broker, count(partitions, "partition"), milliseconds(trip), countText(float64(time.Second)/float64(trip)), milliseconds(wait)),
		Do: "let franz-go write (kafka.client: auto or franz, without properties that only librdkafka has), or give the topics fewer partitions, or write kafka.guarantee: transactional",
	}}
}

// busiestLeader is the broker that leads most of the topics' partitions, and how many.
func (k kafka) busiestLeader() (broker, partitions int) {
	led := map[int]int{}
	for _, t := range k.facts.Topics {
		for _, p := range t.Partitions {
			if p.Led {
				led[p.Leader]++
			}
		}
	}
	for id, n := range led {
		if n > partitions || n == partitions && id < broker {
			broker, partitions = id, n
		}
	}
	return broker, partitions
}
