// Package lag says how far the consumer groups of a Kafka cluster are behind: all of
// them, not only the gateway's own, and those without members, too.
//
// A [Monitor] makes passes over a [Source]. Each pass is a [Report]; what is remembered
// between passes (a few figures for each partition) makes trends and states of them. A
// [Collector] makes passes in a running gateway, at a pace that depends on the number of
// groups, and shows the last one as metrics.
//
// For each partition there are three measures:
//
//   - records: the end of the log (high watermark) minus the committed offset, which is
//     what Kafka's own tool calls LAG. Markers of transactions count;
//   - undelivered: the same from the first record that a read-committed reader would get
//     to where it ends (last stable offset), so 0 once there is none;
//   - seconds: the age of that record.
//
// Invariants:
//   - what is not known is not a number: there is no -1, and no lag is negative;
//   - commits are asked for before the ends of logs, so that a group that keeps up is not
//     ahead;
//   - what cannot be read of one group, topic or broker is said there, and the pass goes on;
//   - what a pass reads of records, what is remembered, and the series of the metrics are
//     bounded, and what was left out is counted.
//
// It imports internal/kafka and internal/backoff.
package lag
