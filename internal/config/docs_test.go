package config

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	docsFile    = "../../docs/configuration.md"
	exampleFile = "../../gateway.example.yaml"
)

// docsRow matches | `key` | type | default | variable | meaning |.
var docsRow = regexp.MustCompile("^\\| `([a-z_.]+)` \\| ([^|]+) \\| ([^|]+) \\| ([^|]+) \\| (.+) \\|$")

// TestDocumentedDefaults holds the table of docs/configuration.md to the structs.
func TestDocumentedDefaults(t *testing.T) {
	t.Parallel()
	rows := map[string][]string{}
	for line := range strings.Lines(readText(t, docsFile)) {
		if row := docsRow.FindStringSubmatch(strings.TrimSpace(line)); row != nil {
			require.NotContains(t, rows, row[1], "documented twice")
			rows[row[1]] = row[2:]
		}
	}
	require.Len(t, rows, len(leaves()))

	defaults := reflect.ValueOf(Defaults()).Elem()
	for _, l := range leaves() {
		require.Contains(t, rows, l.path)
		kind, text, variable := rows[l.path][0], strings.Trim(rows[l.path][1], "`"), strings.Trim(rows[l.path][2], "`")
		want := defaults.FieldByIndex(l.index)
		require.Equal(t, docsType(want), kind, l.path)

		switch {
		case l.path == "auth":
			require.Equal(t, "none: must be given", text)
		case want.Kind() == reflect.Map:
			require.Equal(t, "{}", text, l.path)
			require.Zero(t, want.Len(), l.path)
		default:
			got := reflect.New(want.Type()).Elem()
			require.Nil(t, setText(got, strings.Trim(text, `"`), text), l.path)
			require.Equal(t, want.Interface(), got.Interface(), l.path)
		}
		if l.env == "" {
			require.Equal(t, "–", variable, l.path)
		} else {
			require.Equal(t, l.env, variable)
		}
	}
}

// itemRow matches | `webhooks[].key` | type | default | meaning |.
var itemRow = regexp.MustCompile("^\\| `((?:webhooks|subscriptions|outbox|auth)[a-z_.\\[\\]]*\\[\\]\\.[a-z0-9_.\\[\\]]+|auth\\.jwt\\.[a-z_]+)` \\| ([^|]+) \\| ([^|]+) \\| (.+) \\|$")

// itemPaths are the keys below a list or an optional mapping.
func itemPaths(t reflect.Type, prefix string) (paths []string) {
	names, fields := fieldNames(t)
	for _, name := range names {
		of := t.Field(fields[name]).Type
		switch {
		case of.Kind() == reflect.Pointer:
			paths = append(paths, itemPaths(of.Elem(), prefix+name+".")...)
		case of == reflect.TypeFor[AuthJWTs](): // one, or a list
			paths = append(paths, itemPaths(of.Elem(), prefix+name+".")...)
		case of.Kind() == reflect.Slice && of.Elem().Kind() == reflect.Struct:
			paths = append(paths, itemPaths(of.Elem(), prefix+name+"[].")...)
		case of.Kind() == reflect.Struct && hasKeys(of):
			paths = append(paths, itemPaths(of, prefix+name+".")...)
		default:
			paths = append(paths, prefix+name)
		}
	}
	return paths
}

func hasKeys(t reflect.Type) bool {
	names, _ := fieldNames(t)
	return len(names) > 0
}

// TestDocumentedDefaultsOfSubscriptions holds the table to what an item is before it is
// read.
func TestDocumentedDefaultsOfSubscriptions(t *testing.T) {
	t.Parallel()
	defaults := newSubscription()
	want := map[string]string{
		"mode": string(defaults.Mode), "ordering": string(defaults.Ordering), "concurrency": strconv.Itoa(defaults.Concurrency), "timeout": defaults.Timeout.String(),
		"on_dead": string(defaults.OnDead), "when_full": string(defaults.WhenFull), "on_lost": string(defaults.OnLost),
		"retry.attempts": strconv.Itoa(defaults.Retry.Attempts), "retry.initial": defaults.Retry.Initial.String(), "retry.max": defaults.Retry.Max.String(),
		"retry.total": "2m", "group_protocol": string(defaults.GroupProtocol), "session_timeout": defaults.SessionTimeout.String(),
	}
	require.Equal(t, 2*time.Minute, defaults.Retry.Total)
	for line := range strings.Lines(readText(t, docsFile)) {
		row := itemRow.FindStringSubmatch(strings.TrimSpace(line))
		if row == nil {
			continue
		}
		if key, ok := strings.CutPrefix(row[1], "subscriptions[]."); ok && want[key] != "" {
			require.Equal(t, "`"+want[key]+"`", row[3], key)
			delete(want, key)
		}
	}
	require.Empty(t, want)
}

// TestListsAreDocumented holds the tables of webhooks and clients to the structs.
func TestListsAreDocumented(t *testing.T) {
	t.Parallel()
	rows := map[string]string{}
	for line := range strings.Lines(readText(t, docsFile)) {
		if row := itemRow.FindStringSubmatch(strings.TrimSpace(line)); row != nil {
			rows[row[1]] = row[3]
		}
	}
	paths := append(itemPaths(reflect.TypeFor[Webhook](), "webhooks[]."), itemPaths(reflect.TypeFor[Auth](), "auth.")...)
	paths = append(paths, itemPaths(reflect.TypeFor[Outbox](), "outbox[].")...)
	paths = append(paths, itemPaths(reflect.TypeFor[Subscription](), "subscriptions[].")...)
	require.ElementsMatch(t, paths, slices.Collect(maps.Keys(rows)))

	defaults := newWebhook()
	require.Equal(t, "`"+string(defaults.OnInvalid)+"`", rows["webhooks[].on_invalid"])
	require.Equal(t, "`5m`", rows["webhooks[].tolerance"])
	require.Equal(t, 5*time.Minute, defaults.Tolerance)
	defaults.Name = "<name>"
	require.Equal(t, "`"+defaults.DeadLetters()+"`", rows["webhooks[].dead_letter_topic"])

	outbox := newOutbox()
	require.Equal(t, "`"+string(outbox.Read)+"`", rows["outbox[].read"])
	require.Equal(t, "`"+outbox.Table+"`", rows["outbox[].table"])
	require.Equal(t, "`"+outbox.EventType+"`", rows["outbox[].event_type"])
	require.Equal(t, "`"+string(outbox.OnDead)+"`", rows["outbox[].on_dead"])
	require.Equal(t, "`gateway_<name>`", rows["outbox[].slot"])
	require.Equal(t, "`gateway_<name>`", rows["outbox[].publication"])
	require.Equal(t, "gateway_my_shop", Outbox{Name: "My-shop"}.SlotName())
}

func docsType(v reflect.Value) string {
	switch v.Type().Name() {
	case "Size":
		return "size"
	case "Duration":
		return "duration"
	case "Secret":
		return "secret"
	}
	switch v.Kind() {
	case reflect.Slice:
		return "list"
	case reflect.Map:
		return "mapping"
	case reflect.Int:
		return "integer"
	case reflect.Bool:
		return "boolean"
	default:
		return "string"
	}
}

// TestRefusedPropertiesAreDocumented: readers must not have to find out by trying.
func TestRefusedPropertiesAreDocumented(t *testing.T) {
	t.Parallel()
	text := readText(t, docsFile)
	for name := range refusedProperties {
		require.Contains(t, text, "`"+name+"`")
	}
}

// TestExample loads the example: valid as it stands, every key in it, and every
// value the default, so that a copy of it changes nothing but auth.
func TestExample(t *testing.T) {
	t.Parallel()
	cfg, err := Load(exampleFile, nil)
	require.NoError(t, err)

	want := Defaults()
	want.Auth = Auth{None: true}
	want.Kafka.Properties = Properties{"client.id": "eventgateway", "linger.ms": "5", "compression.type": "lz4"}
	want.Webhooks, want.Outbox, want.Subscriptions = []Webhook{}, []Outbox{}, []Subscription{}
	want.origins, want.File = cfg.origins, cfg.File
	require.Equal(t, want, cfg)

	var tree map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(readText(t, exampleFile)), &tree))
	for _, l := range leaves() {
		var node any = tree
		for name := range strings.SplitSeq(l.path, ".") {
			section, ok := node.(map[string]any)
			require.True(t, ok, l.path)
			require.Contains(t, section, name, l.path)
			node = section[name]
		}
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}
