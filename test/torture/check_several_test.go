package torture

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/webhook"
)

// batchOf adds a batch whose events are of these entities, by their sequence.
func (s *story) batchOf(v via, entities ...string) *job {
	j := &job{via: v}
	if v == keyedBatch {
		j.key = "b"
	}
	next := map[string]int{}
	for i, entity := range entities {
		k := s.order(entity, next[entity])
		k.Via, k.Batch, k.Index = v, j.key, i
		next[entity]++
		j.keys = append(j.keys, k)
	}
	return j
}

// ask adds the n-th request of a job, with the answer for each of its events: "ok" for
// those that it wrote, "again" for those that were in the log.
func (s *story) ask(j *job, n int, told ...string) {
	for i, k := range j.keys {
		a := Attempt{Number: n, Request: int64(n), Status: 503, Slug: "log-unavailable", Outcome: outcomeNotWritten, Item: j.via.batch()}
		switch told[i] {
		case "ok":
			a.Status, a.Slug, a.Outcome, a.Receipt = 202, "", "", s.writeAs(k, n)
		case "again":
			a.Status, a.Slug, a.Outcome, a.Receipt = 202, "", "", k.Accepted()
		case "held":
			a.Status, a.Slug = 424, "held-back"
		case "lost":
			a = Attempt{Number: n, Request: int64(n), Slug: "timeout"}
		}
		k.add(a)
	}
}

// batches is a batch that was accepted over several requests.
func batches(v via) (*story, *job) {
	s := good()
	j := s.batchOf(v, "p", "q", "p", "p", "q")
	s.ask(j, 1, "ok", "no", "ok", "ok", "held")
	s.ask(j, 2, "lost", "lost", "lost", "lost", "lost")
	s.ask(j, 3, "again", "no", "again", "again", "held")
	s.ask(j, 4, "again", "ok", "again", "again", "ok")
	return s, j
}

// hook adds a delivery.
func (s *story) hook(v via, seq int, valid bool) *Key {
	k := s.order("h", seq)
	k.Via, k.Valid = v, valid
	return k
}

func TestGoodBatchesAndDeliveriesPass(t *testing.T) {
	t.Parallel()
	for _, v := range []via{keyedBatch, eventBatch} {
		s, _ := batches(v)
		for seq, valid := range []bool{true, false, true} {
			k := s.hook(stripe, seq, valid)
			s.ask(&job{via: stripe, keys: []*Key{k}}, 1, "no")
			s.ask(&job{via: stripe, keys: []*Key{k}}, 2, "lost")
			s.writeAs(k, 2)
			r := at(k.Topic(), 0, s.last().Offset)
			k.add(Attempt{Number: 3, Status: 202, Receipt: r, Replayed: true})
		}
		require.Empty(t, Check(s.keys, s.log, Facts{}), v.String())
	}
}

// TestEveryRuleOfSeveralReports: the rules for events that come together, and for
// deliveries.
func TestEveryRuleOfSeveralReports(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(s *story, j *job)
		want  []string
		text  string
	}{
		"a: an accepted item is not there": {func(s *story, j *job) {
			s.log = slices.DeleteFunc(s.log, func(r Record) bool { return r.Claim == j.keys[4].Claim() })
		}, []string{"a"}, "q-1 was answered 202, but nothing is in torture"},
		"a: bytes of a request that was never sent": {func(s *story, _ *job) {
			k := s.hook(stripe, 0, true)
			k.add(Attempt{Number: 1, Status: 202, Receipt: s.writeAs(k, 2)})
		}, []string{"a"}, "which no client sent"},
		"a: an attempt that was never made": {func(s *story, j *job) {
			k := j.keys[0]
			i := slices.IndexFunc(s.log, func(r Record) bool { return r.Claim == k.Claim() })
			s.log[i].Attempt = 9
		}, []string{"a"}, "of attempt 9, which no client sent"},
		"a: a dead letter is among the events": {func(s *story, _ *job) {
			k := s.hook(stripe, 0, false)
			s.writeAs(k, 1)
			s.last().Topic, s.last().Key = ordersTopic, ""
			k.add(Attempt{Number: 1, Status: 202, Receipt: at(ordersTopic, 0, s.last().Offset)})
		}, []string{"a"}, "not in torture.dead"},
		"a: an event is among the dead letters": {func(s *story, _ *job) {
			k := s.hook(fanOut, 0, true)
			s.writeAs(k, 1)
			s.last().Topic, s.last().Problem = deadTopic, "schema-violation"
			k.add(Attempt{Number: 1, Status: 202, Receipt: at(deadTopic, 0, s.last().Offset)})
		}, []string{"a"}, "not in torture"},
		"a: a dead letter without a reason": {func(s *story, _ *job) {
			k := s.hook(stripe, 0, false)
			r := s.writeAs(k, 1)
			s.last().Problem = ""
			k.add(Attempt{Number: 1, Status: 202, Receipt: r})
		}, []string{"a"}, "does not say why"},
		"b: an item is there twice": {func(s *story, j *job) {
			s.writeAs(j.keys[3], 1)
		}, []string{"b"}, "p-2 is in the log 2 times"},
		"b: a dead letter is there twice": {func(s *story, _ *job) {
			k := s.hook(stripe, 0, false)
			k.Unreadable = true
			k.add(Attempt{Number: 1, Status: 202, Receipt: s.writeAs(k, 1)})
			s.writeAs(k, 1)
		}, []string{"b"}, "torture.dead partition 0"},
		"c: the request that held it back wrote it": {func(s *story, j *job) {
			k := s.batchOf(eventBatch, "n", "n").keys
			for i, slug := range []string{"log-unavailable", "held-back"} {
				k[i].add(Attempt{Number: 1, Request: 9, Item: true, Status: 503, Slug: slug, Outcome: outcomeNotWritten})
			}
			k[1].Attempts[0].Status = 424
			s.writeAs(k[1], 1)
			k[0].add(Attempt{Number: 2, Slug: "timeout"}) // so that only this is wrong
			k[1].add(Attempt{Number: 2, Slug: "timeout"})
		}, []string{"c"}, "n-1 is in torture partition 0 offset 11 by attempt 1, which was answered 424 held-back (not-written)"},
		"c: a delivery that was answered not-written": {func(s *story, _ *job) {
			k := s.hook(fanOut, 0, true)
			s.ask(&job{via: fanOut, keys: []*Key{k}}, 1, "no")
			s.ask(&job{via: fanOut, keys: []*Key{k}}, 2, "lost")
			s.writeAs(k, 1)
		}, []string{"c"}, "by attempt 1, which was answered 503 log-unavailable"},
		"c: behind what is invalid": {func(s *story, _ *job) {
			k := s.order("n", 0)
			k.Via, k.Batch, k.Hopeless = keyedBatch, "n", true
			k.add(Attempt{Number: 1, Slug: "timeout"})
			s.writeAs(k, 1)
		}, []string{"c"}, "n-0 is in torture partition 0 offset 11, but it is behind one that is invalid"},
		"c, g: an invalid item is accepted": {func(s *story, _ *job) {
			k := s.order("n", 0)
			k.Via, k.Valid = eventBatch, false
			k.add(Attempt{Number: 1, Item: true, Status: 202, Receipt: s.writeAs(k, 1)})
		}, []string{"c", "g"}, "but it is invalid"},
		"d: an entity's events went on behind a failure": {func(s *story, j *job) {
			j.keys = s.batchOf(eventBatch, "n", "n").keys
			s.ask(j, 5, "no", "ok")
			s.ask(j, 6, "ok", "again")
		}, []string{"d"}, "event 0 (n-0) is at offset 12, behind event 1 (n-1)"},
		"d: answers are enough to see it": {func(s *story, j *job) {
			j.keys = s.batchOf(eventBatch, "n", "n").keys
			s.ask(j, 5, "no", "no")
		}, []string{"d"}, "n-1 was answered 503 log-unavailable (not-written) in request 5, behind n-0"},
		"d: held back behind nothing": {func(s *story, j *job) {
			s.ask(j, 5, "again", "held", "again", "again", "held")
		}, []string{"d"}, "q-0 was held back in request 5, but everything before it was accepted"},
		"e: an item's receipts differ": {func(s *story, j *job) {
			later := *j.keys[2].Accepted()
			later.Body = "later"
			j.keys[2].add(Attempt{Number: 5, Request: 5, Item: true, Status: 202, Receipt: &later})
		}, []string{"e"}, "p-1 has two receipts"},
		"g: a provider is told to give up": {func(s *story, _ *job) {
			s.hook(stripe, 0, true).add(Attempt{Number: 1, Status: 409, Slug: "request-in-progress", Outcome: "unknown"})
		}, []string{"g"}, "409 request-in-progress"},
		"g: a delivery that does not fit is refused": {func(s *story, _ *job) {
			s.hook(stripe, 0, false).add(Attempt{Number: 1, Status: 422, Slug: "schema-violation", Outcome: outcomeNotWritten})
		}, []string{"g"}, "422 schema-violation"},
		"g: a single event is held back": {func(s *story, _ *job) {
			s.order("n", 0).add(Attempt{Number: 1, Status: 424, Slug: "held-back", Outcome: outcomeNotWritten})
		}, []string{"g"}, "424 held-back"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, j := batches(eventBatch)
			c.spoil(s, j)
			requireRules(t, s, c.want, c.text)
		})
	}
}

// TestJobsAreRead: a malformed answer is read as one that no rule allows.
func TestJobsAreRead(t *testing.T) {
	t.Parallel()
	keys := []*Key{{Name: "a", Valid: true, Via: eventBatch}, {Name: "b", Valid: true, Via: eventBatch}}
	const accepted = `{"index":0,"status":202,"receipt":{"topic":"torture","partition":3,"offset":4}}`
	const held = `{"index":1,"status":424,"problem":{"type":"/problems/held-back","outcome":"not-written"}}`
	for name, c := range map[string]struct {
		via    via
		status int
		body   string
		want   []string
	}{
		"items":                {eventBatch, 207, `{"items":[` + accepted + `,` + held + `]}`, []string{"202", "424 held-back (not-written)"}},
		"an item is missing":   {eventBatch, 207, `{"items":[` + accepted + `]}`, []string{"207 not an item for each event ()", "207 not an item for each event ()"}},
		"a wrong status":       {eventBatch, 202, `{"items":[` + accepted + `,` + held + `]}`, []string{"202 a status that its items do not have ()", "202 a status that its items do not have ()"}},
		"a wrong index":        {eventBatch, 207, `{"items":[` + held + `,` + held + `]}`, []string{"424 another item's index (not-written)", "424 held-back (not-written)"}},
		"all refused":          {eventBatch, 503, `{"type":"/problems/overloaded","outcome":"not-written"}`, []string{"503 overloaded (not-written)", "503 overloaded (not-written)"}},
		"a fan-out that fails": {fanOut, 504, `{"type":"/problems/outcome-unknown","outcome":"unknown"}`, []string{"504 outcome-unknown (unknown)", "504 outcome-unknown (unknown)"}},
		"no JSON":              {fanOut, 504, `<html>`, []string{"504 not JSON ()", "504 not JSON ()"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attempts, asked := (&job{via: c.via}).read(keys, Attempt{Status: c.status}, http.Header{"Retry-After": {"2"}}, []byte(c.body))
			var said []string
			for _, a := range attempts {
				said = append(said, a.text())
			}
			require.Equal(t, c.want, said)
			require.Equal(t, 2*time.Second, asked)
		})
	}
	attempts, _ := (&job{via: stripe}).read(keys[:1], Attempt{Status: 202}, http.Header{"Idempotent-Replayed": {"true"}}, []byte(`{"topic":"torture","partition":3,"offset":4}`))
	require.Equal(t, "202 replayed", attempts[0].text())
	require.Equal(t, int64(4), attempts[0].Receipt.Offset)
}

// TestDeliveriesAreVerified: retries change body and signature, not the identity.
func TestDeliveriesAreVerified(t *testing.T) {
	t.Parallel()
	h, err := newHooks()
	require.NoError(t, err)
	keys := []*Key{{Name: "n-1", Entity: "e", Seq: 7, Valid: true}, {Name: "n-2", Entity: "e", Seq: 8, Valid: true}}
	for v, n := range map[via]int{stripe: 1, fanOut: 2} {
		bodies := map[string]bool{}
		for attempt := range 2 {
			j := &job{via: v, keys: keys[:n]}
			for _, k := range j.keys {
				k.Via = v
			}
			out, err := j.request(h, j.keys, attempt)
			require.NoError(t, err)
			bodies[out.body] = true
			in, err := h[v].Receive(webhook.Request{Method: http.MethodPost, URL: out.path, Header: out.header, Body: []byte(out.body)}, time.Now())
			require.NoError(t, err)
			require.Len(t, in.Deliveries, n)
			for i, d := range in.Deliveries {
				require.Nil(t, d.Err)
				require.Equal(t, j.keys[i].Name, d.ID)
				require.Equal(t, j.keys[i].Body(attempt), string(d.Data))
				require.Contains(t, []string{paidType, fanType}, d.EventType)
			}
		}
		require.Len(t, bodies, 2, "retries differ")
	}
	unreadable := &Key{Name: "u", Via: stripe, Unreadable: true}
	require.Equal(t, unreadable.Body(1), unreadable.Body(2), "a hash is all that is known of it")
}

// TestWhatIsDrawn: batches have up to 50 events, of one entity or many, and clients do
// not wait for events behind an invalid one of their entity in a keyed batch.
func TestWhatIsDrawn(t *testing.T) {
	t.Parallel()
	c := &clients{history: newHistory()}
	o := Defaults()
	w := newWorker(c, 0, &o, nil, nil)
	largest, hopeless, unreadable, dead, several := 0, 0, 0, 0, 0
	last := map[string]int{}
	for range 2000 {
		for _, j := range []*job{w.batch(), w.delivery()} {
			entities := map[string]int{}
			invalid := map[string]bool{}
			for _, k := range j.keys {
				require.Equal(t, last[k.Entity], k.Seq, "an entity's events are numbered in their order")
				last[k.Entity]++
				entities[k.Entity]++
				require.Equal(t, j.via == keyedBatch && invalid[k.Entity], k.Hopeless)
				invalid[k.Entity] = invalid[k.Entity] || !k.Valid
				hopeless += count(k.Hopeless)
				unreadable += count(k.Unreadable)
				dead += count(k.Topic() == deadTopic)
			}
			largest = max(largest, len(j.keys))
			several += count(len(entities) > 1 && len(entities) < len(j.keys))
		}
	}
	require.Equal(t, mostPerBatch, largest)
	for what, n := range map[string]int{"hopeless": hopeless, "unreadable": unreadable, "dead": dead, "several entities, and several events of one": several} {
		require.Positive(t, n, what)
	}
	require.Greater(t, dead, unreadable)
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
