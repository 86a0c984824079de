//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"eventgateway/test/services"
	"eventgateway/test/torture"
)

// pushTest is an endpoint, a topic of six partitions, and a configuration that pushes one
// to the other.
type pushTest struct {
	t                  *testing.T
	broker, topic, key string
	endpoint           *pushEndpoint
	subscription       map[string]any
	options            options
	file               string
}

func newPushTest(t *testing.T, set map[string]any) *pushTest {
	t.Helper()
	p := &pushTest{t: t, broker: services.Shared(t).Kafka, topic: newTopicName(t), key: unique("push"), endpoint: startPushEndpoint(t, 0, 0)}
	createTopics(t, p.broker, 6, p.topic)
	createTopics(t, p.broker, 1, p.topic+"."+p.key+".dlt")
	p.subscription = p.endpoint.subscription(p.key, p.topic)
	for name, value := range set {
		p.subscription[name] = value
	}
	p.options = options{
		schemas:       schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": newTopic(t)}}),
		subscriptions: []map[string]any{p.subscription},
	}
	p.file = writeConfig(t, p.options.config(t))
	return p
}

func (p *pushTest) command(args ...string) string {
	p.t.Helper()
	args = append([]string{"subscriptions", args[0], "-c", p.file}, args[1:]...)
	out, err := exec.CommandContext(p.t.Context(), suite.binary, args...).Output()
	require.NoError(p.t, err, "%v: %s", args, out)
	return string(out)
}

type shownSubscription struct {
	Paused  bool
	Reason  string
	Members int
	Behind  int
	State   string
}

func (p *pushTest) show() (s shownSubscription) {
	p.t.Helper()
	out := p.command("show", p.key, "--format", "json")
	require.NoError(p.t, json.Unmarshal([]byte(out), &s), out)
	return s
}

func (p *pushTest) shows(what string, is func(shownSubscription) bool) {
	p.t.Helper()
	eventually(p.t, patient, what, func() error {
		if s := p.show(); !is(s) {
			return fmt.Errorf("it shows %+v", s)
		}
		return nil
	})
}

func (p *pushTest) takes(n int) {
	p.t.Helper()
	eventually(p.t, patient, "events arrive", func() error {
		if got := p.endpoint.check.Count(); got < n {
			return fmt.Errorf("%d of %d were taken", got, n)
		}
		return nil
	})
}

// rewrite changes the file as an operator does.
func (p *pushTest) rewrite(text []byte) {
	p.t.Helper()
	next := filepath.Join(p.t.TempDir(), "next.yaml")
	require.NoError(p.t, os.WriteFile(next, text, 0o600))
	require.NoError(p.t, os.Rename(next, p.file))
}

// With group_protocol: consumer the broker assigns partitions. They move to a gateway that
// is added, and back from one that is killed; nothing is lost, and the order is kept.
func TestPushWithTheConsumerGroupProtocol(t *testing.T) {
	t.Parallel()
	p := newPushTest(t, map[string]any{"group_protocol": "consumer"})
	written := writeSequences(t, p.broker, p.topic, 3000, 100)
	p.endpoint.slowest = 20 * time.Millisecond
	declareNew(t, p.file)
	launchGateway(t, p.file)
	p.takes(300)
	second := launchGateway(t, p.file)
	p.shows("both are members", func(s shownSubscription) bool { return s.Members == 2 })
	require.NoError(t, second.cmd.Process.Kill())
	p.takes(3000)
	require.Empty(t, torture.CheckPushes(written, nil, p.endpoint.check, torture.PushFacts{MostRepeated: len(written), CutOff: 1}))
	p.shows("all is committed", func(s shownSubscription) bool { return s.Behind == 0 })
}

// A rate is for all gateways together.
func TestPushRateIsShared(t *testing.T) {
	t.Parallel()
	p := newPushTest(t, map[string]any{"rate": "20/s"})
	writeSequences(t, p.broker, p.topic, 160, 100)
	declareNew(t, p.file)
	p.command("pause", p.key)
	launchGateway(t, p.file)
	launchGateway(t, p.file)
	p.shows("both are members", func(s shownSubscription) bool { return s.Members == 2 && s.State == "Stable" })
	begun := time.Now()
	p.command("resume", p.key)
	p.takes(160)
	// 20 at once, and then 20 each second. Two gateways with a rate each would need 3 s.
	require.GreaterOrEqual(t, time.Since(begun), 6500*time.Millisecond)
}

func TestPushIsPausedAndReloaded(t *testing.T) {
	t.Parallel()
	p := newPushTest(t, nil)
	g := startConfigured(t, p.options, p.file)
	writeSequences(t, p.broker, p.topic, 50, 10)
	p.takes(50)
	p.shows("it runs", func(s shownSubscription) bool { return !s.Paused && s.Members == 1 && s.Behind == 0 })

	require.Contains(t, p.command("pause", p.key, "--reason", "the endpoint moves"), "paused in all gateways")
	paused := fmt.Sprintf("gateway_subscription_paused{subscription=%q}", p.key)
	isPaused := func(g *gateway, want float64) {
		eventually(t, patient, "the gateway knows", func() error {
			if got := g.metric(t, paused); got != want {
				return fmt.Errorf("%s is %v", paused, got)
			}
			return nil
		})
	}
	isPaused(g, 1)
	calls := p.endpoint.calls.Load()
	writeSequences(t, p.broker, p.topic, 100, 20)
	s := p.show()
	require.True(t, s.Paused)
	require.Equal(t, "the endpoint moves", s.Reason)
	p.shows("its events wait", func(s shownSubscription) bool { return s.Behind == 100 && s.Members == 1 })
	require.Contains(t, p.command("list"), "paused")
	g.stop(t)
	g = startConfigured(t, p.options, p.file)
	p.shows("it is a member again", func(s shownSubscription) bool { return s.Members == 1 && s.State == "Stable" })
	isPaused(g, 1)
	require.Equal(t, calls, p.endpoint.calls.Load(), "a pause outlasts a restart")
	p.command("resume", p.key)
	p.shows("all is delivered", func(s shownSubscription) bool { return !s.Paused && s.Behind == 0 })
	require.Equal(t, calls+100, p.endpoint.calls.Load())

	// A file that is wrong changes nothing; one that adds a subscription begins it.
	valid, err := os.ReadFile(p.file)
	require.NoError(t, err)
	p.rewrite(append([]byte("subscriptions: [{name: x}]\n"), valid...))
	eventually(t, patient, "the file is refused", func() error { return g.logged("configuration refused, the subscriptions stay as they are") })
	other := startPushEndpoint(t, 0, 0)
	var cfg map[string]any
	require.NoError(t, yaml.Unmarshal(valid, &cfg))
	added := other.subscription(p.key+"-2", p.topic)
	createTopics(t, p.broker, 1, p.topic+"."+p.key+"-2.dlt")
	cfg["subscriptions"] = []any{p.subscription, added}
	text, err := yaml.Marshal(cfg)
	require.NoError(t, err)
	p.rewrite(text)
	eventually(t, patient, "the new one begins", func() error {
		if n := other.check.Count(); n < 100 { // the sequences of both writes overlap
			return fmt.Errorf("%d were taken", n)
		}
		return nil
	})
	cfg["subscriptions"] = []any{added}
	text, err = yaml.Marshal(cfg)
	require.NoError(t, err)
	p.rewrite(text)
	eventually(t, patient, "the first one ends", func() error {
		_, text, err := g.ask("/metrics")
		if err == nil && containsLine(text, paused) {
			return fmt.Errorf("it still has %s", paused)
		}
		return err
	})
}

func containsLine(text, prefix string) bool {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}
