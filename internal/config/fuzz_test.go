package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzLoad: no file and no environment panics; an answer is either a valid
// configuration or a bounded report; and the report never shows a named variable.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/errors/*.yaml")
	require.NoError(f, err)
	for _, file := range append(files, exampleFile) {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data, "GATEWAY_LOG_LEVEL=warn\nEMPTY=")
	}
	for _, text := range []string{
		"", "\x00", "\xff\xfe", "a: &a [*a]\nauth: *a", "? ? ? :", "auth: !!int none", "auth: ! none", "- - - -", "{auth: none, \"http\": {}}",
		"auth: none\nhttp: &h {<<: *h}", "auth: |\n none", "%YAML 1.1\n---\nauth: none", "auth: none\n...\n", "<<: {auth: none}",
		"auth: none\nredis: { password: \"a${SECRET}b\" }", "auth: \"${SECRET}\"", "http: { listen: \"${SECRET}\", body_limit: \"${SECRET}\" }",
		"auth: none\nkafka: { brokers: [\"${SECRET}\"], properties: { acks: \"${SECRET}\" } }", strings.Repeat("[", 500), strings.Repeat("a: {", 500),
	} {
		f.Add([]byte(text), "GATEWAY_HTTP_LISTEN=:1\nGATEWAY_X=\nGATEWAY_KAFKA_BROKERS=,")
	}
	const secret = "to-be-kept-secret"
	f.Fuzz(func(t *testing.T, data []byte, environ string) {
		if len(data) > 64<<10 || strings.Contains(string(data)+environ, "kept") {
			return
		}
		cfg, err := load("gateway.yaml", data, append(strings.Split(environ, "\n"), "SECRET="+secret))
		if err == nil {
			require.NoError(t, cfg.Validate())
			require.Equal(t, Auth{None: true}, cfg.Auth)
			return
		}
		require.Nil(t, cfg)
		var errs Errors
		require.ErrorAs(t, err, &errs)
		require.NotEmpty(t, errs)
		require.LessOrEqual(t, len(errs), maxErrors+1)
		require.Less(t, len(err.Error()), 128<<10)
		require.NotContains(t, err.Error(), secret)
		for _, one := range errs {
			require.NotContains(t, one.Error(), "\n")
			require.NotEmpty(t, one.Path)
			require.NotEmpty(t, one.Problem)
			require.NotEmpty(t, one.Fix)
		}
	})
}
