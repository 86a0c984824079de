package cli

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// run runs one command as main does.
func run(args []string, out, errOut io.Writer) int {
	return Run(context.Background(), "dev", args, out, errOut)
}

func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() }) // after the parallel cases, unlike defer
	schemas := "../../schemas"
	good := file("good.yaml", "auth: none\nhttp: {listen: \"127.0.0.1:0\"}\nadmin: {listen: \"127.0.0.1:0\"}\nkafka: {brokers: [\"127.0.0.1:1\"]}\nschemas: {dir: "+schemas+"}\n")

	noRedis := file("no-redis.yaml", "auth: none\nredis: {addresses: [\"127.0.0.1:1\"]}\nidempotency: {installation: test}\nschemas: {dir: "+schemas+"}\n")
	noKafka := file("no-kafka.yaml", "auth: none\nkafka: {brokers: [\"127.0.0.1:1\"]}\nschemas: {dir: "+schemas+"}\n")

	for name, c := range map[string]struct {
		args   []string
		status int
		out    string // in the output
		errOut string // in the error output
	}{
		"nothing":                   {nil, 0, "gateway serve -c FILE", ""},
		"help":                      {[]string{"help"}, 0, "gateway serve -c FILE", ""},
		"--help":                    {[]string{"--help"}, 0, "gateway dev", ""},
		"-h":                        {[]string{"-h"}, 0, "gateway version", ""},
		"version":                   {[]string{"version"}, 0, "gateway dev\n", ""},
		"unknown command":           {[]string{"serv"}, 2, "", `there is no command "serv"`},
		"flag for a command":        {[]string{"-c", "x.yaml"}, 2, "", "name the command before its flags: gateway serve -c gateway.yaml"},
		"serve --help":              {[]string{"serve", "--help"}, 0, "configuration FILE", ""},
		"dev --help":                {[]string{"dev", "-h"}, 0, "--kafka-listen ADDRESS", ""},
		"serve without a file":      {[]string{"serve"}, 2, "", "gateway serve -c gateway.yaml"},
		"serve, unknown flag":       {[]string{"serve", "--no-such"}, 2, "", "no-such"},
		"serve, one too many":       {[]string{"serve", "-c", good, "extra"}, 2, "", `"extra" is one argument too many`},
		"serve, no such file":       {[]string{"serve", "-c", filepath.Join(dir, "missing.yaml")}, 1, "", "missing.yaml"},
		"serve, unknown key":        {[]string{"serve", "-c", file("unknown.yaml", "auth: none\nkafak: {}\n")}, 1, "", "kafak"},
		"serve, auth not said":      {[]string{"serve", "-c", file("open.yaml", "http: {listen: \"127.0.0.1:0\"}\n")}, 1, "", "auth"},
		"serve, bad listen flag":    {[]string{"serve", "-c", good, "--listen", "nowhere"}, 2, "", "nowhere"},
		"serve, bad admin flag":     {[]string{"serve", "-c", good, "--admin-listen", "1:2:3"}, 2, "", "1:2:3"},
		"serve, port taken":         {[]string{"serve", "-c", good, "--listen", taken.Addr().String()}, 1, "", "--listen"},
		"serve, admin port taken":   {[]string{"serve", "-c", good, "--admin-listen", taken.Addr().String()}, 1, "", "--admin-listen"},
		"dev, one too many":         {[]string{"dev", "now"}, 2, "", `"now" is one argument too many`},
		"dev, bad listen flag":      {[]string{"dev", "--kafka-listen", "127.0.0.1:0", "--listen", "nowhere"}, 2, "", "nowhere"},
		"dev, kafka's port taken":   {[]string{"dev", "--kafka-listen", taken.Addr().String()}, 1, "", "--kafka-listen"},
		"dev, port taken":           {[]string{"dev", "--kafka-listen", "127.0.0.1:0", "--schemas", schemas, "--listen", taken.Addr().String()}, 1, "", "--listen"},
		"dev, no such schemas":      {[]string{"dev", "--kafka-listen", "127.0.0.1:0", "--schemas", filepath.Join(dir, "none")}, 1, "", "schemas"},
		"idempotency --help":        {[]string{"idempotency", "--help"}, 0, "what Redis holds for an idempotency key", ""},
		"rebuild --help":            {[]string{"idempotency", "rebuild", "--help"}, 0, "asserts that no keyed event was", ""},
		"idempotency of what":       {[]string{"idempotency", "-c", good}, 2, "", "gateway idempotency rebuild -c"},
		"idempotency, unknown verb": {[]string{"idempotency", "forget"}, 2, "", `there is no "forget"; there are gateway idempotency rebuild and show`},
		"idempotency alone":         {[]string{"idempotency"}, 2, "", "gateway idempotency show -c"},
		"rebuild without a file":    {[]string{"idempotency", "rebuild"}, 2, "", "gateway idempotency rebuild -c"},
		"rebuild since when":        {[]string{"idempotency", "rebuild", "-c", good, "--since", "yesterday"}, 2, "", "yesterday"},
		"rebuild of the future":     {[]string{"idempotency", "rebuild", "-c", good, "--since", "-1h"}, 2, "", "must not be negative"},
		"rebuild, no such file":     {[]string{"idempotency", "rebuild", "-c", filepath.Join(dir, "missing.yaml")}, 1, "", "missing.yaml"},
		"rebuild without Redis":     {[]string{"idempotency", "rebuild", "-c", noRedis, "--since", "0s"}, 1, "", "connection refused"},
		"show --help":               {[]string{"idempotency", "show", "--help"}, 0, "It only reads.", ""},
		"show without a file":       {[]string{"idempotency", "show", "k"}, 2, "", "gateway idempotency show -c"},
		"show of what":              {[]string{"idempotency", "show", "-c", good}, 2, "", "name one thing"},
		"show of two keys":          {[]string{"idempotency", "show", "-c", good, "a", "b"}, 2, "", `"b" is one argument too many`},
		"show of key and event":     {[]string{"idempotency", "show", "-c", good, "a", "--id", "1", "--source", "/s"}, 2, "", "name one thing"},
		"show of half an event":     {[]string{"idempotency", "show", "-c", good, "--id", "1"}, 2, "", "name one thing"},
		"show of no claim":          {[]string{"idempotency", "show", "-c", good, "--claim", strings.Repeat("ab", 40)}, 2, "", "64 hexadecimal digits"},
		"show, odd key":             {[]string{"idempotency", "show", "-c", good, `"a\"b"`}, 2, "", "without its quotes"},
		"show, unknown flag":        {[]string{"idempotency", "show", "--no-such"}, 2, "", "no-such"},
		"show, unknown format":      {[]string{"idempotency", "show", "-c", good, "k", "--format", "xml"}, 2, "", "text or json"},
		"show without Redis":        {[]string{"idempotency", "show", "-c", noRedis, "k"}, 1, "", "connection refused"},
		"show without Kafka":        {[]string{"idempotency", "show", "-c", noKafka, "k"}, 1, "", "unless idempotency.installation names the installation"},
		"check --help":              {[]string{"check", "--help"}, 0, "It changes nothing anywhere", ""},
		"check without a file":      {[]string{"check"}, 2, "", "gateway check -c gateway.yaml"},
		"check, unknown format":     {[]string{"check", "-c", good, "--format", "yaml"}, 2, "", "text or json"},
		"check, no time":            {[]string{"check", "-c", good, "--timeout", "0s"}, 2, "", "more than 0"},
		"check, odd rate":           {[]string{"check", "-c", good, "--expected-rate", "NaN"}, 2, "", "events a second"},
		"topics --help":             {[]string{"topics", "--help"}, 0, "gateway topics apply -c FILE", ""},
		"topics apply --help":       {[]string{"topics", "apply", "--help"}, 0, "--dry-run", ""},
		"topics apply -h":           {[]string{"topics", "apply", "-h"}, 0, "min.insync.replicas=2 if it has three replicas", ""},
		"topics of what":            {[]string{"topics", "-c", good}, 2, "", "gateway topics apply -c"},
		"topics, unknown verb":      {[]string{"topics", "delete"}, 2, "", `there is no "delete"; there is gateway topics apply`},
		"topics without a file":     {[]string{"topics", "apply"}, 2, "", "gateway topics apply -c"},
		"topics, no such file":      {[]string{"topics", "apply", "-c", filepath.Join(dir, "missing.yaml")}, 1, "", "missing.yaml"},
		"topics, no partitions":     {[]string{"topics", "apply", "-c", good, "--partitions", "0"}, 2, "", "--partitions must be at least 1"},
		"topics, no replicas":       {[]string{"topics", "apply", "-c", good, "--replication", "-1"}, 2, "", "--replication must be at least 1"},
		"topics without Kafka":      {[]string{"topics", "apply", "-c", good}, 1, "", "Connection refused"},
		"dead letters of what":      {[]string{"dead-letters"}, 2, "", "say what to do: gateway dead-letters list"},
		"dlq is short for it":       {[]string{"dlq", "--help"}, 0, "gateway dead-letters", ""},
		"dlq list without a file":   {[]string{"dlq", "list"}, 2, "", "gateway dead-letters list -c"},
		"dlq list since when":       {[]string{"dlq", "list", "-c", good, "--since", "yesterday"}, 2, "", "--since yesterday is not a time"},
		"dlq list, odd status":      {[]string{"dlq", "list", "-c", good, "--status", "ok"}, 2, "", "write for example 503, or 5xx"},
		"dlq list, odd state":       {[]string{"dlq", "list", "-c", good, "--state", "gone"}, 2, "", "it must be one of waiting"},
		"dlq list, nothing":         {[]string{"dlq", "list", "-c", good, "--limit", "0"}, 2, "", "--limit must be at least 1"},
		"dlq list, no topic":        {[]string{"dlq", "list", "-c", good}, 2, "", "name one with --topic"},
		"dlq show what":             {[]string{"dlq", "show", "-c", good}, 2, "", "name the dead letter by its place"},
		"dlq show, no place":        {[]string{"dlq", "show", "-c", good, "42"}, 2, "", "write topic/partition/offset"},
		"dlq show without Kafka":    {[]string{"dlq", "show", "-c", noKafka, "t/0/42"}, 1, "", "connection refused"},
		"dlq replay which":          {[]string{"dlq", "replay", "-c", good, "--to", "topic"}, 2, "", "by places, filters or --all"},
		"dlq replay where to":       {[]string{"dlq", "replay", "-c", good, "--all"}, 2, "", "say where to, with --to subscription"},
		"dlq replay to nothing":     {[]string{"dlq", "replay", "-c", good, "--all", "--to", "topic:"}, 2, "", "say where to"},
		"dlq replay, odd door":      {[]string{"dlq", "replay", "-c", good, "--all", "--to", "door:x"}, 2, "", "say where to"},
		"dlq replay, odd rate":      {[]string{"dlq", "replay", "-c", good, "--all", "--to", "topic", "--rate", "-1"}, 2, "", "--rate 50"},
		"dlq replay, type to topic": {[]string{"dlq", "replay", "-c", good, "--all", "--to", "topic", "--as-type", "x"}, 2, "", "--as-type is for --to door"},
		"dlq replay, no such name":  {[]string{"dlq", "replay", "-c", noKafka, "t/0/1", "--to", "subscription:x"}, 2, "", `no subscription "x"`},
		"dlq drop which":            {[]string{"dlq", "drop", "-c", good}, 2, "", "gateway dead-letters drop"},
		"reset to what":             {[]string{"subscriptions", "reset", "-c", good, "x"}, 2, "", "one of --to-time, --to-earliest and --to-offset"},
		"reset to two":              {[]string{"subscriptions", "reset", "-c", good, "x", "--to-earliest", "--to-time", "1h"}, 2, "", "one of --to-time"},
		"reset to no place":         {[]string{"subscriptions", "reset", "-c", good, "x", "--to-offset", "5"}, 2, "", "write topic/partition/offset"},
		"reset of nothing":          {[]string{"subscriptions", "reset", "-c", good, "x", "--to-earliest"}, 2, "", `no subscription "x"`},
		"keys of what":              {[]string{"keys"}, 2, "", "say what to do: gateway keys new"},
		"help on a command":         {[]string{"help", "topics", "apply"}, 0, "--dry-run", ""},
		"help on nothing":           {[]string{"help", "topic"}, 2, "", `there is no command "topic"; gateway --help lists all. Did you mean gateway topics?`},
		"command misspelled":        {[]string{"serv"}, 2, "", "Did you mean gateway serve?"},
		"misspelled, with a flag":   {[]string{"serv", "-c", good}, 2, "", "Did you mean gateway serve?"},
		"verb misspelled":           {[]string{"topics", "aply"}, 2, "", "Did you mean gateway topics apply?"},
		"one dash":                  {[]string{"dev", "-kafka-listen", "127.0.0.1:0"}, 2, "", "write --kafka-listen with two dashes"},
		"one dash, a c":             {[]string{"idempotency", "show", "-c", good, "-client=web", "k"}, 2, "", "write --client with two dashes"},
		"a key like a flag":         {[]string{"idempotency", "show", "-c", noRedis, "--", "-client"}, 1, "", "connection refused"},
		"long name of -c":           {[]string{"check", "--config", good, "--timeout", "0s"}, 2, "", "more than 0"},
		"flag without its value":    {[]string{"serve", "-c"}, 2, "", "see gateway serve --help"},
		"completion of what shell":  {[]string{"completion", "tcsh"}, 2, "", `there is no "tcsh"; there are gateway completion bash, fish, powershell and zsh`},
		"completion, one too many":  {[]string{"completion", "bash", "now"}, 2, "", "now"},
		"version, one too many":     {[]string{"version", "now"}, 2, "", `"now" is one argument too many`},
		"version has no flags, too": {[]string{"version", "--help"}, 0, "gateway", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			status := run(c.args, &out, &errOut)
			for tries := 0; tries < 5 && strings.Contains(errOut.String(), "deadline exceeded"); tries++ { // on a stalled machine
				out.Reset()
				errOut.Reset()
				status = run(c.args, &out, &errOut)
			}
			require.Equal(t, c.status, status, errOut.String())
			require.Contains(t, out.String(), c.out)
			require.Contains(t, errOut.String(), c.errOut)
			if c.status != 0 {
				require.Empty(t, out.String(), "errors go to the error output")
			}
		})
	}
}

func TestReachable(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		"127.0.0.1:8080":   "127.0.0.1:8080",
		"0.0.0.0:8080":     "127.0.0.1:8080",
		":8080":            "127.0.0.1:8080",
		"[::]:8080":        "127.0.0.1:8080",
		"[::1]:8080":       "[::1]:8080",
		"example.com:8080": "example.com:8080",
		"no port":          "no port",
	} {
		require.Equal(t, want, reachable(listen), listen)
	}
}

func TestSamplesAreUnpackedAndRemoved(t *testing.T) {
	t.Parallel()
	dir, cleanUp, err := devSchemas("") // there is no folder schemas beside this test
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(dir, "orders.placed", "v1.json"))
	require.FileExists(t, filepath.Join(dir, "_shared", "address.json"))
	cleanUp()
	require.NoDirExists(t, dir)

	asked, cleanUp, err := devSchemas(t.TempDir())
	require.NoError(t, err)
	cleanUp()
	require.DirExists(t, asked, "a folder that somebody named is left alone")
}
