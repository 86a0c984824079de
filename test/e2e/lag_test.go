//go:build integration

package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/test/services"
)

// TestConsumerLagOfThreeGateways: one of them asks Kafka and has metrics of groups, and
// another one when it stops; the command says the same.
func TestConsumerLagOfThreeGateways(t *testing.T) {
	t.Parallel()
	broker := services.Shared(t).Kafka
	topic, group := newTopicName(t), unique("lag")
	createTopics(t, broker, 1, topic)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(topic))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	for range 5 {
		require.NoError(t, client.ProduceSync(t.Context(), &kgo.Record{Value: []byte("x")}).FirstErr())
	}
	at := kadm.Offsets{}
	at.AddOffset(topic, 0, 2, -1)
	done, err := kadm.NewClient(client).CommitOffsets(t.Context(), group, at)
	require.NoError(t, err)
	require.NoError(t, done.Error())

	// With an installation of its own: gateways of other tests have a lease of their own.
	o := options{prefix: group, schemas: schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": newTopic(t)}})}
	cfg := o.config(t)
	cfg["lag"] = map[string]any{"interval": "1s", "include": []string{group}}
	file := writeConfig(t, cfg)
	var gateways []*gateway
	for range 3 {
		gateways = append(gateways, startConfigured(t, o, file))
	}
	series := fmt.Sprintf("gateway_lag_undelivered_records{group=%q,topic=%q} 3\n", group, topic)
	asks := func() (who int) {
		who = -1
		eventually(t, time.Minute, "one gateway shows the group", func() error {
			who = -1
			for i, g := range gateways {
				if g.stopped {
					continue
				}
				_, text, err := g.ask("/metrics")
				if err != nil {
					return err
				}
				polls, shows := strings.Contains(text, "gateway_lag_polling 1\n"), strings.Contains(text, series)
				switch {
				case polls && who >= 0:
					return errors.New("two gateways ask")
				case polls && shows:
					who = i
				case shows:
					return errors.New("a gateway that does not ask shows the group")
				}
			}
			if who < 0 {
				return errors.New("nobody shows it")
			}
			return nil
		})
		return who
	}
	first := asks()
	out, err := exec.CommandContext(t.Context(), suite.binary, "lag", "-c", file, "--interval", "1ms").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Regexp(t, group+` +`+topic+` +\w+ +3 +3 `, string(out))

	gateways[first].stop(t)
	require.NotEqual(t, first, asks())
}
