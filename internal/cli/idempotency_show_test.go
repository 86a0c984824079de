package cli

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/config"
	"eventgateway/internal/event"
	"eventgateway/internal/idempotency"
)

// shownOf is an example of a claim in each state.
func shownOf(state idempotency.ShownState, marker idempotency.Marker, lease time.Duration) idempotency.Shown {
	id := event.Identity{Kind: event.IdentityKey, Parts: []string{"k"}}.ClaimID("anonymous")
	expires := 23*time.Hour + 59*time.Minute
	s := idempotency.Shown{Claim: id, RecordKey: "gw:AbCdEfG{ab}\xff 1", Bucket: 171, MarkerKey: "gw:AbCdEfG{ab}:m", Marker: marker, State: state}
	switch state {
	case idempotency.ShownClaimed, idempotency.ShownUnknown:
		s.Expires, s.LeaseLeft, s.Fingerprint = &expires, lease, make([]byte, 32)
		s.Token, s.Owner, s.Topic, s.Partitions = "t-1", "i-7", "orders.placed", []int32{3}
		s.From = time.Date(2026, 1, 31, 3, 0, 0, 5e6, time.UTC)
	case idempotency.ShownSettled:
		s.Topic, s.Fingerprint = "orders.placed", make([]byte, 16)
		s.Kept = event.KeptReceipt{Partition: 3, Offset: 42, TimeNs: 1769828400e9, Topic: event.HashTopic("orders.placed"), Receipt: event.ReceiptHash{1, 2}}
	}
	return s
}

func TestShowText(t *testing.T) {
	t.Parallel()
	const decides = "The next retry decides: it reads partition 3 of the topic from that time on, and answers with the receipt if the event is there, else publishes it. Have the caller retry with the same key."
	const notReady = " Retries get 503 idempotency-store-unavailable first"
	const zeros = "0000000000000000000000000000000000000000000000000000000000000000"
	idempotent, transactional := config.GuaranteeIdempotent, config.GuaranteeTransactional
	for name, c := range map[string]struct {
		shown     idempotency.Shown
		guarantee config.Guarantee
		want      []string
	}{
		"absent":           {shownOf(idempotency.ShownAbsent, idempotency.MarkerReady, 0), idempotent, []string{"state        absent: Redis holds nothing\nbucket       171 of 0 to 255: ready\nredis key    \"gw:AbCdEfG{ab}\\xff 1\"\n\nIn the last 24h0m0s", "A retry is a first attempt."}},
		"absent, lost":     {shownOf(idempotency.ShownAbsent, idempotency.MarkerMissing, 0), idempotent, []string{"NOT READY, it has no marker", "\n\nNothing can be said: claims of this bucket may be lost."}},
		"absent, promoted": {shownOf(idempotency.ShownAbsent, idempotency.MarkerForeign, 0), idempotent, []string{"NOT READY, its marker is another Redis'", "\n\nNothing can be said"}},
		"claimed": {shownOf(idempotency.ShownClaimed, idempotency.MarkerReady, 12340*time.Millisecond), idempotent, []string{
			"state        claimed: an attempt is under way\n" +
				"since        2026-01-31T03:00:00.005Z, by the clock of the gateway that claimed first\n" +
				"lease        12.3s left\n" +
				"topic        orders.placed, partition 3\n" +
				"owner        i-7, the producer that may write it\n" +
				"token        t-1, of the attempt\n" +
				"fingerprint  " + zeros + ", of the payload\n" +
				"kept for     23h59m0s\n",
			"\n\nRetries get 409 request-in-progress until", decides,
		}},
		"abandoned":              {shownOf(idempotency.ShownClaimed, idempotency.MarkerReady, -90*time.Second), idempotent, []string{"state        claimed; its attempt ended without a word\n", "lease        over since 1m30s\n", "\n\nWhether the event was written is not known yet. " + decides}},
		"abandoned, lost":        {shownOf(idempotency.ShownClaimed, idempotency.MarkerForeign, -time.Second), idempotent, []string{decides + notReady}},
		"unknown":                {shownOf(idempotency.ShownUnknown, idempotency.MarkerReady, time.Second), idempotent, []string{"state        unknown: Kafka did not acknowledge", "Retries get 504 outcome-unknown until the lease is over. " + decides}},
		"unknown, lease over":    {shownOf(idempotency.ShownUnknown, idempotency.MarkerReady, 0), idempotent, []string{"is not known yet. " + decides}},
		"unknown, transactional": {shownOf(idempotency.ShownUnknown, idempotency.MarkerReady, time.Second), transactional, []string{"Nobody has to wait for the lease: the next retry fences the owner. " + decides}},
		"settled": {shownOf(idempotency.ShownSettled, idempotency.MarkerReady, 0), idempotent, []string{
			"state        settled: the event is written\n" +
				"written to   orders.placed, partition 3, offset 42\n" +
				"event time   2026-01-31T03:00:00Z\n" +
				"receipt      010200000000, the beginning of its SHA-256; the rest is in the record\n" +
				"fingerprint  " + zeros[:32] + ", of the payload\n",
			"kept for     not known: the user may not run PTTL\n", "The event is in Kafka, once.",
			"\n  kcat -C -b 127.0.0.1:9092 -t orders.placed -p 3 -o 42 -c 1 -e -f '%h\\n%s\\n'\n",
		}},
		"settled, lost": {shownOf(idempotency.ShownSettled, idempotency.MarkerMissing, 0), idempotent, []string{"true whatever else was lost"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config.Defaults()
			cfg.Kafka.Guarantee = c.guarantee
			var out bytes.Buffer
			printShown(&out, c.shown, cfg)
			for _, want := range c.want {
				require.Contains(t, out.String(), want)
			}
			require.NotContains(t, out.String(), "%!")
		})
	}
	moved := shownOf(idempotency.ShownClaimed, idempotency.MarkerReady, 0)
	moved.Partitions = []int32{3, 11}
	var out bytes.Buffer
	printShown(&out, moved, config.Defaults())
	require.Contains(t, out.String(), "topic        orders.placed, partition 3 or 11\n")
	require.Contains(t, out.String(), "it reads the partitions of the topic")

	unnamed := shownOf(idempotency.ShownSettled, idempotency.MarkerReady, 0)
	unnamed.Topic, unnamed.Kept.TimeNs = "", 0
	out.Reset()
	printShown(&out, unnamed, config.Defaults())
	require.Contains(t, out.String(), "a topic that no event type names now (its SHA-256 begins with 456a4dba), partition 3, offset 42\n")
	require.Contains(t, out.String(), "event time   as its sender wrote it: see the record's ce_time\n")
	require.Contains(t, out.String(), " -t TOPIC -p 3 ")
}

func TestShowJSON(t *testing.T) {
	t.Parallel()
	get := func(s idempotency.Shown) map[string]any {
		var out bytes.Buffer
		require.NoError(t, printShownJSON(&out, s, config.Defaults()))
		var got map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &got))
		require.NotEmpty(t, got["meaning"])
		return got
	}
	held := get(shownOf(idempotency.ShownClaimed, idempotency.MarkerReady, 1500*time.Millisecond))
	require.InDelta(t, 1500, held["lease_left_ms"], 0)
	require.Equal(t, "2026-01-31T03:00:00.005Z", held["since"])
	require.NotContains(t, held, "receipt")
	require.InDelta(t, 0, get(shownOf(idempotency.ShownUnknown, idempotency.MarkerReady, -time.Hour))["lease_left_ms"], 0)
	settled := get(shownOf(idempotency.ShownSettled, idempotency.MarkerReady, 0))
	require.Equal(t, map[string]any{
		"partition": 3., "offset": 42., "time": "2026-01-31T03:00:00Z", "topic_sha256": "456a4dba", "receipt_sha256": "010200000000",
	}, settled["written"])
	require.Equal(t, "orders.placed", settled["topic"])
	require.NotContains(t, settled, "lease_left_ms")
	absent := get(shownOf(idempotency.ShownAbsent, idempotency.MarkerMissing, 0))
	require.Equal(t, "missing", absent["marker"])
	require.NotContains(t, absent, "fingerprint")
}

// TestShowIdentity: the command derives the same claim as a gateway does from a request.
func TestShowIdentity(t *testing.T) {
	t.Parallel()
	byKey := event.Identity{Kind: event.IdentityKey, Parts: []string{"k-1"}}
	for name, c := range map[string]struct {
		args []string
		want event.ClaimID
	}{
		"bare":         {[]string{"-c", "f", "k-1"}, byKey.ClaimID("anonymous")},
		"quoted":       {[]string{"-c", "f", ` "k-1" `}, byKey.ClaimID("anonymous")},
		"flags behind": {[]string{"k-1", "--client", "web", "-c", "f"}, byKey.ClaimID("web")},
		"like a flag":  {[]string{"-c", "f", "--", "-k"}, event.Identity{Kind: event.IdentityKey, Parts: []string{"-k"}}.ClaimID("anonymous")},
		"cloud event":  {[]string{"-c", "f", "--source", "/s", "--id", "1"}, event.Identity{Kind: event.IdentityCloudEvent, Parts: []string{"/s", "1"}}.ClaimID("anonymous")},
		"gw_claim":     {[]string{"-c", "f", "--claim", byKey.ClaimID("web").String()}, byKey.ClaimID("web")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s idempotencyShow
			var cmd cobra.Command
			s.define(&cmd)
			require.NoError(t, cmd.ParseFlags(c.args))
			s.setArgs(cmd.Flags().Args())
			id, err := s.identity()
			require.NoError(t, err)
			require.Equal(t, c.want, id)
		})
	}
}
