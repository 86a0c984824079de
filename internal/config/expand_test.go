package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	env := map[string]string{"A": "1", "_b2": "${A}", "EMPTY": ""}
	for text, want := range map[string]expansion{
		"":                    {},
		"plain $A $ {A} $$":   {text: "plain $A $ {A} $$"},
		"${A}":                {text: "1", used: true},
		"x${A}y${A}z":         {text: "x1y1z", used: true},
		"${_b2}":              {text: "${A}", used: true},
		"$${A}":               {text: "${A}"},
		"$$${A}":              {text: "$${A}"},
		"$${A}${A}":           {text: "${A}1", used: true},
		"${EMPTY}":            {used: true, empty: "EMPTY"},
		"${EMPTY:-}":          {used: true},
		"${EMPTY:-x}":         {text: "x", used: true},
		"${UNSET:-a:-b $c}":   {text: "a:-b $c", used: true},
		"${A:-x}":             {text: "1", used: true},
		"é${A}\xff":           {text: "é1\xff", used: true},
		"{\"json\": \"${A}\"": {text: "{\"json\": \"1\"", used: true},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, expand(text, env, 100))
		})
	}
	for _, text := range []string{"${", "${}", "${A", "${A-x}", "${A:?x}", "${1A}", "${A B}", "${${A}}", "${A:-${A}}", "${UNSET}", "${A}${UNSET}"} {
		t.Run("refused "+text, func(t *testing.T) {
			t.Parallel()
			require.Len(t, expand(text, env, 100).faults, 1)
		})
	}
}

func TestExpandIsBounded(t *testing.T) {
	t.Parallel()
	env := map[string]string{"A": strings.Repeat("x", 1000)}
	e := expand(strings.Repeat("${A}", 1000), env, 2500)
	require.Len(t, e.faults, 1)
	require.Len(t, e.text, 2000)

	// The limit is for the file as a whole.
	file := "auth: none\nkafka:\n  properties:\n    a: &a ${A}\n    b: ${A}\n"
	big := "A=" + strings.Repeat("x", maxFileBytes*3/4)
	_, err := load("gateway.yaml", []byte(file), []string{big})
	require.EqualError(t, err, "kafka.properties.b: is too long once its variables are expanded; keep the file and what it expands to below 1MiB (gateway.yaml:5)")
}
