package event

import (
	"crypto/sha256"
	"time"
)

// TopicHash is the beginning of the SHA-256 of a topic's name. It finds the name again
// among those of a cluster; whoever reads a record there still compares its gw_claim.
type TopicHash [4]byte

// HashTopic returns the hash of a topic's name.
func HashTopic(name string) TopicHash {
	sum := sha256.Sum256([]byte(name))
	return TopicHash(sum[:len(TopicHash{})])
}

// ReceiptHash is the beginning of the SHA-256 of a receipt as JSON.
type ReceiptHash [6]byte

// HashReceipt returns the hash of a receipt, given as [Receipt.AppendJSON] writes it.
func HashReceipt(json []byte) ReceiptHash {
	sum := sha256.Sum256(json)
	return ReceiptHash(sum[:len(ReceiptHash{})])
}

// KeptReceipt is what the store keeps of the receipt of a written event: what no retry can
// know, and hashes that tell whether a retry knows the rest. Otherwise the record does.
type KeptReceipt struct {
	Partition int32
	Offset    int64
	TimeNs    int64 // ce_time, since the epoch; 0 if it is not kept
	Topic     TopicHash
	Receipt   ReceiptHash
}

// KeepReceipt returns what is kept of a receipt, which json is as [Receipt.AppendJSON]
// writes it.
func KeepReceipt(r Receipt, json []byte) KeptReceipt {
	return KeptReceipt{
		Partition: r.Partition, Offset: r.Offset, TimeNs: nanoseconds(r.Time),
		Topic: HashTopic(r.Topic), Receipt: HashReceipt(json),
	}
}

// Complete returns the receipt of the written event, made from the one that a retry would
// get if it were written now. It reports false if they differ in more than position and
// time, because the schemas, the configuration or the request's attributes have changed:
// then only the record knows the receipt.
func (k KeptReceipt) Complete(now Receipt) (Receipt, bool) {
	now.Partition, now.Offset = k.Partition, k.Offset
	if k.TimeNs != 0 {
		now.Time = k.Time()
	}
	return now, HashReceipt(now.AppendJSON(nil)) == k.Receipt
}

// Time is the ce_time, or empty if it is not kept.
func (k KeptReceipt) Time() string {
	if k.TimeNs == 0 {
		return ""
	}
	return string(appendTime(nil, k.TimeNs))
}

// nanoseconds is a ce_time since the epoch. It is 0 if the text cannot be made again from
// them to the byte: in another time zone, with zeros at the end, or centuries away.
func nanoseconds(text string) int64 {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0
	}
	var room [len(time.RFC3339Nano)]byte
	ns := t.UnixNano()
	if string(appendTime(room[:0], ns)) != text {
		return 0
	}
	return ns
}

func appendTime(b []byte, ns int64) []byte {
	return time.Unix(0, ns).UTC().AppendFormat(b, time.RFC3339Nano)
}
