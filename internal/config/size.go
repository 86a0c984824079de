package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes.
type Size int64

// The binary units of a Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

// sizeUnits is ordered: String takes the first that divides evenly.
var sizeUnits = []struct {
	name  string
	bytes Size
}{
	{"GiB", GiB},
	{"MiB", MiB},
	{"KiB", KiB},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"KB", 1e3},
}

// ParseSize reads a whole number of bytes with an optional unit: "900KiB",
// "256MiB", "1MB", "4096". Units are case-sensitive: Mb would be megabits.
func ParseSize(text string) (Size, error) {
	digits, unit := text, Size(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			digits, unit = strings.TrimSuffix(rest, " "), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != digits {
		return 0, fmt.Errorf("parse size: want a whole number with one of the units KiB, MiB, GiB, KB, MB, GB or none")
	}
	if n > math.MaxInt64/int64(unit) {
		return 0, fmt.Errorf("parse size: more than %d bytes", int64(math.MaxInt64))
	}
	return Size(n) * unit, nil
}

// Bytes is the size as a plain number.
func (s Size) Bytes() int64 { return int64(s) }

// String is the size in the largest unit that needs no fraction.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText gives what ParseSize reads.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
