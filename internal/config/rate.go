package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Rate is a number of calls per second, minute or hour. The zero Rate is none.
type Rate struct {
	Count int
	Per   time.Duration
}

// maxRate is more than a gateway can do in a second, and few enough to count with.
const maxRate = 1_000_000_000

// ParseRate reads "500/s", "100/m" or "5000/h".
func ParseRate(text string) (Rate, error) {
	digits, unit, _ := strings.Cut(text, "/")
	per, ok := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 || n > maxRate || strconv.Itoa(n) != digits {
		return Rate{}, errors.New("parse rate: want a whole number, more than 0, and one of /s, /m, /h")
	}
	return Rate{Count: n, Per: per}, nil
}
