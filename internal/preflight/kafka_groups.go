package preflight

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// SubscriptionNeeds is what a subscription needs of Kafka.
type SubscriptionNeeds struct {
	Name, Group string
	Topics      []string // that it reads
	RetryTotal  time.Duration
	Session     time.Duration // 0: the broker's
	Metadata    int           // characters of a commit's metadata, at most
}

// GroupFacts is what Kafka says of the consumer group of a subscription.
type GroupFacts struct {
	Group   string
	Refused string // Kafka's words when this user may not use it; empty if it may, or Kafka did not answer
}

// defaultGroupMetadata is Kafka's default of offset.metadata.max.bytes.
const defaultGroupMetadata = 4096

// groups checks what subscriptions need.
func (k kafka) groups() (findings []Finding) {
	for _, s := range k.needs.Subscriptions {
		var found []Finding
		add := func(severity Severity, check, what, do string) {
			found = append(found, Finding{Severity: severity, Check: check, Subject: s.Name, What: what, Do: do})
		}
		if at := slices.IndexFunc(k.facts.Groups, func(g GroupFacts) bool { return g.Group == s.Group }); at >= 0 && k.facts.Groups[at].Refused != "" {
			add(Error, "kafka.group.permissions", "this user may not use the group "+s.Group+", so nothing is delivered: "+k.facts.Groups[at].Refused,
				k.allow("Read", "--group "+s.Group))
		}
		for _, b := range k.facts.Brokers {
			if limit, known := b.Settings.Number("offset.metadata.max.bytes"); known && limit < int64(s.Metadata) {
				add(Error, "kafka.group.metadata",
					fmt.Sprintf("broker %d takes %d characters of metadata with a commit, and %d are needed: commits are refused, and events are delivered again and again", b.ID, limit, s.Metadata),
					"set offset.metadata.max.bytes to "+strconv.Itoa(defaultGroupMetadata)+", Kafka's default, in the settings of all brokers, and restart them")
				break
			}
		}
		if what, do := k.sessionProblem(s); what != "" {
			add(Error, "kafka.group.session", what, do)
		}
		for _, t := range k.facts.Topics {
			kept, known := t.Settings.Duration("retention.ms", time.Millisecond)
			if known && slices.Contains(s.Topics, t.Name) && kept < s.RetryTotal+LogMargin {
				add(Warning, "kafka.group.retention",
					fmt.Sprintf("%s keeps events for %s, and retry.total is %s: events may be deleted before they are delivered", t.Name, span(kept), span(s.RetryTotal)),
					k.setTopic(t.Name, "retention.ms", (s.RetryTotal+LogMargin).Milliseconds())+", or make retry.total shorter")
			}
		}
		if found == nil {
			found = []Finding{{Severity: OK, Check: "kafka.group", Subject: s.Name, What: "nothing known speaks against the consumer group " + s.Group}}
		}
		findings = append(findings, found...)
	}
	return findings
}

// sessionProblem says why the brokers refuse the session of a subscription.
func (k kafka) sessionProblem(s SubscriptionNeeds) (what, do string) {
	for _, b := range k.facts.Brokers {
		least, known := b.Settings.Duration("group.min.session.timeout.ms", time.Millisecond)
		most, knownToo := b.Settings.Duration("group.max.session.timeout.ms", time.Millisecond)
		if s.Session > 0 && known && knownToo && (s.Session < least || s.Session > most) {
			return fmt.Sprintf("session_timeout is %s, and broker %d takes %s to %s: no gateway can join the group, and nothing is delivered", span(s.Session), b.ID, span(least), span(most)),
				"write a session_timeout within that range"
		}
	}
	return "", ""
}
