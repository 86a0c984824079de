package preflight

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Severity says what a finding means for starting the gateway.
type Severity string

// Severities, from the best to the worst. Only an error makes `gateway check` fail.
const (
	OK      Severity = "ok"
	Warning Severity = "warning" // works, but the promise or the operation is weaker than it could be
	Error   Severity = "error"   // some or all events will be refused, or the promise does not hold
)

// Finding is the result of one check.
type Finding struct {
	Severity Severity `json:"severity"`
	Check    string   `json:"check"`             // what was checked, for example kafka.topic.replication
	Subject  string   `json:"subject,omitempty"` // of what, for example of a topic
	What     string   `json:"what"`              // what was found, with its figures
	Do       string   `json:"do,omitempty"`      // what to do about it; empty only for OK
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// span is a duration without trailing zeros.
func span(d time.Duration) string {
	text := d.String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}

const namedAtMost = 3

// several lists the first few of many.
func several[T any](list []T) string {
	names := make([]string, 0, namedAtMost)
	for _, one := range list[:min(namedAtMost, len(list))] {
		names = append(names, fmt.Sprint(one))
	}
	text := strings.Join(names, ", ")
	if more := len(list) - namedAtMost; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// bytesText is a readable number of bytes.
func bytesText(n int64) string {
	const step = 1024
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	size, unit := float64(n), 0
	for size >= step && unit < len(units)-1 {
		size /= step
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", size, units[unit])
}

// countText is a readable number of things.
func countText(n float64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f billion", n/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f million", n/1e6)
	case n >= 1000:
		return fmt.Sprintf("%d,%03d", int(n)/1000, int(n)%1000)
	default:
		return strconv.Itoa(int(n))
	}
}

// rateText is a number of events a second.
func rateText(perSecond float64) string {
	if perSecond < 10 {
		return fmt.Sprintf("%.1f", perSecond)
	}
	return countText(perSecond)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
