package config

import (
	"reflect"
	"strconv"
	"strings"
	"time"
)

// fault is why a text is not a value, and what to write instead.
type fault struct{ problem, fix string }

// setText parses a text into a leaf. The value as shown in a fault is the
// caller's choice, for it may be one to hide.
func setText(v reflect.Value, text, shown string) *fault {
	if strings.ContainsRune(text, 0) {
		// C libraries would read only what stands before it.
		return &fault{"holds a NUL character", "remove it"}
	}
	switch p := v.Addr().Interface().(type) {
	case *bool:
		if text != "true" && text != "false" {
			return &fault{shown + " is neither true nor false", "write true or false"}
		}
		*p = text == "true"
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil || strconv.Itoa(n) != text {
			return &fault{shown + " is not a whole number", "write digits only, for example 12"}
		}
		*p = n
	case *Size:
		size, err := ParseSize(text)
		if err != nil {
			return &fault{shown + " is not a size", "write bytes as a whole number with a unit, for example 900KiB, 256MiB or 1MB"}
		}
		*p = size
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return &fault{shown + " is not a duration", "write a number with a unit, for example 500ms, 10s, 5m or 24h"}
		}
		*p = d
	case *Rate:
		rate, err := ParseRate(text)
		if err != nil {
			return &fault{shown + " is not a rate", "write calls per second, minute or hour, for example 500/s, 100/m or 5000/h"}
		}
		*p = rate
	case *Auth:
		if text != authNone {
			return &fault{shown + " is not none", authFix}
		}
		*p = Auth{None: true}
	case *[]string:
		*p = splitList(text)
	default:
		v.SetString(text)
	}
	return nil
}

// splitList reads "a, b"; an empty item is left for Validate to name.
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
