package webhook

import (
	"strconv"
	"time"

	"eventgateway/internal/strictjson"
)

// timestampFormat is how a provider writes the time.
type timestampFormat int

const (
	anyTimestamp timestampFormat = iota // any of the others; written as Unix seconds
	unixSeconds
	unixMilliseconds
	rfc3339
)

// parse reads a timestamp.
func (f timestampFormat) parse(s string) (time.Time, bool) {
	// 16 digits of milliseconds reach the year 318,857: no overflow below.
	n, err := strconv.ParseInt(s, 10, 64)
	digits := err == nil && len(s) <= 16 && s[0] != '-' && s[0] != '+'
	switch f {
	case unixSeconds:
		return time.Unix(n, 0), digits
	case unixMilliseconds:
		return time.UnixMilli(n), digits
	case anyTimestamp:
		switch {
		case digits && len(s) >= 12: // in seconds, the year 5138 and later
			return time.UnixMilli(n), true
		case digits:
			return time.Unix(n, 0), true
		}
	}
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil
}

// write is the inverse of parse.
func (f timestampFormat) write(t time.Time) string {
	switch f {
	case unixMilliseconds:
		return strconv.FormatInt(t.UnixMilli(), 10)
	case rfc3339:
		return t.UTC().Format(time.RFC3339)
	}
	return strconv.FormatInt(t.Unix(), 10)
}

// fresh rejects a signed time that is too far from now, in either direction: an old
// one is a replay, and one in the future could be replayed later.
func fresh(signed, now time.Time, tolerance time.Duration, where string) *Rejection {
	switch age := now.Sub(signed); {
	case age > tolerance:
		return reject(TimestampTooOld, "The timestamp in %s is %s old; %s is allowed.", where, age.Round(time.Second), tolerance)
	case age < -tolerance: // not -age > tolerance: the smallest duration cannot be negated
		return reject(TimestampInFuture, "The timestamp in %s is %s in the future; %s is allowed. Is this gateway's clock right?",
			where, signed.Sub(now).Round(time.Second), tolerance)
	}
	return nil
}

// checkTimestamp reads a signed timestamp and rejects one too far from now.
func checkTimestamp(text string, format timestampFormat, now time.Time, tolerance time.Duration, where string) *Rejection {
	signed, ok := format.parse(text)
	if !ok {
		return reject(MalformedHeader, "The timestamp in %s is ill-formed.", where)
	}
	return fresh(signed, now, tolerance, where)
}

// checkBodyTimestamp is checkTimestamp for a timestamp in the body.
func checkBodyTimestamp(text string, format timestampFormat, now time.Time, tolerance time.Duration, where strictjson.Pointer) *Rejection {
	signed, ok := format.parse(text)
	if !ok {
		return reject(MalformedBody, "The timestamp at %s in the body is missing or ill-formed.", where)
	}
	return fresh(signed, now, tolerance, where.String()+" in the body")
}
