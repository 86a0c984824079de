package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/lag"
)

// lagFile is a configuration for a broker with groups that are behind: "slow" by 40
// records of an hour ago, "fast" by none.
func lagFile(t *testing.T) string {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	for range 50 {
		require.NoError(t, client.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("x"), Timestamp: time.Now().Add(-time.Hour)}).FirstErr())
	}
	for group, at := range map[string]int64{"slow": 10, "fast": 50, "e\x1b[2Jvil": 49} {
		o := kadm.Offsets{}
		o.AddOffset("orders", 0, at, -1)
		done, err := kadm.NewClient(client).CommitOffsets(t.Context(), group, o)
		require.NoError(t, err)
		require.NoError(t, done.Error())
	}
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	require.NoError(t, os.WriteFile(file, []byte("auth: none\nkafka: {brokers: [\""+cluster.ListenAddrs()[0]+"\"]}\n"), 0o600))
	return file
}

func TestLag(t *testing.T) {
	t.Parallel()
	file := lagFile(t)
	show := func(status int, flags ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		require.Equal(t, status, run(append([]string{"lag", "-c", file, "--interval", "1ms"}, flags...), &out, &errOut), out.String()+errOut.String())
		return out.String()
	}
	lines := strings.Split(strings.TrimSpace(show(0)), "\n")
	require.Len(t, lines, 4)
	require.Equal(t, []string{"GROUP", "TOPIC", "STATE", "RECORDS", "WAITING", "BEHIND", "TREND", "USED", "MEMBERS"}, strings.Fields(lines[0]))
	require.Equal(t, []string{"e?[2Jvil", "orders", "abandoned", "1", "1"}, strings.Fields(lines[2])[:5])
	require.Equal(t, []string{"slow", "orders", "abandoned", "40", "40"}, strings.Fields(lines[1])[:5])
	require.Regexp(t, `^fast +orders +ok +0 +0 +0s +=.* 0$`, lines[3])
	require.NotContains(t, lines[2], "\x1b")

	partitions := show(0, "--group", "slo.*")
	require.NotContains(t, partitions, "fast")
	require.Regexp(t, `\norders\[0\] +abandoned +10 +0 +50 +40 +40 +1h0m +█{10}`, partitions)

	var report struct {
		Groups []struct {
			Group  string
			State  lag.State
			Topics []struct {
				Records     *int64
				Undelivered *int64 `json:"undelivered_records"`
				Seconds     *float64
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(show(0, "--format", "json", "--group", "slow")), &report))
	require.Len(t, report.Groups, 1)
	require.Equal(t, lag.Abandoned, report.Groups[0].State)
	require.Equal(t, int64(40), *report.Groups[0].Topics[0].Records)
	require.InDelta(t, 3600, *report.Groups[0].Topics[0].Seconds, 60)

	require.Contains(t, show(1, "--fail-over", "39"), "slow orders: 40 records wait\n")
	require.NotContains(t, show(0, "--fail-over", "40"), "over the limit")
	require.Contains(t, show(1, "--fail-over", "59m"), "slow orders: behind 1h")
	show(0, "--fail-over", "2h")
	show(0, "--fail-over", "0", "--group", "fast")
	require.Contains(t, show(0, "--group", "nobody"), "There is no consumer group")
	require.Contains(t, show(1, "--group", "nobody", "--fail-over", "5"), "there is no such group")
}

func TestLagUsage(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"lag":                            "gateway lag -c gateway.yaml",
		"lag -c x.yaml --fail-over much": `"much" is neither a number of records nor a time`,
		"lag -c x.yaml --fail-over -1":   "neither a number",
		"lag -c x.yaml --format xml":     "it must be text or json",
		"lag -c x.yaml --interval -1s":   "must not be negative",
		"lag -c x.yaml orders":           "one argument too many",
	} {
		var out, errOut bytes.Buffer
		require.Equal(t, 2, run(strings.Fields(args), &out, &errOut), args)
		require.Contains(t, errOut.String(), want)
	}
	// Kafka that is not there is a failure, and not a lag of 0.
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	require.NoError(t, os.WriteFile(file, []byte("auth: none\nkafka: {brokers: [\"127.0.0.1:1\"]}\n"), 0o600))
	var out, errOut bytes.Buffer
	require.Equal(t, 1, run([]string{"lag", "-c", file, "--fail-over", "10"}, &out, &errOut))
	require.Contains(t, errOut.String(), "consumer groups cannot be read")
}

func TestLagWords(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0s": 0, "340ms": 340 * time.Millisecond, "5s": 5 * time.Second, "12m": 12 * time.Minute, "12m5s": 12*time.Minute + 5*time.Second,
		"3h20m": 3*time.Hour + 20*time.Minute, "3d4h": 76 * time.Hour,
	} {
		require.Equal(t, want, ageText(lag.Age{D: d, Known: true}))
	}
	require.Equal(t, "?", ageText(lag.Age{}))
	rate := 12.4
	require.Equal(t, "▁▄█ +12/s", trendText(lag.Topic{History: []int64{0, 50, 100}, Change: &rate}))
	require.Equal(t, "█████", lagBar(50, 100))
	require.Equal(t, "█", lagBar(1, 1000))
	require.Empty(t, lagBar(0, 10))
	lost := lagRow{state: lag.Lost, topic: lag.Topic{Lost: 7}}
	require.Equal(t, "7 records are lost", lagLimit{given: true, records: 1 << 40}.exceeded(lost))
	require.Equal(t, "1 partition without a commit, or not readable", lagLimit{given: true, records: 1 << 40}.exceeded(lagRow{state: lag.Rising, topic: lag.Topic{Unknown: 1}}))
	require.Equal(t, "nothing is committed", lagLimit{given: true, records: 1 << 40}.exceeded(lagRow{state: lag.NoCommit}))
	require.Equal(t, "cannot be read", lagLimit{given: true, records: 1 << 40}.exceeded(lagRow{state: lag.Unreadable}))
}
