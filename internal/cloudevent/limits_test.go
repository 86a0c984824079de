package cloudevent

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever is kept of an event has a limit.
func TestAttributesHaveLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ attribute, longest, unit, wrong string }{
		"id":        {"id", strings.Repeat("i", MaxAttributeBytes), "i", "longer than 2048 bytes"},
		"source":    {"source", "/" + strings.Repeat("s", MaxAttributeBytes-1), "s", "longer than 2048 bytes"},
		"subject":   {"subject", strings.Repeat("s", MaxAttributeBytes), "s", "longer than 2048 bytes"},
		"time":      {"time", "2026-01-31T12:00:00." + strings.Repeat("1", maxTimeDigits), "1", "must be a time"},
		"extension": {"other", strings.Repeat("e", MaxAttributeBytes), "e", "longer than 2048 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			end := ""
			if c.attribute == "time" {
				end = "Z"
			}
			var e Event
			require.Empty(t, e.Set(c.attribute, c.longest+end))
			require.Contains(t, e.Set(c.attribute, c.longest+c.unit+end), c.wrong)
		})
	}
	var e Event
	for i := range maxExtensionBytes / MaxAttributeBytes {
		name := fmt.Sprintf("x%d", i)
		require.Empty(t, e.Set(name, strings.Repeat("e", MaxAttributeBytes-len(name))))
	}
	require.Contains(t, e.Set("more", ""), "larger than 16384 bytes together")
}
