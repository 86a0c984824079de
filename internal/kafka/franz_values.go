package kafka

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Values are read as librdkafka reads them: spaces around them and the case of words do
// not count, whole numbers may be hexadecimal, and ranges are librdkafka's.

// text is a property's value, "" if it is not given.
func (t *translation) text(plain string) string { return t.given[plain].value }

// oneOf reads a word of a list; its first word is the default.
func (t *translation) oneOf(plain string, words ...string) string {
	p, given := t.given[plain]
	if !given {
		return words[0]
	}
	word := strings.ToLower(strings.TrimSpace(p.value))
	if !slices.Contains(words, word) {
		t.fault(plain, "is not one of its values", "write one of "+strings.Join(words, ", "))
		return words[0]
	}
	return word
}

func (t *translation) boolean(plain string, otherwise bool) bool {
	p, given := t.given[plain]
	if !given {
		return otherwise
	}
	switch strings.ToLower(strings.TrimSpace(p.value)) {
	case "true", "t", "1":
		return true
	case "false", "f", "0":
		return false
	}
	t.fault(plain, "is neither true nor false", "write true or false")
	return otherwise
}

// number reads a whole number. given is false also if the value is wrong.
func (t *translation) number(plain string, least, most int64) (n int64, given bool) {
	p, given := t.given[plain]
	if !given {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(p.value), 0, 64)
	if err != nil || n < least || n > most {
		t.fault(plain, fmt.Sprintf("is not a whole number from %d to %d", least, most), "write such a number")
		return 0, false
	}
	return n, true
}

// milliseconds reads a time in librdkafka's range. A time out of franz-go's own range
// is lacking.
func (t *translation) milliseconds(plain string, otherwise time.Duration, least, most int64, franzLeast, franzMost time.Duration) time.Duration {
	n, given := t.number(plain, least, most)
	d := time.Duration(n) * time.Millisecond
	switch {
	case !given:
		return otherwise
	case d < franzLeast:
		t.lack(plain, "franz-go takes at least "+franzLeast.String())
		return franzLeast
	case d > franzMost:
		t.lack(plain, "franz-go takes at most "+franzMost.String())
		return franzMost
	}
	return d
}

// linger is 0 unless given: records of other requests that wait make the batches.
func (t *translation) linger() time.Duration {
	const plain, most, franzMost = "linger.ms", 900_000, time.Minute
	p, given := t.given[plain]
	if !given {
		return 0
	}
	ms, err := strconv.ParseFloat(strings.TrimSpace(p.value), 64)
	if err != nil || !(ms >= 0 && ms <= most) { // NaN is neither
		t.fault(plain, fmt.Sprintf("is not a number of milliseconds from 0 to %d", most), "write for example 5")
		return 0
	}
	d := time.Duration(ms * float64(time.Millisecond))
	if d > franzMost {
		t.lack(plain, "franz-go takes at most "+franzMost.String())
		return franzMost
	}
	return d
}

// compression is none unless given; franz-go's own default would be snappy.
func (t *translation) compression() kgo.CompressionCodec {
	const plain = "compression.type"
	words := []string{"none", "gzip", "snappy", "lz4", "zstd"}
	if p := t.given[plain]; strings.HasPrefix(p.name, "topic.") && inherits(p.value) {
		words = append(words, "inherit") // the default of the client: none
	}
	name := t.oneOf(plain, words...)
	level, leveled := t.number("compression.level", -1, 12)
	leveled = leveled && level >= 0 // -1 is the codec's own default
	switch name {
	case "gzip":
		if leveled {
			return kgo.GzipCompression().WithLevel(int(min(level, 9))) // librdkafka cuts it as well
		}
		return kgo.GzipCompression()
	case "snappy":
		return kgo.SnappyCompression()
	case "lz4":
		if leveled && level > 0 {
			return kgo.Lz4Compression().WithLevel(int(lz4Level(level)))
		}
		return kgo.Lz4Compression()
	case "zstd":
		if leveled {
			return kgo.ZstdCompression().WithLevel(int(level))
		}
		return kgo.ZstdCompression()
	}
	return kgo.NoCompression()
}

func inherits(value string) bool { return strings.EqualFold(strings.TrimSpace(value), "inherit") }

// lz4Level is the library's name for a level. It ends at 9; librdkafka's 10 to 12 only
// take more time for the last per cent.
func lz4Level(level int64) lz4.CompressionLevel {
	return lz4.Level1 << (min(level, 9) - 1)
}

func (t *translation) socketTimeout() time.Duration {
	return t.milliseconds("socket.timeout.ms", franzSocketTimeout, 10, 300_000, 100*time.Millisecond, 15*time.Minute)
}

// idleTimeout takes 0, librdkafka's default, for "not given": brokers close idle
// connections in any case.
func (t *translation) idleTimeout() time.Duration {
	const plain = "connections.max.idle.ms"
	if n, given := t.number(plain, 0, math.MaxInt32); !given || n == 0 {
		return franzIdleTimeout
	}
	return t.milliseconds(plain, franzIdleTimeout, 0, math.MaxInt32, 100*time.Millisecond, 15*time.Minute)
}

// metadataAges are when metadata is asked for again by itself, and the shortest pause
// between two questions. librdkafka forgets after the one age what it has not asked for
// again at the other interval; franz-go has one time for both.
func (t *translation) metadataAges() (oldest, youngest time.Duration) {
	const interval, age = "topic.metadata.refresh.interval.ms", "metadata.max.age.ms"
	youngest = t.milliseconds("topic.metadata.refresh.fast.interval.ms", franzMetadataMinAge, 1, 60_000, 10*time.Millisecond, time.Minute)
	var ages []time.Duration
	if n, given := t.number(interval, -1, 3_600_000); given && n < 1 {
		t.lack(interval, "franz-go always asks again")
	} else if given {
		ages = append(ages, time.Duration(n)*time.Millisecond)
	}
	if _, given := t.given[age]; given {
		ages = append(ages, t.milliseconds(age, franzMetadataMaxAge, 1, 86_400_000, 0, time.Hour))
	}
	if len(ages) == 0 {
		ages = append(ages, franzMetadataMaxAge)
	}
	return max(slices.Min(ages), youngest), youngest // franz-go refuses the opposite
}

// responseLimit bounds a response in franz-go's range. A consumer's fetches, which this
// client has none of, must stay below it.
func (t *translation) responseLimit() (int32, bool) {
	const plain, franzLeast, franzMost = "receive.message.max.bytes", 1 << 10, 1 << 30
	n, given := t.number(plain, 1000, math.MaxInt32)
	if given && (n < franzLeast || n > franzMost) {
		t.lack(plain, fmt.Sprintf("franz-go takes %d to %d", franzLeast, franzMost))
		return 0, false
	}
	return int32(n), given //nolint:gosec // in the range that number checked
}

// fixed checks properties that franz-go has one behaviour for.
func (t *translation) fixed() {
	if n, given := t.number("socket.max.fails", 0, 1_000_000); given && n != 1 {
		t.lack("socket.max.fails", "franz-go always closes a connection at its first timeout")
	}
	if !t.boolean("topic.metadata.refresh.sparse", true) {
		t.lack("topic.metadata.refresh.sparse", "franz-go asks for the topics that are written only")
	}
	if t.boolean("enable.metrics.push", false) {
		t.lack("enable.metrics.push", "a client of franz-go that is given up must end at once, and pushing metrics delays that")
	}
	if word := t.oneOf("client.dns.lookup", "use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"); word != "use_all_dns_ips" {
		t.lack("client.dns.lookup", "franz-go uses the names as they are given")
	}
}
