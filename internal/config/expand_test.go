package config

import (
	"os"
	"path/filepath"
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

func TestExpandFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for text, want := range map[string]expansion{
		"a${file:" + file("plain", "s3cret") + "}b":     {text: "as3cretb", used: true},
		"${file:" + file("line", "s3cret\n") + "}":      {text: "s3cret", used: true},
		"${file:" + file("windows", "s3cret\r\n") + "}": {text: "s3cret", used: true},
		"${file:" + file("lines", "a\nb\n\n") + "}":     {text: "a\nb\n", used: true},
		"${file:" + file("nested", "${A}") + "}":        {text: "${A}", used: true},
		"${file:" + file("empty", "\n") + "}":           {used: true, empty: "file:" + filepath.Join(dir, "empty")},
		"$${file:" + filepath.Join(dir, "plain") + "}":  {text: "${file:" + filepath.Join(dir, "plain") + "}"},
	} {
		require.Equal(t, want, expand(text, map[string]string{"A": "x"}, 100), text)
	}
	for path, problem := range map[string]string{
		filepath.Join(dir, "none"): "cannot be read: no such file", dir: "not a regular file", file("large", strings.Repeat("x", maxValueBytes+1)): "not a regular file", "": "cannot be read",
	} {
		e := expand("${file:"+path+"}", nil, 100)
		require.Len(t, e.faults, 1, path)
		require.Contains(t, e.faults[0].problem, problem)
	}
	_, err := load("gateway.yaml", []byte("auth: none\nredis: { password: \"${file:"+filepath.Join(dir, "empty")+"}\" }\n"), nil)
	require.ErrorContains(t, err, "redis.password: is empty, because the file")
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
