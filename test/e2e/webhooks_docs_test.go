//go:build integration

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// freeAddress is an address without a listener.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// shell runs commands as a user would paste them, in a folder with the gateway on PATH.
func shell(t *testing.T, dir, commands string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-e", "-o", "pipefail", "-c", commands)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", commands, out)
	return string(out)
}

// TestWebhookQuickStart runs the quick start of docs/webhooks.md; only the ports differ.
func TestWebhookQuickStart(t *testing.T) {
	t.Setenv("PATH", suite.dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("GATEWAY_HTTP_LISTEN", freeAddress(t))
	t.Setenv("GATEWAY_ADMIN_LISTEN", freeAddress(t))
	text := webhookDocs(t, "## Quick start", "## In production")
	dir := t.TempDir()
	yaml := yamlBlock.FindAllStringSubmatch(text, -1)
	require.Len(t, yaml, 1)
	writeFile(t, filepath.Join(dir, "gateway.yaml"), []byte(yaml[0][1]))
	steps := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(text, -1)
	require.Len(t, steps, 5)

	require.Contains(t, shell(t, dir, steps[0][1]), "schemas/stripe.payment_intent.succeeded/v1.json is drafted from 1 sample.")
	start := strings.TrimSpace(steps[1][1])
	require.Equal(t, "gateway dev -c gateway.yaml", start)
	g := &devGateway{process: launch(t, dir, "bash", "-c", "exec "+start+" --kafka-listen 127.0.0.1:0")}
	shows := func(lines ...string) {
		t.Helper()
		eventually(t, patient, "it is shown", func() error {
			for _, line := range lines {
				if g.exited() || !regexp.MustCompile(line).MatchString(g.out.String()) {
					return fmt.Errorf("no %s in %s%s", line, g.out.String(), g.log.String())
				}
			}
			return nil
		})
	}
	shows("Published records show up here")
	g.kafka = bannerKafka.FindStringSubmatch(g.out.String())[1]
	require.Contains(t, g.out.String(), "http://"+os.Getenv("GATEWAY_HTTP_LISTEN")+"/v1/webhooks/stripe")

	sent := shell(t, dir, steps[2][1])
	require.Contains(t, sent, "Written to Kafka as stripe.payment_intent.succeeded: topic stripe.payment_intent.succeeded, partition ")
	require.Contains(t, sent, "Written to Kafka as github.issues: topic github.issues, partition ")
	shows(`stripe.payment_intent.succeeded\[\d\]@0  key=pi_1QRsT2LkdIwHu7ix0001  id=`, `github.issues\[\d\]@0  key=tea-shop/kettle  id=`)
	require.Contains(t, shell(t, dir, steps[3][1]), "Idempotent-Replayed: true")
	require.Contains(t, shell(t, dir, steps[4][1]), "Kept as a dead letter in webhooks.github.dead-letter")
	shows(`webhooks.github.dead-letter\[\d\]@0  key=\(none\)  id=\S+  problem=unknown-event-type\n`)

	for topic, count := range map[string]int{"stripe.payment_intent.succeeded": 1, "github.issues": 1, "webhooks.github.dead-letter": 1} {
		requireCount(t, readTopic(t, g.kafka, topic).records, count, topic)
	}
	log := readTopic(t, g.kafka, "github.issues")
	body, err := os.ReadFile(filepath.Join(dir, "github.json"))
	require.NoError(t, err)
	require.Equal(t, string(body), string(log.records[0].Value))
	require.Equal(t, "/webhooks/github", header(log.records[0], "ce_source"))
	g.signal(t, syscall.SIGINT)
	require.Zero(t, g.waitExit(t, patient), g.log.String())
	g.requireCleanLog(t)
}

// TestDevWebhookLines: what `gateway dev -c` prints for each source works as pasted.
func TestDevWebhookLines(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gate way.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`
kafka: {brokers: ["kafka:9092"], guarantee: transactional}
redis: {password: "${NOT_SET_HERE}"}
webhooks:
  - {name: a, scheme: stripe, secrets: [x], event_type: "a.{type}"}
  - {name: b, scheme: github, secrets: [x], event_type: "b.{type}"}
  - {name: c, scheme: bearer, secrets: [x], event_type: "orders.placed"}
`), 0o600))
	g := startDev(t, "-c", file)
	lines := regexp.MustCompile(`(?m)^  \S+ webhooks sample .*$`).FindAllString(g.out.String(), -1)
	require.Len(t, lines, 3)
	for i, want := range []string{"Kept as a dead letter in webhooks.a.dead-letter", "Kept as a dead letter in webhooks.b.dead-letter", "Kept as a dead letter in webhooks.c.dead-letter"} {
		require.Contains(t, shell(t, t.TempDir(), lines[i]), want)
		require.Contains(t, shell(t, t.TempDir(), lines[i]), "Idempotent-Replayed: true")
	}
	require.Contains(t, g.out.String(), "Not used of the configuration file, because Kafka and Redis are embedded: kafka (but delivery_timeout)")
	require.True(t, strings.HasPrefix(g.paste(t), "HTTP/1.1 202 "))
	g.stop(t)
}
