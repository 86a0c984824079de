//go:build integration

package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/test/services"
)

func TestTopicsApply(t *testing.T) {
	t.Parallel()
	kafka := services.Shared(t).Kafka
	one, two := "test-topics-1-"+uuid.NewString(), "test-topics-2-"+uuid.NewString()
	dropAfter(t, kafka, one, two)
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	write("schemas/one/v1.json", `{"x-event":{"topic":"`+one+`","key":null}}`)
	write("schemas/one/v2.json", `{"x-event":{"topic":"`+two+`","key":null}}`)
	file := write("gateway.yaml", "auth: none\nkafka: {brokers: [\""+kafka+"\"]}\nschemas: {dir: "+filepath.Join(dir, "schemas")+"}\n")
	apply := func(status int, flags ...string) (string, string) {
		t.Helper()
		var out, errOut bytes.Buffer
		require.Equal(t, status, run(append([]string{"topics", "apply", "-c", file}, flags...), &out, &errOut), errOut.String())
		return out.String(), errOut.String()
	}

	_, errOut := apply(1)
	require.Contains(t, errOut, "with replication 3: the cluster has 1 broker; write --replication 1")
	out, _ := apply(0, "--replication", "1", "--partitions", "2", "--dry-run")
	require.Equal(t, one+": would be created with 2 partitions, replication 1, cleanup.policy=delete\n"+
		two+": would be created with 2 partitions, replication 1, cleanup.policy=delete\n", out)
	out, _ = apply(0, "--replication", "1", "--partitions", "2")
	require.Equal(t, one+": created with 2 partitions, replication 1, cleanup.policy=delete\n"+
		two+": created with 2 partitions, replication 1, cleanup.policy=delete\n", out)
	require.Eventually(t, func() bool {
		out, _ = apply(0, "--replication", "1", "--partitions", "4")
		return out == one+": exists with 2 partitions, replication 1; left as it is (4 partitions were asked for)\n"+
			two+": exists with 2 partitions, replication 1; left as it is (4 partitions were asked for)\n"
	}, time.Minute, 50*time.Millisecond, out)
}

func dropAfter(t *testing.T, kafka string, topics ...string) {
	t.Helper()
	t.Cleanup(func() {
		cl, err := kgo.NewClient(kgo.SeedBrokers(kafka))
		require.NoError(t, err)
		defer cl.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err = kadm.NewClient(cl).DeleteTopics(ctx, topics...)
		require.NoError(t, err)
	})
}
