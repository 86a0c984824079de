package lag

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are those of the passes, beside what the last one found.
type metrics struct {
	passes   *prometheus.CounterVec
	took     prometheus.Gauge
	interval prometheus.Gauge
	polling  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, c *Collector) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		passes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_lag_passes_total", Help: "Passes over all consumer groups, by result: complete, partial (a broker did not answer), failed.",
		}, []string{"result"}),
		took:     f.NewGauge(prometheus.GaugeOpts{Name: "gateway_lag_pass_duration_seconds", Help: "How long the last pass took."}),
		interval: f.NewGauge(prometheus.GaugeOpts{Name: "gateway_lag_interval_seconds", Help: "The pause after the last pass; it grows with the number of groups."}),
		polling:  f.NewGauge(prometheus.GaugeOpts{Name: "gateway_lag_polling", Help: "1 in the one gateway that asks Kafka for consumer lag."}),
	}
	for _, result := range []string{"complete", "partial", "failed"} {
		m.passes.WithLabelValues(result)
	}
	reg.MustRegister(shownGroups{c})
	return m
}

var (
	topicLabels     = []string{"group", "topic"}
	partitionLabels = []string{"group", "topic", "partition"}

	descRecords     = desc("records", "Records between what is committed and the end of the log, markers included: Kafka's own LAG.", topicLabels)
	descUndelivered = desc("undelivered_records", "Records that wait for a read-committed reader, from the first one to the last stable offset.", topicLabels)
	descSeconds     = desc("seconds", "Age of the oldest record that waits; 0 if none does.", topicLabels)
	descLost        = desc("lost_records", "Records that were deleted before the group has read them; 0 once it has gone on.", topicLabels)
	descState       = desc("partitions", "Partitions by state: lost, stuck, ahead, rising, unreadable, abandoned, no_commit, falling, ok.", append(topicLabels[:2:2], "state"))
	descRetention   = desc("retention_used_ratio", "Age of the oldest record that waits, as a part of the topic's retention.ms.", topicLabels)
	descMembers     = desc("members", "Members of the group.", []string{"group"})

	descPartRecords     = desc("partition_records", "gateway_lag_records of one partition.", partitionLabels)
	descPartUndelivered = desc("partition_undelivered_records", "gateway_lag_undelivered_records of one partition.", partitionLabels)
	descPartSeconds     = desc("partition_seconds", "gateway_lag_seconds of one partition.", partitionLabels)

	descGroups     = desc("groups", "Consumer groups in the last pass.", nil)
	descUnreadable = desc("unreadable", "What Kafka did not tell in the last pass: brokers, groups and partitions, by reason.", []string{"what", "reason"})
	descLeftOut    = desc("left_out_topics", "Topics of groups that have no series because lag.max_series is reached.", nil)
	descUnread     = desc("unread_partitions", "Partitions in which a record waits whose age was not read, because the pass had read enough.", nil)
)

func desc(name, help string, labels []string) *prometheus.Desc {
	return prometheus.NewDesc("gateway_lag_"+name, help, labels, nil)
}

// metricRow is a topic of a group, with the names that its labels have.
type metricRow struct {
	group, topic string
	members      Count
	first        bool // of its group
	t            *Topic
}

// series is how many series the row has.
func (r metricRow) series() int {
	n := 3 // records, undelivered, lost
	for _, count := range r.t.States {
		if count > 0 {
			n++
		}
	}
	if r.t.Age.Known {
		n++
	}
	if r.t.Retention != nil {
		n++
	}
	if r.first && r.members.Known {
		n++
	}
	return n + 3*len(r.t.Partitions)
}

// newSnapshot chooses the rows that metrics show: those that hurt most.
func newSnapshot(report *Report, stale time.Time, most int) *snapshot {
	s := &snapshot{report: report, stale: stale}
	var all []metricRow
	used := map[[2]string]bool{}
	for i := range report.Groups {
		g := &report.Groups[i]
		for n := range g.Topics {
			r := metricRow{group: label(g.Name), topic: label(g.Topics[n].Name), members: g.Members, t: &g.Topics[n]}
			// Two names that differ in bytes that are no text would be one series.
			if key := [2]string{r.group, r.topic}; !used[key] {
				used[key] = true
				all = append(all, r)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b metricRow) int {
		return cmp.Or(cmp.Compare(a.t.State.Rank(), b.t.State.Rank()), cmp.Compare(b.t.Age.D, a.t.Age.D), cmp.Compare(b.t.Undelivered.N, a.t.Undelivered.N))
	})
	seen := map[string]bool{}
	for _, r := range all {
		r.first = !seen[r.group]
		if most -= r.series(); most < 0 {
			break
		}
		seen[r.group] = true
		s.rows = append(s.rows, r)
	}
	return s
}

func label(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }

// shownGroups are the metrics of the last pass. Without one there are none: a number that
// is old would be taken for a new one.
type shownGroups struct{ c *Collector }

// Describe implements prometheus.Collector.
func (s shownGroups) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descRecords, descUndelivered, descSeconds, descLost, descState, descRetention, descMembers,
		descPartRecords, descPartUndelivered, descPartSeconds, descGroups, descUnreadable, descLeftOut, descUnread,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s shownGroups) Collect(ch chan<- prometheus.Metric) {
	shown := s.c.current()
	if shown == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	topics := 0
	for _, g := range shown.report.Groups {
		topics += len(g.Topics)
	}
	gauge(descGroups, float64(len(shown.report.Groups)))
	gauge(descLeftOut, float64(topics-len(shown.rows)))
	gauge(descUnread, float64(shown.report.Unread))
	for what, reasons := range unreadable(shown.report) {
		for why, n := range reasons {
			gauge(descUnreadable, float64(n), what, string(why))
		}
	}
	for _, r := range shown.rows {
		r.collect(gauge)
	}
}

func (r metricRow) collect(gauge func(d *prometheus.Desc, v float64, labels ...string)) {
	if r.t.Records.Known {
		gauge(descRecords, float64(r.t.Records.N), r.group, r.topic)
	}
	if r.t.Undelivered.Known {
		gauge(descUndelivered, float64(r.t.Undelivered.N), r.group, r.topic)
	}
	gauge(descLost, float64(r.t.Lost), r.group, r.topic)
	if r.t.Age.Known {
		gauge(descSeconds, r.t.Age.D.Seconds(), r.group, r.topic)
	}
	if r.t.Retention != nil {
		gauge(descRetention, float64(*r.t.Retention), r.group, r.topic)
	}
	if r.first && r.members.Known {
		gauge(descMembers, float64(r.members.N), r.group)
	}
	for i, n := range r.t.States {
		if n > 0 {
			gauge(descState, float64(n), r.group, r.topic, string(States[i]))
		}
	}
	for _, p := range r.t.Partitions {
		number := fmt.Sprint(p.Number)
		if p.Records.Known {
			gauge(descPartRecords, float64(p.Records.N), r.group, r.topic, number)
		}
		if p.Undelivered.Known {
			gauge(descPartUndelivered, float64(p.Undelivered.N), r.group, r.topic, number)
		}
		if p.Age.Known {
			gauge(descPartSeconds, p.Age.D.Seconds(), r.group, r.topic, number)
		}
	}
}

// unreadable counts what Kafka did not tell, by what it is and why; the zeros are for
// alerts.
func unreadable(r *Report) map[string]map[Reason]int {
	zeros := func() map[Reason]int { return map[Reason]int{ReasonPermission: 0, ReasonMissing: 0, ReasonOther: 0} }
	counts := map[string]map[Reason]int{"group": zeros(), "partition": zeros(), "broker": {ReasonOther: len(r.Unanswered)}}
	for _, g := range r.Groups {
		if g.Kind != ReasonNone {
			counts["group"][g.Kind]++
		}
		for _, t := range g.Topics {
			for why, n := range t.Unreadable {
				counts["partition"][why] += n
			}
		}
	}
	return counts
}
