package torture

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

func joinAddrs(addrs []string) string { return strings.Join(addrs, ",") }

// setup is a run's servers in words.
func (o *Options) setup() string {
	text := fmt.Sprintf("%s, Kafka %s, Redis %s", o.Guarantee, o.Kafka, o.Redis)
	if o.Outbox != "" {
		text += ", outbox read by " + o.Outbox
	}
	if o.Subscriptions {
		text += ", subscriptions"
	}
	return text
}

// report prints the final table.
func (w *world) report(r *Result) {
	o := w.opts
	w.printf("\n%s, %d gateways, seed %d, %v", o.setup(), o.Gateways, r.Seed, r.Took.Round(time.Second))
	w.printf("  %-34s %d posted, %d accepted, %d records", "events", r.Keys, r.Accepted, r.Records)
	w.table(r.By)
	faults := 0
	for _, n := range r.Faults {
		faults += n
	}
	w.printf("  %-34s %d", "faults", faults)
	w.table(r.Faults)
	w.printf("  failpoints hit")
	w.table(r.Points)
	w.printf("  answers")
	w.table(r.Answers)
	w.printf("  answers to questions for receipts")
	w.table(r.Asked)
	w.printf("  service back after (times, median, most)")
	for _, rec := range r.Recoveries {
		w.printf("    %-60s %3d %8v %8v", rec.After, rec.Times, rec.Median.Round(10*time.Millisecond), rec.Most.Round(10*time.Millisecond))
	}
	rules := map[string]int{}
	for _, v := range r.Violations {
		rules["("+v.Rule+")"]++
	}
	w.printf("  %-34s %d", "violations", len(r.Violations))
	w.table(rules)
	const shown = 5
	for i, v := range r.Violations {
		if i == shown {
			w.printf("  … and %d more", len(r.Violations)-shown)
			break
		}
		w.printf("  VIOLATION %s", v)
	}
	if r.Folder != "" {
		w.printf("  histories, faults and gateway logs are in %s; repeat with -seed %d", r.Folder, r.Seed)
	}
}

func (w *world) table(counts map[string]int) {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		w.printf("    %-60s %6d", name, counts[name])
	}
}

// writeViolations writes every violation with the history of its keys, their
// records, and the faults of that time.
func writeViolations(path string, o *Options, found []Violation, log []Record, story []*injected) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write violations: %w", err)
	}
	defer func() { err = cmp.Or(err, f.Close()) }()
	out := bufio.NewWriter(f)
	fmt.Fprintf(out, "%s, %d gateways, seed %d\n", o.setup(), o.Gateways, o.Seed)
	byClaim := map[string][]Record{}
	for _, r := range log {
		byClaim[r.Claim] = append(byClaim[r.Claim], r)
	}
	for _, v := range found {
		fmt.Fprintf(out, "\n%s\n", v)
		for _, k := range v.Keys {
			writeKey(out, k, byClaim[k.Claim()], story)
		}
	}
	fmt.Fprintf(out, "\nall faults\n")
	for _, in := range story {
		fmt.Fprintf(out, "  %s\n", in)
	}
	return out.Flush()
}

func writeKey(out io.Writer, k *Key, records []Record, story []*injected) {
	fmt.Fprintf(out, "  %s %s (batch %q, index %d), entity %s, event %d, gw_claim %s\n", k.kind(), k.Name, k.Batch, k.Index, k.Entity, k.Seq, k.Claim())
	if len(k.Attempts) == 0 {
		return
	}
	attempts := slices.SortedFunc(slices.Values(k.Attempts), func(a, b Attempt) int { return cmp.Compare(a.Sent, b.Sent) })
	first, last := attempts[0].Sent, time.Duration(0)
	for _, a := range attempts {
		last = max(last, a.Answered)
		at := ""
		if a.Receipt != nil {
			at = fmt.Sprintf(" partition %d offset %d", a.Receipt.Partition, a.Receipt.Offset)
		}
		fmt.Fprintf(out, "    %9.3fs to %9.3fs  gateway %d  attempt %d (request %d)  %s%s\n", a.Sent.Seconds(), a.Answered.Seconds(), a.Gateway, a.Number, a.Request, a.text(), at)
	}
	for i := range k.Questions {
		q := &k.Questions[i]
		fmt.Fprintf(out, "    %9.3fs to %9.3fs  gateway %d  question for the receipt  %s\n", q.Sent.Seconds(), q.Answered.Seconds(), q.Gateway, q.text())
	}
	for _, r := range records {
		fmt.Fprintf(out, "    record: %s partition %d offset %d, of attempt %d, written at %s\n", r.Topic, r.Partition, r.Offset, r.Attempt, time.UnixMilli(r.Time).UTC().Format("15:04:05.000"))
	}
	const before = 10 * time.Second
	for _, in := range story {
		if in.to >= first-before && in.from <= last {
			fmt.Fprintf(out, "    %s\n", in)
		}
	}
}
