//go:build integration

package e2e

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/test/torture"
)

// newDeadLetterTest is a pushTest with a ledger of its own: a command that another test kills
// hides marks for some seconds.
func newDeadLetterTest(t *testing.T, set map[string]any) *pushTest {
	t.Helper()
	p := newPushTest(t, set)
	p.options.prefix = unique("letters")
	p.file = writeConfig(t, p.options.config(t))
	return p
}

// deadLetters runs a command for dead letters.
func (p *pushTest) deadLetters(args ...string) string {
	p.t.Helper()
	out, err := exec.CommandContext(p.t.Context(), suite.binary, append([]string{"dead-letters", args[0], "-c", p.file}, args[1:]...)...).CombinedOutput()
	require.NoError(p.t, err, "%v: %s", args, out)
	return string(out)
}

type listedLetter struct {
	Place, Origin, Consumer, Reason, State, Dialect string
	Exception, Detail                               string
	Status, Attempts, Rounds                        int
	Key, Value                                      *string
}

func (p *pushTest) listLetters(args ...string) (list []listedLetter) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), suite.binary, append([]string{"dlq", "list", "-c", p.file, "--format", "json"}, args...)...)
	out, err := cmd.Output()
	require.NoError(p.t, err, "%s", out)
	require.NoError(p.t, json.Unmarshal(out, &list), "%s", out)
	return list
}

// TestDeadLetterIsReplayedToItsSubscription: an event that the endpoint refuses is listed;
// when the endpoint is repaired, it is replayed to this subscription, and to no other.
func TestDeadLetterIsReplayedToItsSubscription(t *testing.T) {
	t.Parallel()
	p := newDeadLetterTest(t, nil)
	other := startPushEndpoint(t, 0, 0)
	p.options.subscriptions = append(p.options.subscriptions, other.subscription(unique("other"), p.topic))
	p.file = writeConfig(t, p.options.config(t))
	p.endpoint.refuses.Store(true)
	writeSequences(t, p.broker, p.topic, 20, 4)
	poison := &kgo.Record{Topic: p.topic, Key: []byte("poison"), Value: []byte(`{"entity":"poison","seq":0}`)}
	for name, value := range map[string]string{"ce_type": "orders.placed", "ce_id": "p-1", "ce_source": "/test", "gw_claim": strings.Repeat("ab", 32)} {
		poison.Headers = append(poison.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	produceTo(t, p.broker, poison)
	g := startConfigured(t, p.options, p.file)
	p.takes(20)
	var letter listedLetter
	eventually(t, patient, "the dead letter is listed", func() error {
		list := p.listLetters()
		if len(list) != 1 {
			return fmt.Errorf("%d dead letters", len(list))
		}
		letter = list[0]
		return nil
	})
	require.Equal(t, "refused", letter.Reason)
	require.Equal(t, 422, letter.Status)
	require.Equal(t, 1, letter.Attempts)
	require.Equal(t, p.key, letter.Consumer)
	require.Equal(t, "poison", *letter.Key)
	require.Nil(t, letter.Value, "values only on request")
	require.Contains(t, p.deadLetters("list", "--values"), `{"entity":"poison","seq":0}`)
	require.Contains(t, p.deadLetters("list", "--reason", "attempts"), "no dead letters")
	require.Empty(t, p.listLetters("--status", "5xx"))
	require.Contains(t, p.deadLetters("show", letter.Place), "waiting")

	topic := p.topic + "." + p.key + ".dlt"
	waiting := func(reason string) string {
		return fmt.Sprintf("gateway_dead_letters_waiting{reason=%q,topic=%q}", reason, topic)
	}
	eventually(t, patient, "the dead letter is counted", func() error {
		_, text, err := g.ask("/metrics")
		if err == nil && !strings.Contains(text, waiting("refused")+" 1\n") {
			err = errors.New("it is not")
		}
		return err
	})

	p.endpoint.refuses.Store(false)
	require.Contains(t, p.deadLetters("replay", letter.Place, "--to", "subscription", "--dry-run"), "1 dead letter would be replayed")
	require.Equal(t, 20, p.endpoint.check.Count())
	require.NotContains(t, p.deadLetters("replay", letter.Place, "--to", "subscription", "--dry-run"), "warning")
	produceTo(t, p.broker, &kgo.Record{Topic: p.topic, Key: []byte("poison"), Value: []byte(`{"entity":"other","seq":0}`)})
	p.takes(21)
	eventually(t, patient, "the later event is seen", func() error {
		if text := p.deadLetters("replay", letter.Place, "--to", "subscription", "--dry-run"); !strings.Contains(text, "later events of the entity were delivered already") {
			return fmt.Errorf("%s", text)
		}
		return nil
	})
	require.Contains(t, p.deadLetters("replay", "--status", "4xx", "--to", "subscription", "--by", "tester", "--note", "endpoint repaired"), "1 dead letter replayed")
	p.takes(22)
	require.Equal(t, 1, other.check.TakenOf("poison"), "the other subscription got it when it was written, and no more")
	require.Zero(t, p.endpoint.check.Repeated())

	eventually(t, patient, "no dead letter is counted", func() error {
		_, text, err := g.ask("/metrics")
		if err == nil && strings.Contains(text, waiting("refused")) {
			err = errors.New("it still waits")
		}
		return err
	})
	require.Contains(t, p.deadLetters("show", letter.Place), "replayed by tester")
	require.Contains(t, p.deadLetters("show", letter.Place), "endpoint repaired")
	require.Empty(t, p.listLetters())
	require.Len(t, p.listLetters("--state", "replayed"), 1)
	require.Contains(t, p.deadLetters("replay", "--all", "--to", "subscription"), "1 left out: replayed or dropped before")

	// A second round: the endpoint refuses the event again.
	p.endpoint.refuses.Store(true)
	p.deadLetters("replay", "--all", "--to", "subscription", "--again", "0s")
	eventually(t, patient, "the second dead letter is listed", func() error {
		list := p.listLetters()
		if len(list) != 1 {
			return fmt.Errorf("%d dead letters", len(list))
		}
		require.Equal(t, 2, list[0].Rounds)
		require.Equal(t, letter.Origin, list[0].Origin, "the first place, and not that in the topic of replays")
		require.Contains(t, p.deadLetters("drop", list[0].Place), "1 dead letter dropped")
		return nil
	})
	require.Empty(t, p.listLetters())
	require.Len(t, p.listLetters("--state", "dropped"), 1)
}

// produceTo writes records.
func produceTo(t *testing.T, broker string, records ...*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	require.NoError(t, err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	require.NoError(t, client.ProduceSync(ctx, records...).FirstErr())
}

// writeDeadLetters writes so many dead letters as a subscription does, and returns the
// events. Each hundredth is written twice, as after a kill.
func (p *pushTest) writeDeadLetters(n, entities int) (written []torture.PushEvent) {
	p.t.Helper()
	next := map[string]int{}
	records := make([]*kgo.Record, 0, n)
	for i := range n {
		entity := "d" + strconv.Itoa(i%entities)
		seq := next[entity]
		next[entity]++
		written = append(written, torture.PushEvent{PushID: torture.PushID{Entity: entity, Seq: seq}})
		r := &kgo.Record{Topic: p.topic + "." + p.key + ".dlt", Key: []byte(entity), Value: fmt.Appendf(nil, `{"entity":%q,"seq":%d}`, entity, seq)}
		for name, value := range map[string]string{
			"ce_type": "orders.placed", "gw_dead_subscription": p.key, "gw_dead_topic": p.topic, "gw_dead_partition": "0",
			"gw_dead_offset": strconv.Itoa(1_000_000 + i), "gw_dead_reason": "attempts", "gw_dead_status": "503", "gw_dead_attempts": "8", "gw_dead_rounds": "1",
		} {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
		}
		records = append(records, r)
		if i%100 == 0 {
			again := *r
			records = append(records, &again)
		}
	}
	produceTo(p.t, p.broker, records...)
	return written
}

// TestReplayOfManySurvivesKills: dead letters are replayed at a rate by a command that is
// killed with -9 on the way and started again. None is lost, none is in Kafka twice, each is
// on record.
//
// REPLAY_LETTERS, REPLAY_RATE and REPLAY_KILLS make it longer.
func TestReplayOfManySurvivesKills(t *testing.T) {
	t.Parallel()
	letters, rate, kills := envInt("REPLAY_LETTERS", 2000), envInt("REPLAY_RATE", 400), envInt("REPLAY_KILLS", 2)
	for _, to := range []string{"subscription", "topic", "door"} {
		t.Run(to, func(t *testing.T) {
			t.Parallel()
			p := newDeadLetterTest(t, map[string]any{"concurrency": 16})
			p.options.schemas = schemasFolder(t, eventType{name: "push.noted", xevent: map[string]any{"topic": p.topic, "key": "/entity"}, schema: map[string]any{
				"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": []string{"entity", "seq"},
			}})
			p.file = writeConfig(t, p.options.config(t))
			written := p.writeDeadLetters(letters, 200)
			p.options.plain = true
			startConfigured(t, p.options, p.file)
			begun := time.Now()
			runs := p.replayWithKills(to, letters, rate, kills)
			took := time.Since(begun)
			p.takes(letters)
			require.Empty(t, torture.CheckPushes(written, nil, p.endpoint.check, torture.PushFacts{MostRepeated: kills, CutOff: 1}))
			topic := p.topic
			if to == "subscription" {
				topic = "gateway.subscription." + p.key + ".replay"
			}
			copies := readTopic(t, p.broker, topic).records
			of := map[string]int{}
			for _, r := range copies {
				of[string(r.Value)]++
				require.Equal(t, "1", header(r, "gw_dead_rounds"))
				require.Empty(t, header(r, "gw_dead_reason"))
			}
			require.Len(t, copies, letters)
			require.Len(t, of, letters, "none twice")
			require.Len(t, p.listLetters("--state", "replayed", "--limit", strconv.Itoa(2*letters)), letters+(letters+99)/100)
			require.Empty(t, p.listLetters())
			t.Logf("to %s: %d letters, %d kills, %d runs, %v, %.0f/s of %d/s, %d redeliveries", to, letters, kills, runs, took.Round(time.Millisecond),
				float64(letters)/took.Seconds(), rate, p.endpoint.check.Repeated())
			require.LessOrEqual(t, float64(letters)/took.Seconds(), 1.1*float64(rate))
			require.LessOrEqual(t, p.endpoint.check.Repeated(), kills)
		})
	}
}

// replayWithKills runs the command until it succeeds, and kills it so often before.
func (p *pushTest) replayWithKills(to string, letters, rate, kills int) (runs int) {
	p.t.Helper()
	for runs = 1; ; runs++ {
		args := []string{"dlq", "replay", "-c", p.file, "--all", "--to", to, "--rate", strconv.Itoa(rate)}
		if to == "door" {
			args = append(args, "--as-type", "push.noted")
		}
		cmd := exec.Command(plainBinary(p.t), args...)
		var out lines
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(p.t, cmd.Start())
		if runs <= kills {
			goal := letters * runs / (kills + 1)
			eventually(p.t, 5*time.Minute, "events arrive", func() error {
				if n := p.endpoint.check.Count(); n < goal {
					return fmt.Errorf("%d of %d: %s", n, goal, out.String())
				}
				return nil
			})
			require.NoError(p.t, cmd.Process.Kill())
			_ = cmd.Wait()
			continue
		}
		require.NoError(p.t, cmd.Wait(), out.String())
		p.t.Log(tail(out.String(), 3))
		return runs
	}
}

// TestSubscriptionIsReset: a subscription goes on where an operator says, while gateways run.
func TestSubscriptionIsReset(t *testing.T) {
	t.Parallel()
	p := newPushTest(t, nil)
	writeSequences(t, p.broker, p.topic, 60, 6)
	startConfigured(t, p.options, p.file)
	startConfigured(t, p.options, p.file)
	p.takes(60)
	p.shows("all is committed", func(s shownSubscription) bool { return s.Behind == 0 && s.Members == 2 })
	require.Zero(t, p.endpoint.check.Repeated())

	require.Contains(t, p.command("reset", p.key, "--to-earliest", "--dry-run"), "at most 60 events would be delivered again, and 0 skipped")
	require.Contains(t, p.command("reset", p.key, "--to-time", "0s", "--dry-run"), "at most 0 events would be")
	p.shows("nothing has changed", func(s shownSubscription) bool { return s.Behind == 0 && s.Members == 2 })

	require.Contains(t, p.command("reset", p.key, "--to-earliest"), "at most 60 events are delivered again")
	eventually(t, patient, "all events come again", func() error {
		if n := p.endpoint.check.Repeated(); n != 60 {
			return fmt.Errorf("%d came again", n)
		}
		return nil
	})
	p.shows("both gateways are back", func(s shownSubscription) bool { return s.Behind == 0 && s.Members == 2 })

	ends, err := kafkaAdmin(t, p.broker).ListEndOffsets(t.Context(), p.topic)
	require.NoError(t, err)
	end := ends.Offsets()[p.topic]
	partition := int32(0)
	for n, o := range end {
		if o.At >= 3 {
			partition = n
		}
	}
	from := fmt.Sprintf("%s/%d/%d", p.topic, partition, end[partition].At-3)
	require.Contains(t, p.command("reset", p.key, "--to-offset", from), "at most 3 events are delivered again")
	eventually(t, patient, "three events come again", func() error {
		if n := p.endpoint.check.Repeated(); n != 63 {
			return fmt.Errorf("%d came again", n)
		}
		return nil
	})
	out, err := exec.CommandContext(t.Context(), suite.binary, "subscriptions", "reset", "-c", p.file, p.key, "--to-offset", p.topic+"/99/0").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "is not a partition that the subscription reads")
}

// springLetter is a dead letter as Spring Kafka's DeadLetterPublishingRecoverer writes it.
func springLetter(topic, origin string, offset int64, key, value string) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value), Headers: []kgo.RecordHeader{
		{Key: "kafka_dlt-original-topic", Value: []byte(origin)},
		{Key: "kafka_dlt-original-partition", Value: []byte{0, 0, 0, 1}},
		{Key: "kafka_dlt-original-offset", Value: binary.BigEndian.AppendUint64(nil, uint64(offset))},
		{Key: "kafka_dlt-original-consumer-group", Value: []byte("billing")},
		{Key: "kafka_dlt-exception-fqcn", Value: []byte("org.springframework.kafka.listener.ListenerExecutionFailedException")},
		{Key: "kafka_dlt-exception-cause-fqcn", Value: []byte("java.lang.IllegalStateException")},
		{Key: "kafka_dlt-exception-message", Value: []byte("no such customer")},
		{Key: "kafka_dlt-exception-stacktrace", Value: []byte("java.lang.IllegalStateException: no such customer\n\tat X")},
	}}
}

// TestDeadLettersOfOthersGoThroughTheDoor: records that Spring Kafka gave up are listed, and
// published anew as events: those that fit no schema are refused, until the schema is put right.
func TestDeadLettersOfOthersGoThroughTheDoor(t *testing.T) {
	t.Parallel()
	p := newDeadLetterTest(t, nil)
	target := newTopic(t)
	dir := schemasFolder(t, eventType{name: "orders.noted", xevent: map[string]any{"topic": target}, schema: map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": []string{"orderId"},
		"properties": map[string]any{"orderId": map[string]any{"type": "string"}, "note": map[string]any{"type": "string"}}, "additionalProperties": false,
	}})
	p.options.schemas = dir
	p.file = writeConfig(t, p.options.config(t))
	declareNew(t, p.file)
	dlt := newTopicName(t) + "-dlt"
	createTopics(t, p.broker, 1, dlt)
	produceTo(t, p.broker, springLetter(dlt, p.topic, 5, "o-1", `{"orderId":"o-1","note":"x"}`), springLetter(dlt, p.topic, 6, "o-2", `{"orderId":"o-2","urgent":true}`))

	list := p.listLetters("--topic", dlt)
	require.Len(t, list, 2)
	require.Equal(t, listedLetter{
		Place: dlt + "/0/0", Origin: p.topic + "/1/5", Consumer: "billing", Reason: "java.lang.IllegalStateException", State: "waiting", Dialect: "spring", Rounds: 1, Key: list[0].Key,
		Exception: "org.springframework.kafka.listener.ListenerExecutionFailedException", Detail: "no such customer",
	}, list[0])
	require.Contains(t, p.deadLetters("show", dlt+"/0/0"), "\tat X")

	args := []string{"replay", "--topic", dlt, "--all", "--to", "door", "--as-type", "orders.noted"}
	plan := p.deadLetters(append(args, "--dry-run")...)
	require.Contains(t, plan, "2 dead letters would be replayed")
	require.Contains(t, plan, "1 would be refused: schema-violation")
	out, err := exec.CommandContext(t.Context(), suite.binary, append(append([]string{"dlq"}, args...), "-c", p.file)...).CombinedOutput()
	require.Error(t, err, "one was refused")
	require.Contains(t, string(out), "1 dead letter replayed")
	require.Len(t, p.listLetters("--topic", dlt), 1)

	writeType(t, dir, eventType{name: "orders.noted", xevent: map[string]any{"topic": target}, schema: map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": []string{"orderId"},
		"properties": map[string]any{"orderId": map[string]any{"type": "string"}, "note": map[string]any{"type": "string"}, "urgent": map[string]any{"type": "boolean"}}, "additionalProperties": false,
	}})
	require.Contains(t, p.deadLetters(args...), "1 dead letter replayed")
	require.Contains(t, p.deadLetters(args...), "2 left out: replayed or dropped before")
	records := readTopic(t, p.broker, target).records
	require.Len(t, records, 2)
	for _, r := range records {
		require.Equal(t, "orders.noted", header(r, "ce_type"))
		require.Equal(t, "1", header(r, "gw_dead_rounds"))
		require.NotEmpty(t, header(r, "gw_claim"))
		require.Empty(t, header(r, "kafka_dlt-exception-stacktrace"))
	}

	// Back to the topic: to the partition that it came from.
	require.Contains(t, p.deadLetters("replay", dlt+"/0/0", "--to", "topic", "--again", "0s"), "1 dead letter replayed")
	copies := readTopic(t, p.broker, p.topic).records
	require.Len(t, copies, 1)
	require.Equal(t, int32(1), copies[0].Partition)
	require.Equal(t, "o-1", string(copies[0].Key))
}
