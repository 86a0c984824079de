package schema

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/schema/compat"
)

// mustLoad writes the files into a folder of their own and loads it.
func (f files) mustLoad(tb testing.TB) *Set {
	tb.Helper()
	set, err := f.load(tb)
	require.NoError(tb, err)
	return set
}

func TestChanges(t *testing.T) {
	t.Parallel()
	plain := topic("t")
	limited := func(limit string) files {
		return files{"t/v1.json": `{"x-event":{"key":null,"body_limit":"` + limit + `"}}`}
	}
	type want struct {
		eventType, version string
		kind               ChangeKind
		verdict            compat.Verdict
		direction          compat.Direction
		pointer, message   string
	}
	for name, tc := range map[string]struct {
		before, after files
		want          []want
	}{
		"nothing":           {files{"t/v1.json": plain}, files{"t/v1.json": plain}, nil},
		"only white space":  {files{"t/v1.json": plain}, files{"t/v1.json": " " + plain + "\n"}, nil},
		"on_store_failure":  {files{"t/v1.json": plain}, files{"t/v1.json": `{"x-event":{"key":null,"topic":"t","on_store_failure":"publish"}}`}, nil},
		"topic as default":  {files{"t/v1.json": plain}, files{"t/v1.json": `{"x-event":{"key":null}}`}, nil},
		"body_limit raised": {limited("1KiB"), limited("2KiB"), nil},
		"body_limit gone":   {limited("1KiB"), files{"t/v1.json": plain}, nil},
		"no key required any more": {
			files{"t/v1.json": `{"x-event":{"key":null,"idempotency":"required"}}`},
			files{"t/v1.json": `{"x-event":{"key":null}}`},
			nil,
		},
		"types come and go": {
			files{"a/v1.json": plain, "t/v1.json": plain},
			files{"b/v1.json": plain, "t/v1.json": plain},
			[]want{
				{"a", "", TypeRemoved, compat.Breaking, Both, "", "the event type is gone"},
				{"b", "", TypeAdded, compat.Compatible, "", "", "the event type is new"},
			},
		},
		"versions come and go, as numbers": {
			files{"t/v1.json": plain, "t/v2.json": plain, "t/v10.json": plain},
			files{"t/v1.json": plain, "t/v3.json": plain, "t/v11.json": plain},
			[]want{
				{"t", "v2", VersionRemoved, compat.Breaking, Both, "", "the version is gone: events that name it are refused (404)"},
				{"t", "v3", VersionAdded, compat.Compatible, "", "", "the version is new"},
				{"t", "v10", VersionRemoved, compat.Breaking, Both, "", "events that name no version are checked against v11 from now on"},
				{"t", "v11", VersionAdded, compat.Compatible, "", "", "events that name no version are checked against it from now on"},
			},
		},
		"topic and key": {
			files{"t/v1.json": `{"x-event":{"key":"/a"}}`},
			files{"t/v1.json": `{"x-event":{"key":["/a","/b"],"topic":"u"}}`},
			[]want{
				{"t", "v1", XEventChanged, compat.Breaking, Both, "/x-event/topic", "the topic was t and is u: consumers of t get no more of these events"},
				{"t", "v1", XEventChanged, compat.Breaking, Both, "/x-event/key", `the entity key was "/a" and is ["/a", "/b"]`},
			},
		},
		"entity lost": {
			files{"t/v1.json": `{"x-event":{"key":"/a"}}`},
			files{"t/v1.json": `{"x-event":{"key":null}}`},
			[]want{{"t", "v1", XEventChanged, compat.Breaking, Both, "/x-event/key", `the entity key was "/a" and is null`}},
		},
		"key required": {
			files{"t/v1.json": `{"x-event":{"key":null}}`},
			files{"t/v1.json": `{"x-event":{"key":null,"idempotency":"required"}}`},
			[]want{{"t", "v1", XEventChanged, compat.Breaking, compat.Backward, "/x-event/idempotency", "an Idempotency-Key is required and was not"}},
		},
		"body_limit lowered": {
			limited("2KiB"), limited("1KiB"),
			[]want{{"t", "v1", XEventChanged, compat.Breaking, compat.Backward, "/x-event/body_limit", "body_limit was 2048 bytes and is 1024"}},
		},
		"body_limit said": {
			files{"t/v1.json": plain},
			limited("1KiB"),
			[]want{{"t", "v1", XEventChanged, compat.CannotTell, compat.Backward, "/x-event/body_limit", "unless http.body_limit refused them before"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes := Changes(tc.before.mustLoad(t), tc.after.mustLoad(t))
			require.Len(t, changes, len(tc.want))
			for i, c := range changes {
				w := tc.want[i]
				got := want{c.EventType, c.Version, c.Kind, c.Verdict, c.Direction, c.Pointer, w.message}
				require.Equal(t, w, got)
				require.Contains(t, c.Message, w.message)
				require.Empty(t, c.Since)
				require.NotEmpty(t, c.File)
			}
		})
	}
}

// Package compat compares what schemas accept; here its findings must only arrive, with
// their places.
func TestChangesOfASchema(t *testing.T) {
	t.Parallel()
	v1 := "{\n\"x-event\":{\"key\":null},\n\"type\":\"object\",\n\"required\":[\"a\"]\n}"
	stricter := "{\n\"x-event\":{\"key\":null},\n\"type\":\"object\",\n\"required\":[\"a\",\"b\"]\n}"
	t.Run("of a published version", func(t *testing.T) {
		t.Parallel()
		changes := Changes(files{"t/v1.json": v1}.mustLoad(t), files{"t/v1.json": stricter}.mustLoad(t))
		require.NotEmpty(t, changes)
		c := changes[0]
		require.Equal(t, SchemaChanged, c.Kind)
		require.Equal(t, compat.Breaking, c.Verdict)
		require.Equal(t, compat.Backward, c.Direction)
		require.Equal(t, "t/v1.json", c.File)
		require.Equal(t, 4, c.Line)
		require.NotEmpty(t, c.Message)
		require.Empty(t, c.Since)
	})
	t.Run("between successive versions", func(t *testing.T) {
		t.Parallel()
		set := files{"t/v1.json": v1, "t/v2.json": stricter, "t/v10.json": stricter, "u/v1.json": v1}.mustLoad(t)
		changes := set.VersionChanges()
		require.NotEmpty(t, changes)
		for _, c := range changes {
			require.Equal(t, "v1", c.Since, "v2 and v10 accept the same")
			require.Equal(t, "v2", c.Version)
			require.Equal(t, "t/v2.json", c.File)
		}
	})
}

func TestFindings(t *testing.T) {
	t.Parallel()
	breaking := compat.Finding{Direction: compat.Forward, Verdict: compat.Breaking, Pointer: "/type", Keyword: "type", Message: "m", Witness: json.RawMessage(`1`)}
	for name, tc := range map[string]struct {
		report compat.Report
		want   []Change
	}{
		"compatible": {compat.Report{
			Backward: compat.Compatible, Forward: compat.Compatible,
			Findings: []compat.Finding{{Direction: compat.Forward, Verdict: compat.Compatible}},
		}, nil},
		"as found": {
			compat.Report{Backward: compat.Compatible, Forward: compat.Breaking, Findings: []compat.Finding{breaking}},
			[]Change{{Kind: SchemaChanged, Verdict: compat.Breaking, Direction: compat.Forward, Pointer: "/type", Keyword: "type", Message: "m", Witness: json.RawMessage(`1`)}},
		},
		"a verdict that no finding explains": {
			compat.Report{Backward: compat.Breaking, Forward: compat.CannotTell, Findings: []compat.Finding{{Direction: compat.Backward, Verdict: compat.CannotTell, Message: "m"}}},
			[]Change{
				{Kind: SchemaChanged, Verdict: compat.CannotTell, Direction: compat.Backward, Message: "m"},
				{Kind: SchemaChanged, Verdict: compat.Breaking, Direction: compat.Backward, Message: "the schema as a whole accepts other events than before"},
				{Kind: SchemaChanged, Verdict: compat.CannotTell, Direction: compat.Forward, Message: "the schema as a whole accepts other events than before"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, findings(tc.report))
		})
	}
}

func TestNearestLine(t *testing.T) {
	t.Parallel()
	data := []byte("{\n\"a\":{\n\"b\":[\n1\n]\n}\n}")
	for pointer, line := range map[string]int{
		"": 1, "/a": 2, "/a/b": 3, "/a/b/0": 4, "/a/b/1": 3, "/a/c": 2, "/a/c/d/e": 2, "/x": 1, "/x/y": 1, "no pointer": 1,
	} {
		require.Equal(t, line, nearestLine(data, pointer), pointer)
	}
}

// A comparison that fails neither panics nor counts as compatible.
func TestChangesThatCannotBeCompared(t *testing.T) {
	t.Parallel()
	set := one(t, `{"x-event":{"key":null}}`)
	v := set.types["t"].newest()
	for name, broken := range map[string]*Set{"no set to bundle from": nil, "a version that is not there": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes := schemaChanges(broken, v, set, v)
			require.Len(t, changes, 1)
			require.Equal(t, compat.CannotTell, changes[0].Verdict)
			require.Equal(t, Both, changes[0].Direction)
			require.Contains(t, changes[0].Message, "the schemas cannot be compared: ")
		})
	}
}

// A schema that cannot be compared is only known to be the same if all files are.
func TestChangesOfWhatIsNotPortable(t *testing.T) {
	t.Parallel()
	dynamic := func(more string) files {
		return files{"t/v1.json": `{` + event1 + `,"$dynamicAnchor":"n","properties":{"a":{"$dynamicRef":"#n"},"b":{"$ref":"../_shared/b.json"}}` + more + `}`}
	}
	load := func(more, shared string) *Set {
		f := dynamic(more)
		f["_shared/b.json"] = shared
		set, err := f.load(t)
		require.NoError(t, err)
		return set
	}
	same := load("", "{}")
	require.Empty(t, Changes(same, load("", "{}")))
	for _, other := range []*Set{load(`,"required":["a"]`, "{}"), load("", `{"type":"string"}`)} {
		changes := Changes(same, other)
		require.Len(t, changes, 1)
		require.Equal(t, compat.CannotTell, changes[0].Verdict)
	}
}
