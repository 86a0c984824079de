package torture

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// outboxLog makes the records of rows, at rising offsets of a partition.
func outboxLog(partition int32, rows ...OutboxRow) []Record {
	log := make([]Record, len(rows))
	for i, r := range rows {
		log[i] = Record{Topic: ordersTopic, Partition: partition, Offset: int64(i), Key: r.Entity, Claim: "claim of " + r.ID, ID: r.ID, Value: shorten(r.value())}
	}
	return log
}

func TestCheckOutbox(t *testing.T) {
	t.Parallel()
	a1, a2, b1 := newRow("a", 1, 0), newRow("a", 2, 10_000), newRow("b", 1, 0)
	other := newRow("a", 3, 0)
	early, late := newRow("x", 1, 0), newRow("x", 2, 0)
	early.Crossed, late.Crossed = true, true
	changed := func(log []Record, i int, change func(r *Record)) []Record {
		change(&log[i])
		return log
	}
	for name, c := range map[string]struct {
		committed []OutboxRow
		log       []Record
		facts     OutboxFacts
		rules     []string
	}{
		"all there, in order": {committed: []OutboxRow{a1, a2, b1}, log: outboxLog(0, a1, b1, a2)},
		"nothing committed":   {},
		"lost":                {committed: []OutboxRow{a1, a2}, log: outboxLog(0, a1), rules: []string{"a"}},
		"twice":               {committed: []OutboxRow{a1, a2}, log: outboxLog(0, a1, a2, a1), rules: []string{"b"}},
		"twice, elsewhere":    {committed: []OutboxRow{a1}, log: append(outboxLog(0, a1), outboxLog(1, a1)...), rules: []string{"b"}},
		"rolled back":         {committed: []OutboxRow{a1}, log: outboxLog(0, a1, other), rules: []string{"c"}},
		"out of order":        {committed: []OutboxRow{a1, a2}, log: outboxLog(0, a2, a1), rules: []string{"d"}},
		"entities have no order between them": {
			committed: []OutboxRow{a1, b1}, log: outboxLog(0, b1, a1),
		},
		"another partition": {committed: []OutboxRow{a1, a2}, log: append(outboxLog(0, a2), outboxLog(1, a1)...)},
		"another payload": {
			committed: []OutboxRow{a1}, log: changed(outboxLog(0, a1), 0, func(r *Record) { r.Value = "{}" }), rules: []string{"a"},
		},
		"the end of a large payload": {
			committed: []OutboxRow{a2}, rules: []string{"a"},
			log: changed(outboxLog(0, a2), 0, func(r *Record) { r.Value = shorten(a2.value() + " ") }),
		},
		"another key": {
			committed: []OutboxRow{a1}, log: changed(outboxLog(0, a1), 0, func(r *Record) { r.Key = "b" }), rules: []string{"a"},
		},
		"a shared claim": {
			committed: []OutboxRow{a1, b1}, log: changed(outboxLog(0, a1, b1), 1, func(r *Record) { r.Claim = "claim of " + a1.ID }), rules: []string{"b"},
		},
		"crossed, where only happens-before is promised": {committed: []OutboxRow{early, late}, log: outboxLog(0, late, early)},
		"crossed, where the order of commits is promised": {
			committed: []OutboxRow{early, late}, log: outboxLog(0, late, early), facts: OutboxFacts{CommitOrder: true}, rules: []string{"d"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var rules []string
			for _, v := range CheckOutbox(c.committed, c.log, c.facts) {
				rules = append(rules, v.Rule)
			}
			require.Equal(t, c.rules, rules)
		})
	}
}

func TestRowsAreDistinct(t *testing.T) {
	t.Parallel()
	a, b := newRow("a", 1, 0), newRow("a", 1, 0)
	require.NotEqual(t, a.ID, b.ID)
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`, a.ID)
}
