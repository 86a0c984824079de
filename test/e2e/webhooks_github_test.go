//go:build integration

package e2e

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/test/corpus"
	"eventgateway/test/services"
)

// githubExamples is how many deliveries there are, without pings, which are answered
// and not published.
const githubExamples = 270

// githubRefused are the examples that GitHub's own schemas refuse: /check_run/app/created_at
// is "2018-04-25 20:42:10", which is no date-time (RFC 3339 §5.6).
var githubRefused = []string{"check_run/rerequested.payload.json", "check_run/rerequested.with-organization.payload.json"}

// githubCorpus is a schemas folder, and the deliveries by file.
func githubCorpus(t *testing.T) (schemas string, deliveries map[string][]byte) {
	t.Helper()
	dir := corpus.Unpack(t, corpus.GitHubWebhooks)
	deliveries = map[string][]byte{}
	for name, data := range corpus.Files(t, corpus.GitHubWebhooks) {
		if example, ok := strings.CutPrefix(name, "examples/"); ok && !strings.HasPrefix(example, "ping/") {
			deliveries[example] = data
		}
	}
	return filepath.Join(dir, "schemas"), deliveries
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
