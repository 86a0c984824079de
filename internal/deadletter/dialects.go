package deadletter

import (
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

// dialect reads the headers of one writer. mark is a header that all its dead letters have;
// prefixes begin the headers that a replay leaves out.
type dialect struct {
	name     Dialect
	mark     string
	read     func(headers, *Letter)
	prefixes []string
}

// Names of headers; dialects_test.go names the sources.
const (
	springPrefix  = "kafka_dlt-"
	connectPrefix = "__connect.errors."
	streamsPrefix = "__streams.errors."
	sharePrefix   = "__dlq.errors."
)

// dialects are tried in this order: a record that was replayed by hand may still have the
// headers of an earlier writer, and ours are the newest.
var dialects = []dialect{
	{Subscription, event.DeadSubscription, readSubscription, []string{event.DeadPrefix, event.ReplayPrefix}},
	{Webhook, event.HeaderProblem, readWebhook, []string{event.HeaderProblem, "http_"}},
	{Spring, springPrefix + "original-topic", readSpring, []string{
		springPrefix, "kafka_deliveryAttempt", "retry_topic-", "springDeserializerException",
	}},
	{Connect, connectPrefix + "topic", readConnect, []string{connectPrefix}},
	{Streams, streamsPrefix + "topic", readStreams, []string{streamsPrefix}},
	{ShareGroup, sharePrefix + "topic", readShareGroup, []string{sharePrefix}},
}

// provenance reports whether a header says where a dead letter of a dialect comes from, or
// where it came from in an earlier round.
func provenance(of Dialect, name string) bool {
	for _, d := range dialects {
		if d.name == Webhook && of != Webhook { // its prefixes are too common
			continue
		}
		for _, prefix := range d.prefixes {
			if strings.HasPrefix(name, prefix) {
				return true
			}
		}
	}
	return false
}

// headers are those of a record. Of several with one name the last counts: writers that
// do not replace append.
type headers []kafka.RecordHeader

func headersOf(r *kafka.Record) headers { return r.Headers }

func (h headers) last(name string) ([]byte, bool) {
	for i := len(h) - 1; i >= 0; i-- {
		if h[i].Key == name {
			return h[i].Value, true
		}
	}
	return nil, false
}

func (h headers) has(name string) bool {
	_, ok := h.last(name)
	return ok
}

func (h headers) text(name string) string {
	value, _ := h.last(name)
	return strings.ToValidUTF8(string(value), "�")
}

// number reads decimal text.
func (h headers) number(name string) (int64, bool) {
	value, ok := h.last(name)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	return n, err == nil
}

// big reads a signed big-endian number of two, four or eight bytes, as Java's ByteBuffer
// writes it.
func (h headers) big(name string) (int64, bool) {
	switch value, _ := h.last(name); len(value) {
	case 2:
		return int64(int16(binary.BigEndian.Uint16(value))), true //nolint:gosec // the same bits
	case 4:
		return int64(int32(binary.BigEndian.Uint32(value))), true //nolint:gosec // the same bits
	case 8:
		return int64(binary.BigEndian.Uint64(value)), true //nolint:gosec // the same bits
	}
	return 0, false
}

func (h headers) time(name string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, h.text(name))
	if err != nil {
		return time.Time{}
	}
	return t
}

// origin is where the record was, from numbers as read reads them; nil if a part is missing.
func (h headers) origin(topic, partition, offset string, read func(string) (int64, bool)) *Place {
	p, ok := read(partition)
	o, ok2 := read(offset)
	name := h.text(topic)
	if !ok || !ok2 || name == "" || p < 0 || p > 1<<31-1 || o < 0 {
		return nil
	}
	return &Place{name, int32(p), o}
}

func readSubscription(h headers, l *Letter) {
	l.Origin = h.origin(event.DeadTopic, event.DeadPartition, event.DeadOffset, h.number)
	l.OriginTime = h.time(event.DeadTimestamp)
	l.Consumer, l.Reason, l.Class = h.text(event.DeadSubscription), h.text(event.DeadReason), h.text(event.DeadClass)
	status, _ := h.number(event.DeadStatus)
	attempts, _ := h.number(event.DeadAttempts)
	l.Status, l.Attempts = int(status), int(attempts)
	l.First = h.time(event.DeadFirst)
	if died := h.time(event.DeadTime); !died.IsZero() {
		l.Died = died
	}
	if rounds, ok := h.number(event.DeadRounds); ok && rounds > 0 {
		l.Rounds = int(min(rounds, maxRounds))
	}
}

func readWebhook(h headers, l *Letter) {
	l.Reason, l.Detail = h.text(event.HeaderProblem), h.text(event.HeaderProblemDetail)
	l.Consumer, _ = strings.CutPrefix(h.text(event.HeaderSource), "/webhooks/")
	l.Attempts = 1
}

func readSpring(h headers, l *Letter) {
	l.Origin = h.origin(springPrefix+"original-topic", springPrefix+"original-partition", springPrefix+"original-offset", h.big)
	if ms, ok := h.big(springPrefix + "original-timestamp"); ok && ms > 0 {
		l.OriginTime = time.UnixMilli(ms)
	}
	l.Consumer = h.text(springPrefix + "original-consumer-group")
	l.Exception = h.text(springPrefix + "exception-fqcn")
	cause, part := h.text(springPrefix+"exception-cause-fqcn"), "exception-"
	if l.Exception == "" && h.has(springPrefix+"key-exception-fqcn") { // the key could not be read
		part = "key-exception-"
		l.Exception = h.text(springPrefix + part + "fqcn")
	}
	l.Detail, l.Trace = h.text(springPrefix+part+"message"), h.text(springPrefix+part+"stacktrace")
	l.Reason = l.Exception // most often Spring's wrapper: the cause says more
	if cause != "" {
		l.Reason = cause
	}
	if n, ok := h.big("kafka_deliveryAttempt"); ok && n > 0 {
		l.Attempts = int(n)
	} else if n, ok := h.big("retry_topic-attempts"); ok && n > 0 {
		l.Attempts = int(n)
	}
}

func readConnect(h headers, l *Letter) {
	l.Origin = h.origin(connectPrefix+"topic", connectPrefix+"partition", connectPrefix+"offset", h.number)
	l.Consumer, l.Class = h.text(connectPrefix+"connector.name"), h.text(connectPrefix+"stage")
	l.Exception = h.text(connectPrefix + "exception.class.name")
	l.Reason = l.Exception
	l.Detail, l.Trace = h.text(connectPrefix+"exception.message"), h.text(connectPrefix+"exception.stacktrace")
}

func readStreams(h headers, l *Letter) {
	l.Origin = h.origin(streamsPrefix+"topic", streamsPrefix+"partition", streamsPrefix+"offset", h.number)
	// The class, followed by a colon and the message (Throwable.toString).
	l.Exception, _, _ = strings.Cut(h.text(streamsPrefix+"exception"), ":")
	l.Reason = l.Exception
	l.Detail, l.Trace = h.text(streamsPrefix+"message"), h.text(streamsPrefix+"stacktrace")
}

func readShareGroup(h headers, l *Letter) {
	l.Origin = h.origin(sharePrefix+"topic", sharePrefix+"partition", sharePrefix+"offset", h.number)
	l.Consumer, l.Detail = h.text(sharePrefix+"group"), h.text(sharePrefix+"message")
	l.Reason = "rejected"
	if n, ok := h.number(sharePrefix + "delivery.count"); ok {
		l.Attempts = int(n)
	}
	// errors.deadletterqueue.copy.record.enable is off by default: then key and value are missing.
	l.NotCopied = l.Key == nil && l.ValueSize == 0
}
