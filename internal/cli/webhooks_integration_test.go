//go:build integration

package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"eventgateway/test/services"
)

// TestDeadLetterTopics: `gateway check` reports missing dead-letter topics, and `gateway
// topics apply` creates them.
func TestDeadLetterTopics(t *testing.T) {
	t.Parallel()
	kafka := services.Shared(t).Kafka
	typed, named := "test-hooks-1-"+uuid.NewString(), "test-hooks-2-"+uuid.NewString()
	source := "src-" + uuid.NewString()
	derived, none := "webhooks."+source+".dead-letter", "webhooks."+source+"-strict.dead-letter"
	pushed, replays := typed+"."+source+".dlt", "gateway.subscription."+source+".replay"
	dropAfter(t, kafka, typed, named, derived, pushed, replays)
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "schemas", "one"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "schemas", "one", "v1.json"), []byte(`{"x-event":{"topic":"`+typed+`","key":"/id"}}`), 0o600))
	file := filepath.Join(dir, "gateway.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`auth: none
kafka: {brokers: ["`+kafka+`"], create_topics: {replication: 1, partitions: 2}}
redis: {addresses: ["127.0.0.1:1"]}
schemas: {dir: `+filepath.Join(dir, "schemas")+`}
webhooks:
  - {name: `+source+`, scheme: stripe, secrets: [x], event_type: "x.{type}"}
  - {name: `+source+`-named, scheme: stripe, secrets: [x], event_type: "x.{type}", dead_letter_topic: `+named+`}
  - {name: `+source+`-again, scheme: github, secrets: [x], event_type: "x.{type}", dead_letter_topic: `+named+`}
  - {name: `+source+`-strict, scheme: stripe, secrets: [x], event_type: "x.{type}", on_invalid: reject}
subscriptions:
  - {name: `+source+`, types: [one], url: "https://example.com/", start: latest}
`), 0o600))
	command := func(args ...string) (int, string) {
		t.Helper()
		var out, errOut bytes.Buffer
		status := run(append(args, "-c", file), &out, &errOut)
		return status, out.String()
	}
	var out string
	require.Eventually(t, func() bool { // a broker on a busy machine may not answer in time
		_, out = command("check")
		for _, topic := range []string{typed, named, derived, pushed} {
			if !regexp.MustCompile(`ERROR +kafka\.topic\.exists ` + topic).MatchString(out) {
				return false
			}
		}
		return true
	}, 2*time.Minute, 50*time.Millisecond)
	require.NotContains(t, out, none, "a source that rejects needs no topic")
	require.NotContains(t, out, replays, "the first replay makes it")

	const settings = ": created with 2 partitions, replication 1, cleanup.policy=delete"
	const fortnight = settings + " retention.ms=1209600000\n"
	status, applied := command("topics", "apply")
	require.Zero(t, status)
	require.Equal(t, typed+settings+"\n"+pushed+fortnight+named+fortnight+derived+fortnight+replays+settings+"\n", applied)
	require.Eventually(t, func() bool {
		_, out = command("check")
		return !bytes.Contains([]byte(out), []byte("kafka.topic.exists "+named+": ")) && !bytes.Contains([]byte(out), []byte("kafka.topic.exists "+derived+": "))
	}, time.Minute, 50*time.Millisecond)
	require.NotRegexp(t, `ERROR +kafka\.topic`, out)
}
