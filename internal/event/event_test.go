package event

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValidTypeName(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		input string
		want  bool
	}{
		{"dotted", "orders.placed", true},
		{"every kind of character", "aZ09._-", true},
		{"one character", "a", true},
		{"200 characters", strings.Repeat("a", 200), true},
		{"201 characters", strings.Repeat("a", 201), false},
		{"empty", "", false},
		{"space", "orders placed", false},
		{"slash", "orders/placed", false},
		{"percent", "orders%2Eplaced", false},
		{"newline at the end", "orders.placed\n", false},
		{"second line", "orders.placed\n../etc", false},
		{"letter beyond ASCII", "ordérs", false},
		{"NUL", "orders\x00", false},
		{"invalid UTF-8", "orders\xff", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, ValidTypeName(tt.input))
		})
	}
}
