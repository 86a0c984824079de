package cli

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"eventgateway/internal/config"
	"eventgateway/internal/event"
	"eventgateway/internal/idempotency"
)

// printShown is for an operator in a hurry: what Redis holds, then what it means.
func printShown(out io.Writer, s idempotency.Shown, cfg *config.Config) {
	line := func(name, format string, values ...any) {
		fmt.Fprintf(out, "%-12s %s\n", name, fmt.Sprintf(format, values...))
	}
	line("state", "%s", stateText(s))
	if s.State == idempotency.ShownClaimed || s.State == idempotency.ShownUnknown {
		line("since", "%s, by the clock of the gateway that claimed first", instant(s.From))
		line("lease", "%s", leaseText(s.LeaseLeft))
		line("topic", "%s, partition %s", s.Topic, partitionsText(s.Partitions))
		line("owner", "%s, the producer that may write it", s.Owner)
		line("token", "%s, of the attempt", s.Token)
	}
	if s.State == idempotency.ShownSettled {
		line("written to", "%s, partition %d, offset %d", topicText(s), s.Kept.Partition, s.Kept.Offset)
		line("event time", "%s", timeText(s.Kept))
		line("receipt", "%s, the beginning of its SHA-256; the rest is in the record", hex.EncodeToString(s.Kept.Receipt[:]))
	}
	if s.State != idempotency.ShownAbsent {
		line("fingerprint", "%s, of the payload", hex.EncodeToString(s.Fingerprint))
		line("kept for", "%s", expiresText(s.Expires))
	}
	line("bucket", "%d of 0 to 255: %s", s.Bucket, markerText(s.Marker))
	line("redis key", "%s", idempotency.QuoteKey(s.RecordKey))
	fmt.Fprintf(out, "\n%s\n", meaning(s, cfg))
}

// topicText names the topic of a settled claim, of which only a hash is stored.
func topicText(s idempotency.Shown) string {
	if s.Topic != "" {
		return s.Topic
	}
	return "a topic that no event type names now (its SHA-256 begins with " + hex.EncodeToString(s.Kept.Topic[:]) + ")"
}

func timeText(k event.KeptReceipt) string {
	if k.TimeNs == 0 {
		return "as its sender wrote it: see the record's ce_time"
	}
	return k.Time()
}

func stateText(s idempotency.Shown) string {
	switch s.State {
	case idempotency.ShownClaimed:
		if s.LeaseLeft <= 0 {
			return "claimed; its attempt ended without a word"
		}
		return "claimed: an attempt is under way"
	case idempotency.ShownUnknown:
		return "unknown: Kafka did not acknowledge the attempt in time"
	case idempotency.ShownSettled:
		return "settled: the event is written"
	default:
		return "absent: Redis holds nothing"
	}
}

func markerText(m idempotency.Marker) string {
	switch m {
	case idempotency.MarkerReady:
		return "ready"
	case idempotency.MarkerMissing:
		return "NOT READY, it has no marker: Redis is new, was emptied, or is being rebuilt"
	default:
		return "NOT READY, its marker is another Redis': this one was restarted or promoted"
	}
}

func leaseText(left time.Duration) string {
	if left <= 0 {
		return fmt.Sprintf("over since %s", (-left).Round(time.Second))
	}
	return fmt.Sprintf("%s left", left.Round(100*time.Millisecond))
}

func expiresText(d *time.Duration) string {
	if d == nil {
		return "not known: the user may not run PTTL"
	}
	return d.Round(time.Second).String()
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func partitionsText(list []int32) string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = strconv.Itoa(int(p))
	}
	return strings.Join(texts, " or ")
}

// meaning says what the next retry with this key gets, and what to do.
func meaning(s idempotency.Shown, cfg *config.Config) string {
	ready := s.Marker == idempotency.MarkerReady
	fenced := cfg.Kafka.Guarantee == config.GuaranteeTransactional
	const decide = "The next retry decides: it reads %s of the topic from that time on, and answers with the receipt if the event is there, else publishes it. Have the caller retry with the same key."
	const notYet = " Retries get 503 idempotency-store-unavailable first: claims of this bucket may be lost, and a gateway has to rebuild it from Kafka."
	var text string
	switch {
	case s.State == idempotency.ShownSettled:
		topic := s.Topic
		if topic == "" {
			topic = "TOPIC"
		}
		text = fmt.Sprintf("The event is in Kafka, once. Retries get its receipt; the same key with another payload gets 422. To see it, for example:\n"+
			"  kcat -C -b %s -t %s -p %d -o %d -c 1 -e -f '%%h\\n%%s\\n'", strings.Join(cfg.Kafka.Brokers, ","), topic, s.Kept.Partition, s.Kept.Offset)
		if !ready {
			text += "\nRetries get it although the bucket is not ready: it is true whatever else was lost."
		}
		return text
	case s.State == idempotency.ShownAbsent && ready:
		return fmt.Sprintf("In the last %s (idempotency.ttl) no attempt with this key was written or is of unknown outcome: none came, or all were refused. A retry is a first attempt.\n"+
			"If you know of one: was it sent by this client, with exactly this key, to gateways with this Redis?", cfg.Idempotency.TTL)
	case s.State == idempotency.ShownAbsent:
		return "Nothing can be said: claims of this bucket may be lost. Its keyed events get 503 until a gateway has rebuilt it from Kafka; then ask again. If no gateway runs, start one."
	case s.State == idempotency.ShownUnknown && fenced:
		text = fmt.Sprintf("Whether the event was written is not known yet. Nobody has to wait for the lease: the next retry fences the owner. "+decide, partitionWord(s.Partitions))
	case s.LeaseLeft > 0 && s.State == idempotency.ShownClaimed:
		text = fmt.Sprintf("Retries get 409 request-in-progress until the attempt ends, or until the lease is over. If it ends without a word (a gateway died): "+decide, partitionWord(s.Partitions))
	case s.LeaseLeft > 0:
		text = fmt.Sprintf("Whether the event was written is not known yet. Retries get 504 outcome-unknown until the lease is over. "+decide, partitionWord(s.Partitions))
	default:
		text = fmt.Sprintf("Whether the event was written is not known yet. "+decide, partitionWord(s.Partitions))
	}
	if !ready {
		text += notYet
	}
	return text
}

func partitionWord(list []int32) string {
	if len(list) == 1 {
		return "partition " + partitionsText(list)
	}
	return "the partitions"
}

// shownJSON is the same for programs. Durations are in milliseconds.
type shownJSON struct {
	State       idempotency.ShownState `json:"state"`
	Claim       string                 `json:"claim"`
	RedisKey    string                 `json:"redis_key"`
	Bucket      byte                   `json:"bucket"`
	Marker      idempotency.Marker     `json:"marker"`
	ExpiresInMs *int64                 `json:"expires_in_ms,omitempty"`
	Fingerprint string                 `json:"fingerprint,omitempty"`
	Token       string                 `json:"token,omitempty"`
	Owner       string                 `json:"owner,omitempty"`
	Topic       string                 `json:"topic,omitempty"`
	Partitions  []int32                `json:"partitions,omitempty"`
	Since       string                 `json:"since,omitempty"`
	LeaseLeftMs *int64                 `json:"lease_left_ms,omitempty"` // 0 after its end
	Written     *writtenJSON           `json:"written,omitempty"`
	Meaning     string                 `json:"meaning"`
}

// writtenJSON is where the record of a settled claim is.
type writtenJSON struct {
	Partition   int32  `json:"partition"`
	Offset      int64  `json:"offset"`
	Time        string `json:"time,omitempty"` // without it, only the record has it
	TopicHash   string `json:"topic_sha256"`   // its first bytes
	ReceiptHash string `json:"receipt_sha256"` // its first bytes
}

func printShownJSON(out io.Writer, s idempotency.Shown, cfg *config.Config) error {
	j := shownJSON{
		State: s.State, Claim: s.Claim.String(), RedisKey: idempotency.QuoteKey(s.RecordKey), Bucket: s.Bucket, Marker: s.Marker,
		Token: s.Token, Owner: s.Owner, Topic: s.Topic, Partitions: s.Partitions, Meaning: meaning(s, cfg),
	}
	if s.State != idempotency.ShownAbsent {
		j.Fingerprint = hex.EncodeToString(s.Fingerprint)
	}
	if s.Expires != nil {
		ms := s.Expires.Milliseconds()
		j.ExpiresInMs = &ms
	}
	switch s.State {
	case idempotency.ShownClaimed, idempotency.ShownUnknown:
		ms := max(s.LeaseLeft, 0).Milliseconds()
		j.Since, j.LeaseLeftMs = instant(s.From), &ms
	case idempotency.ShownSettled:
		j.Written = &writtenJSON{
			Partition: s.Kept.Partition, Offset: s.Kept.Offset, Time: s.Kept.Time(),
			TopicHash: hex.EncodeToString(s.Kept.Topic[:]), ReceiptHash: hex.EncodeToString(s.Kept.Receipt[:]),
		}
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(j); err != nil {
		return fmt.Errorf("write claim: %w", err)
	}
	return nil
}
