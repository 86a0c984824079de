package check

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/schema"
	"eventgateway/internal/schema/compat"
)

func written(t *testing.T, format Format, r *Result) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, Write(&out, format, r))
	return out.String()
}

// example has one of everything.
func example() *Result {
	r := &Result{
		Problems: []Problem{},
		Changes: []Change{
			{
				Severity: Error, EventType: "orders.placed", Version: "v1", Kind: schema.SchemaChanged, Verdict: compat.Breaking, Direction: compat.Backward,
				File: "schemas/orders.placed/v1.json", Line: 7, Pointer: "/required", Keyword: "required",
				Message: "the member \"note\" is required now", Witness: json.RawMessage(`{"orderId":"<o>"}`),
			},
			{
				Severity: Warning, EventType: "orders.placed", Version: "v1", Kind: schema.SchemaChanged, Verdict: compat.CannotTell, Direction: compat.Backward,
				File: "schemas/orders.placed/v1.json", Line: 9, Pointer: "/not", Keyword: "not", Message: "changed",
			},
			{
				Severity: Error, EventType: "orders.refunded", Kind: schema.TypeRemoved, Verdict: compat.Breaking, Direction: schema.Both,
				File: "schemas/orders.refunded", Message: "the event type is gone",
			},
			{
				Severity: Note, EventType: "orders.shipped", Kind: schema.TypeAdded, Verdict: compat.Compatible,
				File: "schemas/orders.shipped", Message: "the event type is new",
			},
			{
				Severity: Note, EventType: "payments.captured", Version: "v2", Since: "v1", Kind: schema.SchemaChanged, Verdict: compat.Breaking, Direction: compat.Forward,
				File: "schemas/payments.captured/v2.json", Line: 3, Pointer: "/type", Keyword: "type", Message: "100% other,\r\nso to speak",
			},
		},
		Summary: Summary{Dir: "schemas", Against: "origin/main", Compatibility: Backward, EventTypes: 3, Versions: 4},
	}
	r.count()
	return r
}

func TestText(t *testing.T) {
	t.Parallel()
	require.Equal(t, `orders.placed v1 (published: compared with origin/main)
  error    schemas/orders.placed/v1.json:7: /required: the member "note" is required now
           breaks publishers: events sent as before may be refused
           for example {"orderId":"<o>"}
  warning  schemas/orders.placed/v1.json:9: /not: changed
           cannot tell; may break publishers: events sent as before may be refused

orders.refunded
  error    schemas/orders.refunded: the event type is gone
           breaks publishers and consumers

orders.shipped
  note     schemas/orders.shipped: the event type is new

payments.captured v1 → v2 (a new version may break what the one before allowed)
  note     schemas/payments.captured/v2.json:3: /type: 100% other, so to speak
           breaks consumers: who knows only the old schema may not understand new events

A published version stays as it is: undo the changes marked error and put them into a new version (the next free v2.json, v3.json, …).
If nobody relies on the old state, say so with --compatibility none.

FAILED: 2 errors, 1 warning, 2 notes; 4 versions in 3 event types, compared with origin/main (compatibility backward)
`, written(t, Text, example()))
}

func TestTextOfLittle(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		result Result
		want   string
	}{
		"nothing to say": {
			Result{Summary: Summary{Dir: "schemas", EventTypes: 1, Versions: 1}},
			"ok: 0 errors, 0 warnings, 0 notes; 1 version in 1 event type\n",
		},
		"problems": {
			Result{
				Problems: []Problem{
					{File: "schemas/a/v1.json", Line: 3, Pointer: "/x-event", Message: "\"key\" must be said"},
					{File: "schemas/stray", Message: "does not belong here"},
				},
				Summary: Summary{Dir: "schemas", Against: "main", Compatibility: Backward},
			},
			"schemas/a/v1.json:3: /x-event: \"key\" must be said\nschemas/stray: does not belong here\n\n" +
				"Correct these first; nothing was compared.\n\nFAILED: 2 problems in schemas\n",
		},
		"no folder to compare with": {
			Result{
				Changes: []Change{{Severity: Warning, Kind: schema.TypeAdded, Verdict: compat.CannotTell, Direction: schema.Both, File: "schemas", Message: "main has no such folder"}},
				Summary: Summary{Dir: "schemas", Against: "main", Compatibility: Backward, EventTypes: 1, Versions: 1},
			},
			"schemas\n  warning  schemas: main has no such folder\n\n" +
				"ok: 0 errors, 1 warning, 0 notes; 1 version in 1 event type, compared with main (compatibility backward)\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.result.count()
			require.Equal(t, tc.want, written(t, Text, &tc.result))
		})
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	r := &Result{Warnings: []Problem{{File: "s/a/v1.json", Line: 3, Pointer: "/nullable", Message: "is ignored"}}, Summary: Summary{Dir: "s"}}
	r.count()
	require.Equal(t, `schemas that may not mean what they say
  warning  s/a/v1.json:3: /nullable: is ignored

ok: 0 errors, 1 warning, 0 notes; 0 versions in 0 event types
`, written(t, Text, r))
	require.Contains(t, written(t, GitHub, r), "::warning file=s/a/v1.json,line=3::/nullable: is ignored\n")
}

func TestTextBoundsExamples(t *testing.T) {
	t.Parallel()
	r := &Result{Changes: []Change{{EventType: "t", Verdict: compat.Breaking, Witness: json.RawMessage(`"` + strings.Repeat("é", maxWitness) + `"`)}}}
	text := written(t, Text, r)
	require.Contains(t, text, "é…\n")
	require.Less(t, len(text), 3*maxWitness)
}

func TestGitHub(t *testing.T) {
	t.Parallel()
	require.Equal(t, `::error file=schemas/orders.placed/v1.json,line=7,title=orders.placed v1::/required: the member "note" is required now%0Abreaks publishers: events sent as before may be refused%0Afor example {"orderId":"<o>"}
::warning file=schemas/orders.placed/v1.json,line=9,title=orders.placed v1::/not: changed%0Acannot tell; may break publishers: events sent as before may be refused
::error file=schemas/orders.refunded,title=orders.refunded::the event type is gone%0Abreaks publishers and consumers
::notice file=schemas/orders.shipped,title=orders.shipped::the event type is new
::notice file=schemas/payments.captured/v2.json,line=3,title=payments.captured v1 → v2::/type: 100%25 other,%0D%0Aso to speak%0Abreaks consumers: who knows only the old schema may not understand new events
A published version stays as it is: undo the changes marked error and put them into a new version (the next free v2.json, v3.json, …).
If nobody relies on the old state, say so with --compatibility none.
FAILED: 2 errors, 1 warning, 2 notes; 4 versions in 3 event types, compared with origin/main (compatibility backward)
`, written(t, GitHub, example()))
}

func TestGitHubEscapesFileNames(t *testing.T) {
	t.Parallel()
	r := &Result{Problems: []Problem{{File: "a,b:100%\n::set-output", Line: 2, Message: "m\n::error::x"}}, Summary: Summary{Dir: "d"}}
	r.count()
	require.Equal(t, "::error file=a%2Cb%3A100%25%0A%3A%3Aset-output,line=2::m%0A::error::x\n"+
		"Correct these first; nothing was compared.\nFAILED: 1 problem in d\n", written(t, GitHub, r))
}

// The names are a contract: docs/schemas.md lists them.
func TestJSON(t *testing.T) {
	t.Parallel()
	r := example()
	r.Changes = r.Changes[:1]
	r.Problems = []Problem{{File: "f", Message: "m"}}
	r.Warnings = []Problem{{File: "w", Line: 3, Pointer: "/nullable", Message: "is ignored"}}
	r.Summary = Summary{Dir: "schemas", Against: "origin/main", Compatibility: Backward, EventTypes: 3, Versions: 4}
	r.count()
	require.JSONEq(t, `{
		"problems": [{"file": "f", "pointer": "", "message": "m"}],
		"warnings": [{"file": "w", "line": 3, "pointer": "/nullable", "message": "is ignored"}],
		"changes": [{
			"severity": "error", "event_type": "orders.placed", "version": "v1", "kind": "schema", "verdict": "breaking",
			"direction": "backward", "file": "schemas/orders.placed/v1.json", "line": 7, "pointer": "/required", "keyword": "required",
			"message": "the member \"note\" is required now", "witness": {"orderId": "<o>"}
		}],
		"summary": {
			"ok": false, "dir": "schemas", "against": "origin/main", "compatibility": "backward", "event_types": 3, "versions": 4,
			"problems": 1, "errors": 1, "warnings": 1, "notes": 0
		}
	}`, written(t, JSON, r))
	require.Contains(t, written(t, JSON, r), "<o>", "no escapes for HTML")
	empty := &Result{Problems: []Problem{}, Warnings: []Problem{}, Changes: []Change{}}
	require.Contains(t, written(t, JSON, empty), "\"problems\": [],\n  \"warnings\": [],\n  \"changes\": [],", "lists, not null")
}

func TestWriteRefusesAnUnknownFormat(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, Write(&bytes.Buffer{}, "xml", &Result{}), `there is no format "xml"`)
}

func TestEveryMemberOfTheReportIsDocumented(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../../docs/schemas.md")
	require.NoError(t, err)
	for _, part := range []any{Result{}, Problem{}, Change{}, Summary{}} {
		for i := range reflect.TypeOf(part).NumField() {
			name, _, _ := strings.Cut(reflect.TypeOf(part).Field(i).Tag.Get("json"), ",")
			require.True(t, strings.Contains(string(docs), "`"+name+"`") || strings.Contains(string(docs), "`"+name+"[]`"), name)
		}
	}
}
