package torture

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Record is what the checker reads of a Kafka record.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Key       string
	Claim     string // gw_claim
	ID        string // ce_id
	Value     string
	Attempt   int    // ce_attempt: which request wrote it; 0 in webhooks
	Problem   string // gw_problem, of a dead letter
	Time      int64  // Unix milliseconds, by the clock of the gateway that wrote it
}

// Violation is one broken rule.
type Violation struct {
	Rule string // "a" to "g"
	Text string
	Keys []*Key // whose history belongs to it; may be empty
}

// String is one line.
func (v Violation) String() string { return "(" + v.Rule + ") " + v.Text }

// Facts are what the rules need to know about a run.
type Facts struct {
	PartitionsAdded bool // an entity may then be in more than one partition
}

// Check compares the history with the whole log, which is in its order within each
// partition, and returns the violations of rules (a) to (e) and (g).
func Check(keys []*Key, log []Record, facts Facts) []Violation {
	c := newChecker(keys, log, facts)
	for _, k := range keys {
		c.receipts(k)
		c.contents(k)
		c.notWritten(k)
		c.answers(k)
		c.questions(k)
	}
	c.duplicates()
	c.unknownRecords()
	c.order()
	c.heldBack(keys)
	slices.SortStableFunc(c.found, func(a, b Violation) int { return cmp.Compare(a.Rule, b.Rule) })
	return c.found
}

type position struct {
	topic     string
	partition int32
	offset    int64
}

// entity is what orders its events: types on the same topic share it.
type entity struct{ topic, name string }

func (e entity) compare(other entity) int {
	return cmp.Or(cmp.Compare(e.topic, other.topic), cmp.Compare(e.name, other.name))
}

type checker struct {
	facts    Facts
	log      []Record
	byClaim  map[string][]*Record
	at       map[position]*Record
	keyOf    map[string]*Key // by claim
	entities map[entity][]*Record
	found    []Violation
}

func newChecker(keys []*Key, log []Record, facts Facts) *checker {
	c := &checker{
		facts: facts, log: log,
		byClaim: make(map[string][]*Record, len(log)), at: make(map[position]*Record, len(log)),
		keyOf: make(map[string]*Key, len(keys)), entities: map[entity][]*Record{},
	}
	for _, k := range keys {
		c.keyOf[k.Claim()] = k
	}
	for i := range log {
		r := &log[i]
		c.byClaim[r.Claim] = append(c.byClaim[r.Claim], r)
		c.at[position{r.Topic, r.Partition, r.Offset}] = r
		if r.Key != "" {
			of := entity{r.Topic, r.Key}
			c.entities[of] = append(c.entities[of], r)
		}
	}
	return c
}

func (c *checker) report(rule string, keys []*Key, format string, args ...any) {
	c.found = append(c.found, Violation{Rule: rule, Keys: keys, Text: fmt.Sprintf(format, args...)})
}

// receipts checks that (a) the record of every 2xx is where its receipt says, and (e)
// all receipts of a key are the same.
func (c *checker) receipts(k *Key) {
	first := k.Accepted()
	if first == nil {
		return
	}
	if err := c.holds(k, first); err != nil {
		c.report("a", []*Key{k}, "%s was answered 202, but %v", k.Name, err)
	}
	for i := range k.Attempts {
		r := k.Attempts[i].Receipt
		if r == nil || r == first || *r == *first {
			continue
		}
		c.report("e", []*Key{k}, "%s has two receipts: %s and %s", k.Name, first.Body, r.Body)
		if err := c.holds(k, r); err != nil {
			c.report("a", []*Key{k}, "%s was answered 202 again, but %v", k.Name, err)
		}
	}
}

func (c *checker) holds(k *Key, r *Receipt) error {
	rec := c.at[position{r.Topic, r.Partition, r.Offset}]
	switch {
	case rec == nil:
		return fmt.Errorf("nothing is in %s partition %d at offset %d", r.Topic, r.Partition, r.Offset)
	case rec.Claim != k.Claim():
		return fmt.Errorf("in %s partition %d at offset %d is another event: %s", r.Topic, r.Partition, r.Offset, rec.Value)
	}
	return nil
}

// contents checks that (a) each record has the bytes of some request, in its topic and
// under its entity; and (c) that request was not answered not-written, as a request is
// whose event was held back.
func (c *checker) contents(k *Key) {
	for _, r := range c.byClaim[k.Claim()] {
		where := places([]*Record{r})
		switch {
		case r.Topic != k.Topic():
			c.report("a", []*Key{k}, "%s is in %s, not in %s", k.Name, where, k.Topic())
		case r.Key != k.RecordKey():
			c.report("a", []*Key{k}, "the record of %s in %s has the key %q, not %q", k.Name, where, r.Key, k.RecordKey())
		case r.Topic == deadTopic && r.Problem == "":
			c.report("a", []*Key{k}, "the dead letter %s in %s does not say why it is one", k.Name, where)
		}
		writers := k.writers(r)
		if len(writers) == 0 {
			c.report("a", []*Key{k}, "the record of %s in %s has the value %q of attempt %d, which no client sent", k.Name, where, r.Value, r.Attempt)
			continue
		}
		if !slices.ContainsFunc(writers, func(a *Attempt) bool { return a.Outcome != outcomeNotWritten }) {
			a := writers[0]
			c.report("c", []*Key{k}, "%s is in %s by attempt %d, which was answered %s", k.Name, where, a.Number, a.text())
		}
	}
}

// notWritten checks that (c) the log has no event that can never be accepted, and none
// of which every answer said not-written.
func (c *checker) notWritten(k *Key) {
	records := c.byClaim[k.Claim()]
	if len(records) == 0 {
		return
	}
	if why, never := k.never(); never {
		c.report("c", []*Key{k}, "%s is in %s, but %s", k.Name, places(records), why)
	} else if k.SurelyNotWritten() {
		c.report("c", []*Key{k}, "every answer to %s said not-written, but it is in %s", k.Name, places(records))
	}
}

// expected are the problems that a valid event may get. A gateway that stood still
// while it read a request answers 408.
var expected = map[string]bool{
	"503 overloaded not-written":                    true,
	"503 log-unavailable not-written":               true,
	"503 idempotency-store-unavailable not-written": true,
	"504 outcome-unknown unknown":                   true,
	"408 request-timeout not-written":               true,
}

// allowed tells whether this key may get the answer. Many webhook providers do not
// retry after a 409, and deliveries that do not fit are kept as dead letters.
func (k *Key) allowed(a *Attempt) bool {
	if k.eventType().refuses && a.refused() {
		return true
	}
	switch said := fmt.Sprintf("%d %s %s", a.Status, a.Slug, a.Outcome); said {
	case "409 request-in-progress unknown":
		return !k.Via.webhook()
	case "422 schema-violation not-written":
		return !k.Valid && !k.Via.webhook()
	case "413 event-too-large not-written":
		return k.TooLarge
	case "424 held-back not-written":
		return k.Via.batch() && a.Item
	default:
		return expected[said]
	}
}

// refused tells whether an answer may be that to an event which its topic refused: a
// type of problem that says either that nothing was written, or that it is not known.
func (a *Attempt) refused() bool {
	switch a.Status {
	case http.StatusRequestEntityTooLarge, http.StatusServiceUnavailable:
		return a.Outcome == outcomeNotWritten
	case http.StatusGatewayTimeout:
		return a.Outcome == outcomeUnknown
	}
	return false
}

// answers checks that (g) no answer is outside the contract.
func (c *checker) answers(k *Key) {
	for i := range k.Attempts {
		a := &k.Attempts[i]
		if _, never := k.never(); a.Status == 0 || a.Receipt != nil && !never {
			continue
		}
		if !k.allowed(a) {
			c.report("g", []*Key{k}, "%s was answered %d %s %s", k.Name, a.Status, a.Slug, a.Outcome)
		}
	}
}

// duplicates checks that (b) no claim is in the log twice.
func (c *checker) duplicates() {
	for _, claim := range slices.Sorted(maps.Keys(c.byClaim)) {
		records := c.byClaim[claim]
		if claim == "" || len(records) < 2 {
			continue
		}
		name, keys := "claim "+claim, []*Key(nil)
		if k := c.keyOf[claim]; k != nil {
			name, keys = k.Name, []*Key{k}
		}
		c.report("b", keys, "%s is in the log %d times: %s", name, len(records), places(records))
	}
}

// unknownRecords checks that every record was posted by a client. That is part of (b):
// a record with an unknown claim cannot be told from a duplicate.
func (c *checker) unknownRecords() {
	for i := range c.log {
		if r := &c.log[i]; c.keyOf[r.Claim] == nil {
			c.report("b", nil, "%s: no client posted an event with gw_claim %q", places([]*Record{r}), r.Claim)
		}
	}
}

// order checks that (d) within a partition the events of an entity are in their order.
// An entity is in one partition, unless partitions were added: gateways learn of that
// at different times.
func (c *checker) order() {
	for _, of := range slices.SortedFunc(maps.Keys(c.entities), entity.compare) {
		last := map[int32]*Key{}
		for _, r := range c.entities[of] {
			k := c.keyOf[r.Claim]
			if k == nil || k.Entity != of.name || k.Topic() != of.topic {
				continue // reported elsewhere
			}
			if before := last[r.Partition]; before != nil && before.Seq > k.Seq {
				c.report("d", []*Key{before, k}, "entity %s, partition %d: event %d (%s) is at offset %d, behind event %d (%s)",
					of.name, r.Partition, k.Seq, k.Name, r.Offset, before.Seq, before.Name)
			} else {
				last[r.Partition] = k
			}
		}
		if len(last) > 1 && !c.facts.PartitionsAdded {
			c.report("d", slices.Collect(maps.Values(last)), "entity %s is in partitions %v", of.name, slices.Sorted(maps.Keys(last)))
		}
	}
}

// heldBack checks that (d) in the answer to a batch, the events behind one of their
// entity that was not accepted are held back, and no others.
func (c *checker) heldBack(keys []*Key) {
	failed := map[int64]map[string]*Key{} // by request and entity
	for _, k := range keys {
		for i := range k.Attempts {
			a := &k.Attempts[i]
			if !a.Item {
				continue
			}
			before := failed[a.Request][k.Entity]
			switch heldBack := a.Slug == "held-back"; {
			case heldBack && before == nil:
				c.report("d", []*Key{k}, "%s was held back in request %d, but everything before it was accepted", k.Name, a.Request)
			case !heldBack && before != nil:
				c.report("d", []*Key{before, k}, "%s was answered %s in request %d, behind %s of the same entity, which was not accepted",
					k.Name, a.text(), a.Request, before.Name)
			}
			if a.Receipt != nil || before != nil {
				continue
			}
			if failed[a.Request] == nil {
				failed[a.Request] = map[string]*Key{}
			}
			failed[a.Request][k.Entity] = k
		}
	}
}

func places(records []*Record) string {
	var b strings.Builder
	for i, r := range records {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s partition %d offset %d", r.Topic, r.Partition, r.Offset)
	}
	return b.String()
}
