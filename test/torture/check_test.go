package torture

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// story makes a history and the log that goes with it.
type story struct {
	keys []*Key
	log  []Record
}

// order adds the seq-th event of an entity.
func (s *story) order(entity string, seq int) *Key {
	k := &Key{Name: fmt.Sprintf("%s-%d", entity, seq), Entity: entity, Seq: seq, Valid: true}
	s.keys = append(s.keys, k)
	return k
}

// write puts the key's record into partition 0, as its n-th attempt has it.
func (s *story) writeAs(k *Key, n int) *Receipt {
	offset := int64(len(s.log))
	r := Record{Topic: k.Topic(), Partition: 0, Offset: offset, Key: k.RecordKey(), Claim: k.Claim(), Value: k.Body(n), Attempt: n}
	if k.Via.webhook() {
		r.Attempt = 0
	}
	if r.Topic == deadTopic {
		r.Problem = "schema-violation"
	}
	s.log = append(s.log, r)
	return at(r.Topic, 0, offset)
}

func (s *story) write(k *Key) *Receipt { return s.writeAs(k, 0) }

// last is the record that was written last.
func (s *story) last() *Record { return &s.log[len(s.log)-1] }

func at(topic string, partition int32, offset int64) *Receipt {
	return &Receipt{Topic: topic, Partition: partition, Offset: offset, Body: fmt.Sprintf(`{"offset":%d}`, offset)}
}

func accepted(r *Receipt) Attempt { return Attempt{Status: 202, Receipt: r} }

func refused() Attempt {
	return Attempt{Status: 503, Slug: "log-unavailable", Outcome: outcomeNotWritten}
}

func unknown() Attempt {
	return Attempt{Status: 504, Slug: "outcome-unknown", Outcome: "unknown"}
}

func noAnswer() Attempt { return Attempt{Slug: "EOF"} }

// good is two entities with three events each, and one refused and one invalid key.
func good() *story {
	s := &story{}
	for seq := range 3 {
		for _, entity := range []string{"x", "y"} {
			k := s.order(entity, seq)
			r := s.write(k)
			k.add(refused())
			k.add(accepted(r))
			again := *r
			k.add(Attempt{Status: 202, Receipt: &again, Replayed: true})
		}
	}
	s.order("z", 0).add(refused())
	invalid := s.order("z", 1)
	invalid.Valid = false
	invalid.add(Attempt{Status: 422, Slug: "schema-violation", Outcome: outcomeNotWritten})
	return s
}

func TestGoodHistoryPasses(t *testing.T) {
	t.Parallel()
	s := good()
	require.Empty(t, Check(s.keys, s.log, Facts{}))
	require.Same(t, s.keys[0].Attempts[1].Receipt, s.keys[0].Attempts[2].Receipt, "equal receipts are kept once")

	s = good()
	s.order("x", 3).add(noAnswer()) // not written, or …
	written := s.order("y", 3)
	written.add(noAnswer())
	s.write(written) // … written: both are fine
	require.Empty(t, Check(s.keys, s.log, Facts{}))
}

// TestEveryRuleReports: each way to break a history is seen, by its rule.
func TestEveryRuleReports(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(s *story)
		want  []string // rules; each at least once, and no other
		text  string
	}{
		"a: nothing is there": {func(s *story) {
			s.order("n", 0).add(accepted(at(ordersTopic, 7, 3)))
		}, []string{"a"}, "nothing is in torture partition 7 at offset 3"},
		"a: another event is there": {func(s *story) {
			k := s.order("n", 0)
			s.write(k)
			k.add(accepted(at(ordersTopic, 0, 0)))
		}, []string{"a"}, "is another event"},
		"a: other bytes are there": {func(s *story) {
			k := s.order("n", 0)
			k.add(accepted(s.write(k)))
			s.log[len(s.log)-1].Value = "{}"
		}, []string{"a"}, `has the value "{}"`},
		"a: another record key is there": {func(s *story) {
			k := s.order("n", 0)
			k.add(accepted(s.write(k)))
			s.log[len(s.log)-1].Key = "m"
		}, []string{"a"}, `has the key "m"`},
		"b: twice": {func(s *story) {
			k := s.keys[4]
			s.write(k)
		}, []string{"b"}, "is in the log 2 times: torture partition 0 offset 4, torture partition 0 offset 6"},
		"b: twice, and nobody was told": {func(s *story) {
			k := s.order("n", 0)
			k.add(unknown())
			s.write(k)
			s.write(k)
		}, []string{"b"}, "n-0 is in the log 2 times"},
		"b: nobody posted it": {func(s *story) {
			s.log = append(s.log, Record{Topic: ordersTopic, Offset: 99, Claim: "c0ffee"})
		}, []string{"b"}, `no client posted an event with gw_claim "c0ffee"`},
		"c: there in spite of not-written": {func(s *story) {
			k := s.order("n", 0)
			k.add(refused())
			k.add(refused())
			s.write(k)
		}, []string{"c"}, "every answer to n-0 said not-written"},
		"c: an invalid event": {func(s *story) { s.write(s.keys[len(s.keys)-1]) }, []string{"c"}, "but it is invalid"},
		"d: two are swapped": {func(s *story) {
			first, second := s.order("n", 0), s.order("n", 1)
			second.add(accepted(s.write(second)))
			first.add(accepted(s.write(first)))
		}, []string{"d"}, "event 0 (n-0) is at offset 7, behind event 1 (n-1)"},
		"d: a late copy": {func(s *story) { s.write(s.keys[0]) }, []string{"b", "d"}, ""},
		"d: two partitions": {func(s *story) {
			k := s.order("x", 3)
			s.log = append(s.log, Record{Topic: ordersTopic, Partition: 1, Key: k.Entity, Claim: k.Claim(), Value: k.Body(0)})
			k.add(accepted(at(ordersTopic, 1, 0)))
		}, []string{"d"}, "entity x is in partitions [0 1]"},
		"e: another position": {func(s *story) {
			k := s.order("n", 0)
			k.add(accepted(s.write(k)))
			k.add(Attempt{Status: 202, Replayed: true, Receipt: at(ordersTopic, 0, 0)})
		}, []string{"a", "e"}, ""},
		"e: another time": {func(s *story) {
			k := s.order("n", 0)
			r := s.write(k)
			k.add(accepted(r))
			later := *r
			later.Body = "later"
			k.add(Attempt{Status: 202, Replayed: true, Receipt: &later})
		}, []string{"e"}, "n-0 has two receipts"},
		"g: reused": {func(s *story) {
			s.order("n", 0).add(Attempt{Status: 422, Slug: "idempotency-key-reused", Outcome: outcomeNotWritten})
		}, []string{"g"}, "422 idempotency-key-reused"},
		"g: internal": {func(s *story) {
			s.order("n", 0).add(Attempt{Status: 500, Slug: "internal", Outcome: "unknown"})
		}, []string{"g"}, "500 internal"},
		"g: right status, wrong outcome": {func(s *story) {
			s.order("n", 0).add(Attempt{Status: 504, Slug: "outcome-unknown", Outcome: outcomeNotWritten})
		}, []string{"g"}, "504 outcome-unknown not-written"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := good()
			c.spoil(s)
			requireRules(t, s, c.want, c.text)
		})
	}
}

// requireRules checks that exactly these rules are reported, and one with the text.
func requireRules(t *testing.T, s *story, want []string, text string) {
	t.Helper()
	rules := map[string]bool{}
	var all string
	for _, v := range Check(s.keys, s.log, Facts{}) {
		rules[v.Rule] = true
		all += v.String() + "\n"
	}
	wanted := map[string]bool{}
	for _, r := range want {
		wanted[r] = true
	}
	require.Equal(t, wanted, rules, all)
	require.Contains(t, all, text)
}

func TestAddedPartitionsMayMoveAnEntity(t *testing.T) {
	t.Parallel()
	s := good()
	k := s.order("x", 3)
	s.log = append(s.log, Record{Topic: ordersTopic, Partition: 1, Key: k.Entity, Claim: k.Claim(), Value: k.Body(0)})
	k.add(accepted(at(ordersTopic, 1, 0)))
	require.Empty(t, Check(s.keys, s.log, Facts{PartitionsAdded: true}))
}

// Rule (f) is checked while the run lasts.
func TestSlowRecoveryReports(t *testing.T) {
	t.Parallel()
	r := recovery{after: "broker-kill", took: 31 * time.Second, limit: 30 * time.Second, back: true}
	require.Contains(t, r.violation().String(), "(f) after broker-kill service was back only after 31s, not within 30s")
	r.back = false
	require.Contains(t, r.violation().String(), "(f) after broker-kill service was not back within 30s")
	r.back, r.took = true, 29*time.Second
	require.Nil(t, r.violation())
}
