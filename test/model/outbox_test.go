package model

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// With all rules nothing breaks; without any of them something does.
func TestOutboxRules(t *testing.T) {
	t.Parallel()
	all := SearchOutbox(3)
	require.Empty(t, all.Broken, all.Text())
	t.Logf("all rules: holds, %d states", all.States)
	for _, rule := range OutboxRules() {
		result := SearchOutbox(3, rule)
		t.Logf("without %q: %s (%d states)", rule, result.Text(), result.States)
		require.Equal(t, "duplicate", result.Broken, "%s: leaving it out breaks nothing", rule)
	}
}
