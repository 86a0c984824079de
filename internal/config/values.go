package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// fault is an error that says why a text is not a value, and what to write instead.
type fault struct{ problem, fix string }

// Error implements error.
func (f *fault) Error() string { return f.problem + "; " + f.fix }

// neverEmpty is implemented by values for which an empty variable is a mistake:
// somebody meant there to be a value.
type neverEmpty interface{ neverEmpty() }

// as returns the field's value as a T, if its pointer implements T.
func as[T any](v reflect.Value) (T, bool) {
	t, ok := v.Addr().Interface().(T)
	return t, ok
}

// implements reports whether a pointer to t implements T.
func implements[T any](t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[T]())
}

// setText parses a text into a field that holds a value. The fault names the value as
// shown, which is the caller's choice: it may be one to hide.
func setText(v reflect.Value, text, shown string) *fault {
	if strings.ContainsRune(text, 0) {
		// C libraries stop reading at a NUL.
		return &fault{"holds a NUL character", "remove it"}
	}
	err := parse(v, text)
	if err == nil {
		return nil
	}
	var f *fault
	if !errors.As(err, &f) { // whose text may show the value
		f = &fault{"is not a value of this key", "docs/configuration.md has the keys and their types"}
	}
	return &fault{shown + " " + f.problem, f.fix}
}

// parse lets the value read the text itself, and reads the built-in types.
func parse(v reflect.Value, text string) error {
	if value, ok := as[encoding.TextUnmarshaler](v); ok {
		return value.UnmarshalText([]byte(text))
	}
	switch p := v.Addr().Interface().(type) {
	case *bool:
		if text != "true" && text != "false" {
			return &fault{"is neither true nor false", "write true or false"}
		}
		*p = text == "true"
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil || strconv.Itoa(n) != text {
			return &fault{"is not a whole number", "write digits only, for example 12"}
		}
		*p = n
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return &fault{"is not a duration", "write a number with a unit, for example 500ms, 10s, 5m or 24h"}
		}
		*p = d
	case *[]string:
		*p = splitList(text)
	default:
		v.SetString(text)
	}
	return nil
}

// splitList reads "a, b". An empty item stays, so that Validate can name it.
func splitList(text string) []string {
	if text == "" {
		return []string{}
	}
	items := strings.Split(text, ",")
	for i, item := range items {
		items[i] = strings.TrimSpace(item)
	}
	return items
}

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

// Bytes returns the size as a plain number.
func (s Size) Bytes() int64 { return int64(s) }

// String writes the size in the largest unit that needs no fraction.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// UnmarshalText is ParseSize.
func (s *Size) UnmarshalText(text []byte) error {
	size, err := ParseSize(string(text))
	if err != nil {
		return &fault{"is not a size", "write bytes as a whole number with a unit, for example 900KiB, 256MiB or 1MB"}
	}
	*s = size
	return nil
}

// MarshalText returns what ParseSize reads.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Rate is a number of calls per second, minute or hour. The zero Rate is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// maxRate is more than a gateway can serve in a second, and small enough to count with.
const maxRate = 1_000_000_000

// rateOff is no limit, where there is one by default.
const rateOff = "off"

// ParseRate reads "500/s", "100/m", "5000/h" or "off".
func ParseRate(text string) (Rate, error) {
	if text == rateOff {
		return Rate{}, nil
	}
	digits, unit, _ := strings.Cut(text, "/")
	per, ok := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 || n > maxRate || strconv.Itoa(n) != digits {
		return Rate{}, errors.New("parse rate: want a whole number, more than 0, and one of /s, /m, /h")
	}
	return Rate{Count: n, Per: per}, nil
}

// UnmarshalText is ParseRate.
func (r *Rate) UnmarshalText(text []byte) error {
	rate, err := ParseRate(string(text))
	if err != nil {
		return &fault{"is not a rate", "write calls per second, minute or hour, for example 500/s, 100/m or 5000/h"}
	}
	*r = rate
	return nil
}
