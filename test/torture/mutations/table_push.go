package mutations

import "eventgateway/test/torture"

// pushTable are those of subscriptions.
func pushTable() []Mutation {
	// One in 50 events dies: much is failing, or dying, when a gateway is killed.
	run := func(faults int, only ...string) func(o *torture.Options) {
		return func(o *torture.Options) {
			o.Subscriptions, o.Gateways, o.Rate, o.Poison = true, 3, 500, 50
			o.Faults, o.Events, o.Only = faults, 1, only
		}
	}
	return []Mutation{
		{
			Name: "push-commit-beyond-prefix", Rule: "a commit never passes an unfinished event", Breaks: "a",
			Edits: []Edit{{
				File: "internal/delivery/window.go",
				Old:  "\tp := progress{base: w.base()}\n",
				New:  "\tp := progress{base: w.base()}\n\tif len(w.entries) > 0 {\n\t\treturn progress{base: w.next}\n\t}\n",
			}},
			Options: run(4, "gateway-kill"),
		},
		{
			Name: "push-failure-holds-nothing", Rule: "an event that failed holds back its entity", Breaks: "d",
			Edits: []Edit{{
				File: "internal/delivery/window.go",
				Old:  "\tif e.attempts == 0 {\n\t\te.first = now.Truncate(time.Second)\n",
				New: "\tif own := e.entity; own != nil {\n\t\te.entity, own.queue = nil, own.queue[1:]\n\t\tif len(own.queue) == 0 {\n\t\t\tdelete(w.keyed, own.key)\n" +
					"\t\t} else {\n\t\t\tw.makeReady(own.queue[0])\n\t\t}\n\t}\n\tif e.attempts == 0 {\n\t\te.first = now.Truncate(time.Second)\n",
			}},
			Options: run(2, "gateway-kill"),
		},
		{
			Name: "push-metadata-dropped", Rule: "a commit says what has failed, and what is finished beyond it", Breaks: "h",
			Edits: []Edit{{
				File: "internal/delivery/metadata.go",
				Old:  "if len(p.finished) == 0 && len(p.failures) == 0 {",
				New:  "if true {",
			}},
			Options: run(4, "gateway-kill"),
		},
		{
			Name: "push-dead-before-its-letter", Rule: "an event is finished when its dead letter is in Kafka", Breaks: "d",
			Edits: []Edit{{
				File: "internal/delivery/deadletter.go",
				Old:  "\tgo func() {\n\t\tif m.sub.writeDeadLetter(ctx, letter, from) {",
				New:  "\tm.finish(e)\n\tgo func() {\n\t\tif m.sub.writeDeadLetter(ctx, letter, from) {",
			}},
			Options: run(3, "dead-letters-refused"),
		},
		{
			Name: "push-dead-without-its-letter", Rule: "an event whose dead letter is not written is not lost", Breaks: "a",
			Edits: []Edit{{
				File: "internal/delivery/deadletter.go",
				Old:  "\t\tif err == nil {\n\t\t\treturn true\n",
				New:  "\t\tif err == nil || tries > 1 {\n\t\t\treturn true\n",
			}},
			Options: run(3, "dead-letters-refused"),
		},
		{
			Name: "push-retry-before-its-commit", Rule: "a failure is committed before the next attempt begins", Breaks: "h",
			Edits: []Edit{{
				File: "internal/delivery/member.go",
				Old:  "case e.noted >= m.committed:",
				New:  "case false:",
			}, rareCommits("10")},
			Options: run(5, "gateway-kill"),
		},
		{
			Name: "push-unbounded-without-a-commit", Rule: "no attempt begins while many are finished and not committed", Breaks: "b",
			Edits: []Edit{{
				File: "internal/delivery/commit.go",
				Old:  "maxUnsaved     = 1000\n",
				New:  "maxUnsaved     = 1 << 20\n",
			}, {
				File: "internal/delivery/commit.go",
				Old:  "maxUnsavedSlow = 200\n",
				New:  "maxUnsavedSlow = 1 << 20\n",
			}, {
				// Else whatever fails waits for the next commit.
				File: "internal/delivery/member.go",
				Old:  "case e.noted >= m.committed:",
				New:  "case false:",
			}, rareCommits("300")},
			Options: run(4, "gateway-kill"),
		},
	}
}

// rareCommits come once in so many of their intervals of 100 ms. Alone it breaks no rule.
func rareCommits(times string) Edit {
	return Edit{
		File: "internal/delivery/commit.go",
		Old:  "(m.unsaved < commitEvents || m.commitFailed) && now.Sub(m.saved) < commitInterval",
		New:  "now.Sub(m.saved) < " + times + "*commitInterval",
	}
}
