package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// folder is a schemas folder of a test, with its files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "schemas")
	for name, content := range files {
		at := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o750))
		require.NoError(t, os.WriteFile(at, []byte(content), 0o600))
	}
	return dir
}

// runIn runs a command, and replaces the folder's path in its outputs with DIR.
func runIn(dir string, args ...string) (status int, out, errOut string) {
	var o, e bytes.Buffer
	status = run(args, &o, &e)
	if dir == "" {
		return status, o.String(), e.String()
	}
	return status, strings.ReplaceAll(o.String(), dir, "DIR"), strings.ReplaceAll(e.String(), dir, "DIR")
}

func TestSchemasUsage(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"t/v1.json": `{"x-event":{"key":null}}`})
	sample := filepath.Join(dir, "..", "sample.json")
	require.NoError(t, os.WriteFile(sample, []byte(`{"tId":"1"}`), 0o600))
	for name, c := range map[string]struct {
		args   []string
		status int
		errOut string
	}{
		"of what":                     {[]string{}, 2, "say what to do: gateway schemas check, or gateway schemas new TYPE --from sample.json"},
		"unknown verb":                {[]string{"chekc"}, 2, `there is no "chekc"; there are gateway schemas check and new. Did you mean gateway schemas check?`},
		"check, one too many":         {[]string{"check", dir}, 2, "is one argument too many"},
		"check, unknown format":       {[]string{"check", "--format", "xml"}, 2, "it must be one of text, json, github"},
		"check, unknown mode":         {[]string{"check", "--against", "x", "--compatibility", "some"}, 2, "it must be one of none, backward, forward, full"},
		"check, mode of nothing":      {[]string{"check", "--compatibility", "full"}, 2, "say what to compare with: --against origin/main"},
		"check, strict about nothing": {[]string{"check", "--strict"}, 2, "say what to compare with"},
		"check against an empty name": {[]string{"check", "--against", ""}, 2, "--against is empty; name a folder, branch, tag or commit"},
		"check against nothing known": {[]string{"check", "--schemas", dir, "--against", "no-such-thing"}, 1, "--against no-such-thing: there is no such folder, and DIR is in no git repository"},
		"new of what":                 {[]string{"new", "--from", sample}, 2, "say which event type to draft: gateway schemas new orders.placed --from sample.json"},
		"new from what":               {[]string{"new", "t"}, 2, "name a file with a sample event: "},
		"new, two names":              {[]string{"new", "t", "u", "--from", sample}, 2, `"u" is one argument too many`},
		"new, no name of a type":      {[]string{"new", "orders/placed", "--from", sample}, 2, `"orders/placed" is not an event type; names are`},
		"new, a shared name":          {[]string{"new", "_orders", "--from", sample}, 2, "in a schemas folder such a name is a shared schema"},
		"new, no pointer":             {[]string{"new", "u", "--from", sample, "--key", "tId"}, 2, "--key tId: a key is a JSON Pointer such as /orderId, or null alone"},
		"new, null and a key":         {[]string{"new", "u", "--from", sample, "--key", "/tId", "--key", "null"}, 2, "or null alone"},
		"new, no such file":           {[]string{"new", "u", "--from", sample + "x"}, 1, "no such file"},
		"new, another key":            {[]string{"new", "u", "--from", sample, "--key", "/x"}, 1, "the gateway would refuse this sample (key-missing)"},
		"new, there already":          {[]string{"new", "t", "--from", sample, "--schemas", dir}, 1, "t is there already, up to v1 in DIR/t; draft a further version with --version v2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, out, errOut := runIn(dir, append([]string{"schemas"}, c.args...)...)
			require.Equal(t, c.status, status, errOut)
			require.Contains(t, errOut, c.errOut)
			require.Empty(t, out)
		})
	}
}

func TestSchemasCheck(t *testing.T) {
	t.Parallel()
	v1 := `{"x-event":{"key":"/id"},"examples":[{"id":"1"}]}`
	old := folder(t, map[string]string{"a/v1.json": v1, "b/v1.json": v1})
	for name, c := range map[string]struct {
		files  map[string]string
		flags  []string
		status int
		out    string
	}{
		"all is well": {
			map[string]string{"a/v1.json": v1},
			nil, 0,
			"ok: 0 errors, 0 warnings, 0 notes; 1 version in 1 event type\n",
		},
		"what is wrong": {
			map[string]string{"a/v1.json": strings.Replace(v1, `"id":"1"`, `"id":""`, 1)},
			nil, 1,
			"DIR/a/v1.json:1: /examples/0/id: would be refused (key-missing, x-event): the entity key is the empty string, which names no entity\n\n" +
				"Correct these first; nothing was compared.\n\nFAILED: 1 problem in DIR\n",
		},
		"no folder": {
			nil, nil, 1,
			"DIR: the folder does not exist; create it with <event type>/v1.json inside, or name another one\n\n" +
				"Correct these first; nothing was compared.\n\nFAILED: 1 problem in DIR\n",
		},
		"a breaking change": {
			map[string]string{"a/v1.json": "{\n\"x-event\":{\"key\":\"/id\",\"topic\":\"c\"}}", "a/v2.json": v1},
			[]string{"--against", old},
			1,
			`a v1 (published: compared with OLD)
  error    DIR/a/v1.json:2: /x-event/topic: the topic was a and is c: consumers of a get no more of these events
           breaks publishers and consumers

a v2
  note     DIR/a/v2.json: the version is new; events that name no version are checked against it from now on

b
  error    DIR/b: the event type is gone: its events are refused (404) and its consumers get no more
           breaks publishers and consumers

a v1 → v2 (a new version may break what the one before allowed)
  note     DIR/a/v2.json:1: /x-event/topic: the topic was c and is a: consumers of c get no more of these events
           breaks publishers and consumers

A published version stays as it is: undo the changes marked error and put them into a new version (the next free v2.json, v3.json, …).
If nobody relies on the old state, say so with --compatibility none.

FAILED: 2 errors, 0 warnings, 2 notes; 2 versions in 1 event type, compared with OLD (compatibility backward)
`,
		},
		"nobody relies on it": {
			map[string]string{"a/v1.json": v1},
			[]string{"--against", old, "--compatibility", "none"},
			0,
			"b\n  note     DIR/b: the event type is gone: its events are refused (404) and its consumers get no more\n" +
				"           breaks publishers and consumers\n\n" +
				"ok: 0 errors, 0 warnings, 1 note; 1 version in 1 event type, compared with OLD (compatibility none)\n",
		},
		"a warning": {
			map[string]string{"a/v1.json": "{\"x-event\":{\"key\":null},\n\"properties\":{\"a\":{\"type\":\"string\",\"nullable\":true}},\n\"requried\":[]}"},
			nil, 0,
			"schemas that may not mean what they say\n" +
				"  warning  DIR/a/v1.json:2: /properties/a/nullable: is ignored: \"nullable\" is OpenAPI 3.0's, and null is refused here; write \"type\": [\"string\", \"null\"]\n" +
				"  warning  DIR/a/v1.json:3: /requried: is ignored: \"requried\" is not a keyword of JSON Schema; did you mean required?\n\n" +
				"ok: 0 errors, 2 warnings, 0 notes; 1 version in 1 event type\n",
		},
		"annotations": {
			map[string]string{"a/v1.json": `{`},
			[]string{"--format", "github"},
			1,
			"::error file=DIR/a/v1.json,line=1::column 2: the data ends inside a JSON value\n" +
				"Correct these first; nothing was compared.\nFAILED: 1 problem in DIR\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, c.files)
			status, out, errOut := runIn(dir, append([]string{"schemas", "check", "--schemas", dir}, c.flags...)...)
			require.Equal(t, c.out, strings.ReplaceAll(out, old, "OLD"))
			require.Equal(t, c.status, status, errOut)
			require.Empty(t, errOut, "the report has said it")
		})
	}
}

func TestSchemasCheckOfTheSamples(t *testing.T) {
	t.Parallel()
	status, out, errOut := runIn("", "schemas", "check", "--schemas", "../../schemas", "--against", "../../schemas", "--compatibility", "full", "--strict", "--format", "json")
	require.Equal(t, 0, status, errOut)
	var report struct {
		Summary struct {
			OK         bool `json:"ok"`
			EventTypes int  `json:"event_types"`
		} `json:"summary"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.True(t, report.Summary.OK)
	require.Positive(t, report.Summary.EventTypes)
}

func TestSchemasCheckAgainstGit(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir := folder(t, map[string]string{"a/v1.json": `{"x-event":{"key":null}}`})
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "."}, {"commit", "--quiet", "-m", "m"}} {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, string(said))
	}
	status, out, errOut := runIn(dir, "schemas", "check", "--schemas", dir, "--against", "HEAD")
	require.Equal(t, 0, status, errOut)
	require.Contains(t, out, "compared with HEAD (compatibility backward)")
	status, _, errOut = runIn(dir, "schemas", "check", "--schemas", dir, "--against", "origin/main")
	require.Equal(t, 1, status)
	require.Contains(t, errOut, "gateway schemas: --against origin/main: there is no such folder, and git knows no such commit; fetch it first")
}

func TestSchemasNew(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "schemas")
	first, more := filepath.Join(filepath.Dir(dir), "first.json"), filepath.Join(filepath.Dir(dir), "more.json")
	require.NoError(t, os.WriteFile(first, []byte(`{"orderId":"o-1","note":null}`), 0o600))
	require.NoError(t, os.WriteFile(more, []byte(`[{"orderId":"o-2","total":1.50},{"orderId":"o-3"}]`), 0o600))

	status, out, errOut := runIn(dir, "schemas", "new", "orders.placed", "--from", first, "--from", more, "--schemas", dir)
	require.Equal(t, 0, status, errOut)
	require.Equal(t, `DIR/orders.placed/v1.json is drafted from 3 samples.

  entity key  /orderId: events with the same value stay in order (a guess; correct x-event in the file if it is wrong)
  look at     /note is null in all samples: say its type
  examples    are your samples, and callers of the gateway can read them: take out what is personal

Next: add descriptions and limits, then run gateway schemas check.
`, out)
	status, out, _ = runIn(dir, "schemas", "check", "--schemas", dir)
	require.Equal(t, 0, status, out)

	// The name may come last, and a further version needs --version.
	status, out, errOut = runIn(dir, "schemas", "new", "--from="+first, "--key", "null", "--version", "v2", "--schemas", dir, "orders.placed")
	require.Equal(t, 0, status, errOut)
	require.Contains(t, out, "DIR/orders.placed/v2.json is drafted from 1 sample.\n\n  entity key  none: events may go to any partition\n")

	// With --stdout only the draft is printed, even if the event type exists.
	status, out, errOut = runIn(dir, "schemas", "new", "--stdout", "orders.placed", "--from", more, "--schemas", dir)
	require.Equal(t, 0, status, errOut)
	require.True(t, json.Valid([]byte(out)))
	require.Contains(t, out, `"total": 1.50`)
}

// Formats of a draft are those that all samples meet.
func TestSchemasNewFormats(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sample := filepath.Join(dir, "sample.json")
	require.NoError(t, os.WriteFile(sample, []byte(`{"id":"x1","keys_url":"https://api.example.com/keys{/key_id}","url":"https://api.example.com/a","odd":"https://example.com/a b","text":"https://example.com/é"}`), 0o600))
	status, out, errOut := runIn(dir, "schemas", "new", "t", "--stdout", "--from", sample)
	require.Equal(t, 0, status, errOut)
	require.Equal(t, 1, strings.Count(out, `"format"`), out)
	require.Regexp(t, `"url": \{\s*"type": "string",\s*"format": "uri"`, out)
}
