package mutations

import (
	"cmp"
	"slices"
	"time"

	"eventgateway/internal/failpoint"
	"eventgateway/test/torture"
)

// Mutation is one way to break the protocol.
type Mutation struct {
	Name string
	Rule string // of the design, section 7 or else: what it leaves out
	// Breaks is the checker's rule that reports it; empty: (b), no duplicates.
	Breaks string
	// Client is the only kafka.client whose code it breaks; empty: all.
	Client string
	Edits  []Edit
	// Options say how to run it: only faults that lead there, so that it is
	// found soon.
	Options func(o *torture.Options)
}

// On tells whether the mutation breaks what a gateway with this kafka.client does.
func (m Mutation) On(client string) bool { return m.Client == "" || client == "" || m.Client == client }

func (m Mutation) breaks() string { return cmp.Or(m.Breaks, "b") }

// Edit replaces a snippet that is in the file exactly once.
type Edit struct{ File, Old, New string }

// Table returns all mutations.
func Table() []Mutation {
	return slices.Concat(outboxTable(), pushTable(), []Mutation{
		{
			Name: "no-recovery-read", Rule: "7: who takes over reads the log first",
			Edits: []Edit{{
				File: "internal/ingest/keyed.go",
				Old:  "receipt, found, err := a.door.find(ctx, a.claim.ID, prior)\n",
				New:  "var receipt event.Receipt\n\tvar found bool\n\tvar err error\n",
			}},
			Options: func(o *torture.Options) {
				o.Guarantee = "idempotent"
				o.Only = []string{"gateway-kill", "gateway-crash"}
			},
		},
		{
			Name: "no-fence", Rule: "6: in transactional mode the owner is fenced first",
			Edits: []Edit{{
				File: "internal/publish/recovery.go",
				Old:  "if err := r.fence(ctx, abandoned.Owner); err != nil {",
				New:  "if err := error(nil); err != nil {",
			}, {
				// The point twice: it is hit more often.
				File: "internal/ingest/keyed.go",
				Old:  "\t\ta.refuseLate()\n\t\treturn\n\t}\n",
				New:  "\t\ta.refuseLate()\n\t\treturn\n\t}\n\tfailpoint.At(failpoint.Publishing)\n",
			}},
			// What reveals it stands still after its last look at the clock, while
			// its producer has nothing in progress: a transaction that is open for
			// that long is Kafka's reason to abandon its producer.
			Options: func(o *torture.Options) {
				o.Guarantee, o.Rate = "transactional", 30
				o.Only, o.Points = []string{"gateway-stop-at-beyond-lease"}, []string{failpoint.Publishing}
			},
		},
		{
			Name: "unconditional-release", Rule: "4: released only if surely nothing was or will be written",
			Edits: []Edit{{
				File: "internal/ingest/keyed.go",
				Old:  "\tdefault:\n\t\ta.door.settler.MarkUnknown(a.claim)\n",
				New:  "\tdefault:\n\t\ta.release()\n",
			}},
			Options: func(o *torture.Options) {
				o.Guarantee = "idempotent"
				o.Only = []string{"kafka-half-open", "broker-kill", "kafka-cut"}
			},
		},
		{
			Name: "unknown-taken-over-at-once", Rule: "5: an unknown is taken over after its lease only",
			Edits: []Edit{{
				File: "internal/idempotency/claim_batch.go",
				Old:  "case left <= 0, transactional && rec.state == stateUnknown:",
				New:  "case left <= 0, rec.state == stateUnknown:",
			}, {
				// Else the recovery read would wait for the lease to be over.
				File: "internal/idempotency/claim_batch.go",
				Old:  "rec.abandoned(found, failpoint.Now().Add(left))",
				New:  "rec.abandoned(found, failpoint.Now().Add(-time.Minute))",
			}},
			Options: func(o *torture.Options) {
				// Long enough for a request to be given up, held, and still be
				// in time.
				o.Guarantee, o.Lease = "idempotent", 14*time.Second
				o.Only = []string{"kafka-stall"}
			},
		},
		{
			Name: "no-marker-check", Rule: "claim and take-over test the bucket's marker",
			Edits: []Edit{{
				File: "internal/idempotency/scripts.go",
				Old:  "if not markers[marker] and not returned(",
				New:  "if false and not returned(",
			}, {
				File: "internal/idempotency/scripts.go",
				Old:  "if (not marker or string.sub(marker, 1, #right) ~= right) and not returned(KEYS[2], ARGV[7], generation) then return lost(rec) end\n",
				New:  "",
			}},
			Options: func(o *torture.Options) {
				o.Guarantee, o.Redis = "idempotent", "replica"
				o.Only = []string{"redis-flushall", "redis-failover-losing-writes"}
			},
		},
		{
			Name: "refusal-is-always-not-written", Rule: "ADR 0003: a refusal proves nothing about an earlier try", Breaks: "c",
			Edits: []Edit{{
				File: "internal/publish/outcome.go",
				Old:  "case !refused, !r.firstTry:",
				New:  "case !refused:",
			}},
			// A record is appended, its answer is lost, and its topic refuses the second
			// try.
			Options: func(o *torture.Options) {
				o.Guarantee, o.Together, o.Refusals = "idempotent", true, 100
			},
		},
		{
			Name: "franz-continues-on-data-loss", Rule: "ADR 0019: a producer that broker and client disagree about stops", Client: "franz",
			Edits: []Edit{{
				File: "internal/publish/client_franz.go",
				Old:  "\t\tkgo.StopProducerOnDataLossDetected(),\n",
				New:  "",
			}},
			Options: func(o *torture.Options) {
				o.Guarantee = "idempotent"
				o.Only = []string{"broker-restart-unanswered"}
				// The broker must be back before its records are given up.
				o.Delivery, o.Lease = 14*time.Second, 20*time.Second
			},
		},
		{
			Name: "librdkafka-continues-after-a-refusal", Rule: "ADR 0011: a refusal ends librdkafka's producer", Client: "librdkafka",
			Edits: []Edit{{
				File: "internal/publish/client_librdkafka.go",
				Old:  "conf[\"enable.gapless.guarantee\"] = true",
				New:  "conf[\"enable.gapless.guarantee\"] = false",
			}, {
				File: "internal/publish/client_librdkafka.go",
				Old:  "\tc.reporter.fail(\"a record was refused,",
				New:  "\tfunc(...any) {}(\"a record was refused,",
			}, {
				// Else its refusals are rare, and apart from the records of others.
				File: "internal/publish/quarantine.go",
				Old:  "\tif !q.some.Load() {\n\t\treturn shared, nil\n",
				New:  "\tif true {\n\t\treturn shared, nil\n",
			}},
			Options: func(o *torture.Options) {
				o.Guarantee, o.Together, o.Refusals = "idempotent", true, 100
			},
		},
		{
			Name: "franz-commit-error-is-a-success", Rule: "7: a 2xx means that the commit was answered", Breaks: "a", Client: "franz",
			Edits: []Edit{{
				File: "internal/publish/tx_client_franz.go",
				Old:  "\tif err := c.cl.EndTransaction(ctx, kgo.TryCommit); err != nil {\n\t\treturn err\n\t}\n\tends, answers",
				New:  "\t_ = c.cl.EndTransaction(ctx, kgo.TryCommit)\n\tends, answers",
			}, {
				File: "internal/publish/tx_client_franz.go",
				Old:  "case c.acks.Load() > 0:",
				New:  "case c.acks.Load() < 0:",
			}},
			Options: func(o *torture.Options) {
				o.Guarantee = "transactional"
				o.Only = []string{"kafka-half-open", "broker-kill", "kafka-stall"}
			},
		},
		{
			Name: "franz-abort-undoes-a-commit", Rule: "ADR 0020: an abort after a commit that failed proves nothing", Breaks: "c", Client: "franz",
			Edits: []Edit{{
				File: "internal/publish/tx_client_franz.go",
				Old:  "\tif err := c.cl.EndTransaction(ctx, kgo.TryCommit); err != nil {\n\t\treturn err\n\t}\n",
				New: "\tif err := c.cl.EndTransaction(ctx, kgo.TryCommit); err != nil {\n\t\tif c.cl.EndTransaction(context.Background(), kgo.TryAbort) == nil {\n" +
					"\t\t\treturn errNotEnded\n\t\t}\n\t\treturn err\n\t}\n",
			}, {
				File: "internal/publish/transaction.go",
				Old:  "\t\tcase !e.state.sent:\n",
				New:  "\t\tcase !e.state.sent, cause == errNotEnded:\n",
			}},
			Options: func(o *torture.Options) {
				o.Guarantee = "transactional"
				o.Only = []string{"kafka-half-open"}
			},
		},
		{
			Name: "no-held-back", Rule: "5: behind an event that failed, its entity's others wait", Breaks: "d",
			Edits: []Edit{{
				File: "internal/ingest/batch.go",
				Old:  "if failed && a.plan.entity != nil {",
				New:  "if false {",
			}},
			Options: func(o *torture.Options) {
				o.Guarantee, o.Batches = "idempotent", 80
				o.Only = []string{"kafka-cut", "redis-cut", "gateway-kill"}
			},
		},
	})
}

// outboxTable are those of the outbox's relay.
func outboxTable() []Mutation {
	return []Mutation{
		{
			Name: "outbox-delete-before-acknowledgement", Rule: "a row leaves the table when Kafka has its event", Breaks: "a",
			Edits: []Edit{{
				File: "internal/outbox/publish.go",
				Old:  "\tcase res.Err == nil:\n",
				New:  "\tcase res.Err == nil || !errors.Is(res.Err, ingest.ErrGone):\n",
			}},
			Options: func(o *torture.Options) {
				o.Outbox, o.Faults, o.Events = "poll", 4, 1
				o.Only = []string{"kafka-cut", "broker-kill"}
			},
		},
		{
			Name: "outbox-confirm-beyond-prefix", Rule: "a slot is confirmed up to what is published", Breaks: "d",
			Edits: []Edit{{
				File: "internal/outbox/wal.go",
				Old:  "if tx.end == 0 || tx.left > 0 {",
				New:  "if tx.end == 0 {",
			}},
			// Rows that the slot forgot are in the table: they come too late.
			Options: func(o *torture.Options) {
				o.Outbox, o.Only = "wal", []string{"gateway-crash"}
				o.Points = []string{failpoint.Claimed, failpoint.Publishing, failpoint.Confirmed}
			},
		},
		{
			Name: "outbox-row-not-looked-for", Rule: "ADR 0026: a row must be there after its claim",
			Edits: []Edit{{
				File: "internal/outbox/publish.go",
				Old:  "standings, err := p.confirm(ctx, rows, events, held)\n",
				New:  "standings, err := make([]ingest.Standing, len(held)), error(nil)\n\t\t\tfor i := range standings {\n\t\t\t\tstandings[i] = ingest.Waits\n\t\t\t}\n",
			}, briefFence},
			// A relay stands still with rows in memory that another one publishes.
			Options: func(o *torture.Options) {
				o.Outbox, o.Guarantee, o.Lease = "poll", "transactional", 14*time.Second
				o.Only, o.Points = []string{"gateway-stop-at-beyond-lease"}, []string{failpoint.Noted}
			},
		},
		{
			Name: "outbox-claims-expire-before-deletion", Rule: "ADR 0026: a claim has the whole window until its row is deleted",
			Edits: []Edit{{
				File: "internal/outbox/writer.go",
				Old:  "\tif len(rows) > 0 {\n\t\tfailpoint.At(failpoint.Deleting)\n",
				New:  "\tif len(rows) > 0 {\n\t\t_, _ = s.claims.Expire(ctx, claims, s.cfg.fence())\n\t\tfailpoint.At(failpoint.Deleting)\n",
			}, briefFence},
			Options: func(o *torture.Options) {
				o.Outbox = "poll"
				o.Only, o.Points = []string{"gateway-crash"}, []string{failpoint.Deleting}
			},
		},
		{
			Name: "outbox-late-commits-are-overtaken", Rule: "ADR 0027: a query above the mark misses a holder's rows", Breaks: "d",
			Edits: []Edit{{
				File: "internal/outbox/marks.go",
				Old:  "return slices.ContainsFunc(m.holders, func(xid uint64) bool { return !snap.isOpen(xid) })",
				New:  "return false && slices.ContainsFunc(m.holders, func(xid uint64) bool { return !snap.isOpen(xid) })",
			}},
			Options: func(o *torture.Options) { o.Outbox, o.Only = "poll", []string{"redis-delay"} },
		},
	}
}

// briefFence leaves a deleted row's claim almost no time. Alone it breaks no rule.
var briefFence = Edit{
	File: "internal/event/claim.go",
	Old:  "const OutboxFence = 2 * time.Minute",
	New:  "const OutboxFence = 100 * time.Millisecond",
}

// Limit is how long a mutation is run before it counts as not found.
const Limit = 3 * time.Minute
