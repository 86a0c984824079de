//go:build integration

package e2e

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/test/services"
)

const (
	// githubArchive has the schemas and example deliveries of GitHub's webhooks, made from
	// github.com/octokit/webhooks (commit 3a58428a, MIT licence): schemas/ is a schemas
	// folder, examples/<event>/*.json are deliveries. It is not in the repository. It is in
	// the folder that GATEWAY_TEST_CORPUS names, by default ../shared/corpus.
	githubArchive = "github-webhooks.tar.gz"
	// githubExamples is how many deliveries there are, without pings, which are answered
	// and not published.
	githubExamples = 270
)

// githubRefused are the examples that GitHub's own schemas refuse: /check_run/app/created_at
// is "2018-04-25 20:42:10", which is no date-time (RFC 3339 §5.6).
var githubRefused = []string{"check_run/rerequested.payload.json", "check_run/rerequested.with-organization.payload.json"}

// githubCorpus unpacks the archive: a schemas folder, and the deliveries by file.
func githubCorpus(t *testing.T) (schemas string, deliveries map[string][]byte) {
	t.Helper()
	dir := os.Getenv("GATEWAY_TEST_CORPUS")
	if dir == "" {
		dir = filepath.Join(suite.root, "..", "shared", "corpus")
	}
	file, err := os.Open(filepath.Join(dir, githubArchive))
	require.NoError(t, err, "this test needs GitHub's examples: set GATEWAY_TEST_CORPUS to the folder that has %s", githubArchive)
	defer func() { require.NoError(t, file.Close()) }()
	unzipped, err := gzip.NewReader(file)
	require.NoError(t, err)
	schemas, deliveries = t.TempDir(), map[string][]byte{}
	for archive := tar.NewReader(unzipped); ; {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return schemas, deliveries
		}
		require.NoError(t, err)
		if entry.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(archive)
		require.NoError(t, err)
		_, name, _ := strings.Cut(path.Clean(entry.Name), "/")
		switch {
		case strings.HasPrefix(name, "schemas/"):
			to := filepath.Join(schemas, filepath.FromSlash(strings.TrimPrefix(name, "schemas/")))
			require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o700))
			require.NoError(t, os.WriteFile(to, data, 0o600))
		case strings.HasPrefix(name, "examples/") && !strings.HasPrefix(name, "examples/ping/"):
			deliveries[strings.TrimPrefix(name, "examples/")] = data
		}
	}
}

// TestGitHubsExamples delivers each example of GitHub's under GitHub's own schemas. All are
// written but those that the schemas refuse.
func TestGitHubsExamples(t *testing.T) {
	schemas, deliveries := githubCorpus(t)
	require.Len(t, deliveries, githubExamples)
	broker, dead := services.Shared(t).Kafka, newTopicName(t)
	createTopics(t, broker, 1, dead)
	name := unique("github")
	g := startGateway(t, options{schemas: schemas, webhooks: []map[string]any{{
		"name": name, "scheme": "github", "secrets": []string{hookSecret}, "event_type": "github.{type}", "dead_letter_topic": dead,
		"key": map[string]any{"first_of": []any{"/repository/full_name", "/organization/login", "/installation/id", nil}},
	}}})
	h := &hook{name: name, scheme: "github", dead: dead, broker: broker, c: newClient(t, g.addr, 8)}
	names := make([]string, 0, len(deliveries))
	for file := range deliveries {
		names = append(names, file)
	}
	slices.Sort(names)
	topics := make([]string, len(names))
	each(8, len(names), func(i int) {
		eventType, _, _ := strings.Cut(names[i], "/")
		for range 50 {
			a, err := h.try(hookSecret, names[i], string(deliveries[names[i]]), "X-GitHub-Event", eventType)
			if topics[i] = string(a.body); err != nil {
				topics[i] = err.Error()
			}
			if err == nil && a.status == http.StatusAccepted {
				topics[i] = a.receipt(t).Topic
			}
			if err == nil && a.status < http.StatusInternalServerError {
				return
			}
		}
	})
	var refused []string
	for i, topic := range topics {
		eventType, _, _ := strings.Cut(names[i], "/")
		if topic != "github."+eventType {
			require.Equal(t, dead, topic, names[i])
			refused = append(refused, names[i])
		}
	}
	t.Logf("%d of %d deliveries are events", len(names)-len(refused), len(names))
	why := map[string]int{}
	for _, rec := range h.kept(t).records {
		why[header(rec, "gw_problem")+": "+header(rec, "gw_problem_detail")]++
	}
	require.Equal(t, githubRefused, refused, "%v", why)
}
