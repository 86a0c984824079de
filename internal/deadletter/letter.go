package deadletter

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

// Record is a Kafka record.
type Record = kafka.Record

// Dialect names who writes dead letters of a form.
type Dialect string

// The dialects.
const (
	Subscription Dialect = "subscription" // of this gateway
	Webhook      Dialect = "webhook"      // of this gateway
	Spring       Dialect = "spring"       // Spring Kafka's DeadLetterPublishingRecoverer
	Connect      Dialect = "connect"      // Kafka Connect's errors.deadletterqueue
	Streams      Dialect = "streams"      // Kafka Streams (KIP-1034)
	ShareGroup   Dialect = "share-group"  // KIP-1191
	Unknown      Dialect = "unknown"      // no header that is known
)

// Place is where a record is in Kafka.
type Place struct {
	Topic     string
	Partition int32
	Offset    int64
}

func (p Place) String() string {
	return p.Topic + "/" + strconv.Itoa(int(p.Partition)) + "/" + strconv.FormatInt(p.Offset, 10)
}

// MarshalText implements encoding.TextMarshaler.
func (p Place) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Place) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePlace(string(text))
	return err
}

// ParsePlace reads what [Place.String] wrote.
func ParsePlace(text string) (Place, error) {
	parts := strings.Split(text, "/")
	if len(parts) == 3 && parts[0] != "" {
		partition, err := strconv.ParseInt(parts[1], 10, 32)
		offset, err2 := strconv.ParseInt(parts[2], 10, 64)
		if err == nil && err2 == nil && partition >= 0 && offset >= 0 {
			return Place{parts[0], int32(partition), offset}, nil
		}
	}
	return Place{}, fmt.Errorf("%q is not the place of a record; write topic/partition/offset, for example orders.fulfilment.dlt/0/42", text)
}

// Letter describes a dead letter. What its writer did not say is zero.
type Letter struct {
	Place   Place     `json:"place"`
	Written time.Time `json:"written"` // the dead letter's own timestamp
	Dialect Dialect   `json:"dialect"`

	// Origin is where the record was before, and OriginTime its timestamp there; nil if
	// that is not known, or it was in no topic.
	Origin     *Place    `json:"origin,omitempty"`
	OriginTime time.Time `json:"origin_time,omitzero"`

	// Consumer gave it up: a subscription, a webhook's source, a consumer group, a connector.
	Consumer  string    `json:"consumer,omitempty"`
	Reason    string    `json:"reason,omitempty"` // one word, or an exception's class
	Detail    string    `json:"detail,omitempty"` // for people; at most maxDetail bytes
	Exception string    `json:"exception,omitempty"`
	Trace     string    `json:"-"` // the exception's stack trace
	Class     string    `json:"class,omitempty"`
	Status    int       `json:"status,omitempty"` // of HTTP
	Attempts  int       `json:"attempts,omitempty"`
	First     time.Time `json:"first_failure,omitzero"`
	Died      time.Time `json:"died"` // when it was given up, or written
	Rounds    int       `json:"rounds"`

	Type      string  `json:"type,omitempty"` // ce_type
	Key       *string `json:"key"`            // as text; bytes that are not UTF-8 are replaced
	ValueSize int     `json:"value_bytes"`
	// NotCopied says that the dead letter only names the record, whose value it does not have.
	NotCopied bool `json:"not_copied,omitempty"`
}

// maxDetail bounds what is kept of an exception's message.
const maxDetail = 1 << 10

// Describe reads a record of a dead-letter topic.
func Describe(r *kafka.Record) Letter {
	l := Letter{
		Place: Place{r.Topic, r.Partition, r.Offset}, Written: r.Timestamp, Died: r.Timestamp, Dialect: Unknown,
		Rounds: 1, ValueSize: len(r.Value),
	}
	if r.Key != nil {
		key := strings.ToValidUTF8(string(r.Key), "�")
		l.Key = &key
	}
	h := headersOf(r)
	l.Type = h.text(event.HeaderType)
	for _, d := range dialects {
		if h.has(d.mark) {
			l.Dialect = d.name
			d.read(h, &l)
			break
		}
	}
	if l.Dialect != Subscription { // our own header counts this round already
		if before, ok := h.number(event.DeadRounds); ok && before > 0 {
			l.Rounds = int(min(before, maxRounds)) + 1
		}
	}
	l.Detail = shortened(l.Detail, maxDetail)
	return l
}

// maxRounds bounds a count that somebody else may have written.
const maxRounds = 1 << 20

// Identity is the same for two dead letters of one failure: a writer that dies between its
// write and its commit writes again. It is empty if it cannot be told.
func (l *Letter) Identity() string {
	if l.Origin == nil {
		return ""
	}
	stamp := int64(0)
	if !l.OriginTime.IsZero() {
		stamp = l.OriginTime.UnixMilli()
	}
	return fmt.Sprintf("%s %s %s %d %d", l.Dialect, l.Consumer, l.Origin, stamp, l.Rounds)
}

func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}
