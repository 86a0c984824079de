package schema

import (
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"

	"eventgateway/test/corpus"
)

// inMemory is a folder as read would find it.
func (f files) inMemory() folder {
	var result folder
	for _, at := range sortedKeys(f) {
		one := file{path: at, data: []byte(f[at])}
		if dir, name := path.Split(at); !strings.HasPrefix(at, "_") {
			one.eventType, one.version = strings.TrimSuffix(dir, "/"), strings.TrimSuffix(name, ".json")
		}
		result.files = append(result.files, one)
	}
	return result
}

// githubWebhooks are GitHub's webhook schemas as a schemas folder, and the example
// deliveries by path.
func githubWebhooks(tb testing.TB) (*Set, map[string][]byte) {
	tb.Helper()
	schemas, deliveries := files{}, map[string][]byte{}
	for at, data := range corpus.Files(tb, corpus.GitHubWebhooks) {
		if name, ok := strings.CutPrefix(at, "schemas/"); ok && strings.HasSuffix(at, ".json") {
			schemas[name] = string(data)
		} else if name, ok := strings.CutPrefix(at, "examples/"); ok {
			deliveries[name] = data
		}
	}
	set, err := build(schemas.inMemory(), nil)
	require.NoError(tb, err)
	return set, deliveries
}

// Two of the examples are refused, by ajv, too: they have a date that is not one.
func TestGitHubDeliveries(t *testing.T) {
	t.Parallel()
	set, deliveries := githubWebhooks(t)
	require.Len(t, set.names, 66)
	accepted, refused := 0, map[string]string{}
	for at, data := range deliveries {
		name, _, _ := strings.Cut(at, "/")
		_, err := set.Check("github."+name, "", data)
		switch {
		case err == nil:
			accepted++
		case refusal(t, err).Kind == event.SchemaViolation:
			first := refusal(t, err).Violations[0]
			refused[at] = first.Pointer + " " + first.Keyword
		default:
			refused[at] = string(refusal(t, err).Kind)
		}
	}
	require.Equal(t, map[string]string{
		"check_run/rerequested.payload.json":                   "/check_run/app/created_at format",
		"check_run/rerequested.with-organization.payload.json": "/check_run/app/created_at format",
	}, refused)
	require.Equal(t, 271, accepted)
}
