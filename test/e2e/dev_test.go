//go:build integration

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

// devGateway is a running `gateway dev`.
type devGateway struct {
	*process
	kafka string // host:port
	curl  string // the line of the banner that publishes
}

var (
	bannerKafka = regexp.MustCompile(`(?m)^  Kafka +(\S+) `)
	bannerCurl  = regexp.MustCompile(`(?ms)^  curl .*?'\n(\n|\z)`)
)

// startDev starts it as a user does who has only the binary.
func startDev(t *testing.T, args ...string) *devGateway {
	t.Helper()
	const any = "127.0.0.1:0"
	g := &devGateway{process: launch(t, t.TempDir(), suite.binary,
		append([]string{"dev", "--listen", any, "--admin-listen", any, "--kafka-listen", any}, args...)...)}
	eventually(t, patient, "banner", func() error {
		out := g.out.String()
		kafka, curl := bannerKafka.FindStringSubmatch(out), bannerCurl.FindString(out)
		if g.exited() || kafka == nil || curl == "" || !strings.Contains(out, "Published records") {
			return fmt.Errorf("standard output: %s, standard error: %s", out, g.log.String())
		}
		g.kafka, g.curl = kafka[1], curl
		return nil
	})
	return g
}

func (g *devGateway) stop(t *testing.T) {
	t.Helper()
	g.signal(t, syscall.SIGINT) // Ctrl-C
	require.Zero(t, g.waitExit(t, patient), g.log.String())
	g.requireCleanLog(t)
}

// paste runs the command of the banner unchanged.
func (g *devGateway) paste(t *testing.T) string {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "bash", "-c", g.curl)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	require.NoError(t, cmd.Run(), "%s\n%s", g.curl, errOut.String())
	return out.String()
}

// TestDevIsReadyWhenItSaysSo: the first event after /readyz said 200 is written.
func TestDevIsReadyWhenItSaysSo(t *testing.T) {
	port, err := services.FreePort()
	require.NoError(t, err)
	g := &gateway{admin: fmt.Sprintf("127.0.0.1:%d", port)}
	public, err := services.FreePort()
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", public)
	d := &devGateway{process: launch(t, t.TempDir(), suite.binary, "dev", "--listen", address, "--admin-listen", g.admin, "--kafka-listen", "127.0.0.1:0")}
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	require.True(t, backoff.Poll(ctx, time.Millisecond, func() bool {
		status, _, err := g.ask("/readyz")
		return err == nil && status == http.StatusOK
	}))
	c := newClient(t, address, 1)
	c.mustSend(t, newOrder(unique("dev"), 0).post("orders.placed")).receipt(t)
	d.stop(t)
}

// TestDevIsReadyToPaste: `gateway dev` needs no servers, and the commands of its banner
// work as soon as it is printed.
func TestDevIsReadyToPaste(t *testing.T) {
	g := startDev(t)
	first := g.paste(t)
	require.True(t, strings.HasPrefix(first, "HTTP/1.1 202 "), "%s\n%s", g.curl, first)
	require.NotContains(t, first, "Idempotent-Replayed")
	second := g.paste(t)
	require.True(t, strings.HasPrefix(second, "HTTP/1.1 202 "), second)
	require.Contains(t, second, "Idempotent-Replayed: true")
	_, firstBody, _ := strings.Cut(first, "\r\n\r\n")
	_, secondBody, _ := strings.Cut(second, "\r\n\r\n")
	require.Equal(t, firstBody, secondBody)

	r := answer{status: 202, body: []byte(firstBody)}.receipt(t)
	line := fmt.Sprintf("  %s[%d]@%d  key=%s  id=%s\n", r.Topic, r.Partition, r.Offset, *r.Key, r.ID)
	eventually(t, 10*time.Second, "record is shown", func() error {
		if !strings.Contains(g.out.String(), line) {
			return fmt.Errorf("no %q in %s", line, g.out.String())
		}
		return nil
	})
	log := readTopic(t, g.kafka, r.Topic)
	requireCount(t, log.records, 1)
	require.Greater(t, log.partitions, 1)
	rec := log.at[position{r.Partition, r.Offset}]
	require.NotNil(t, rec)
	require.Contains(t, g.curl, string(rec.Value))
	require.Equal(t, claimOf("my-first-event"), header(rec, "gw_claim"))
	require.Equal(t, 1, strings.Count(g.out.String(), "id="+r.ID), "the replay is not a record")
	g.stop(t)
}

// TestDevKeepsRecords: with --data-dir, records and their idempotency keys survive a
// restart.
func TestDevKeepsRecords(t *testing.T) {
	dir := t.TempDir()
	g := startDev(t, "--data-dir", dir)
	out := g.paste(t)
	_, body, _ := strings.Cut(out, "\r\n\r\n")
	r := answer{status: 202, body: []byte(body)}.receipt(t)
	before := readTopic(t, g.kafka, r.Topic)
	g.stop(t)

	g = startDev(t, "--data-dir", dir)
	after := readTopic(t, g.kafka, r.Topic)
	requireCount(t, after.records, 1)
	require.Equal(t, before.partitions, after.partitions)
	rec := after.at[position{r.Partition, r.Offset}]
	require.NotNil(t, rec)
	require.Equal(t, string(before.records[0].Value), string(rec.Value))
	require.Equal(t, r.ID, header(rec, "ce_id"))
	_, body, _ = strings.Cut(g.paste(t), "\r\n\r\n")
	require.Equal(t, r, answer{status: 202, body: []byte(body)}.receipt(t), "the key is remembered")
	c := newClient(t, regexp.MustCompile(`http://(\S+?)/`).FindStringSubmatch(g.curl)[1], 1)
	next := c.mustSend(t, post{eventType: r.Type, key: "next", body: rec.Value}).receipt(t)
	require.Equal(t, position{r.Partition, r.Offset + 1}, position{next.Partition, next.Offset}, "the log continues where it ended")
	g.stop(t)
}
