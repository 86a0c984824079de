package api

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
)

// Every row of the contract's table. retryable and retryAfter are those of a
// request with a key.
var contract = map[event.Kind]struct {
	status     int
	outcomes   []event.Outcome
	retryable  bool
	retryAfter string
}{
	"malformed-json":                {400, notWritten, false, ""},
	"malformed-request":             {400, notWritten, false, ""},
	"idempotency-key-missing":       {400, notWritten, false, ""},
	"unauthenticated":               {401, notWritten, false, ""},
	"forbidden":                     {403, notWritten, false, ""},
	"unknown-source":                {404, notWritten, false, ""},
	"unknown-event-type":            {404, notWritten, false, ""},
	"not-found":                     {404, notWritten, false, ""},
	"method-not-allowed":            {405, notWritten, false, ""},
	"request-timeout":               {408, notWritten, true, ""},
	"request-in-progress":           {409, unknown, true, "1"},
	"event-too-large":               {413, notWritten, false, ""},
	"unsupported-media-type":        {415, notWritten, false, ""},
	"schema-violation":              {422, notWritten, false, ""},
	"key-missing":                   {422, notWritten, false, ""},
	"idempotency-key-reused":        {422, notWritten, false, ""},
	"held-back":                     {424, notWritten, true, ""},
	"rate-limited":                  {429, notWritten, true, "1"},
	"headers-too-large":             {431, notWritten, false, ""},
	"internal":                      {500, either, true, ""},
	"overloaded":                    {503, notWritten, true, "1"},
	"log-unavailable":               {503, notWritten, true, "1"},
	"idempotency-store-unavailable": {503, notWritten, true, "1"},
	"outcome-unknown":               {504, unknown, true, "1"},
}

func TestProblemTableIsTheContract(t *testing.T) {
	t.Parallel()
	titles := map[string]event.Kind{}
	for kind, p := range problems {
		want, ok := contract[kind]
		require.True(t, ok, "%s is not in the contract", kind)
		require.Equal(t, want.status, p.status, kind)
		require.Equal(t, want.outcomes, p.outcomes, kind)
		require.Equal(t, want.retryable, p.retryable, kind)
		require.NotEmpty(t, p.meaning, kind)
		require.NotEmpty(t, p.action, kind)
		require.NotEmpty(t, p.title, kind)
		require.Empty(t, titles[p.title], "%s has the same title", kind)
		titles[p.title] = kind
	}
	require.Len(t, problems, len(contract))
}

func TestErrorsOfTheDoorBecomeProblems(t *testing.T) {
	t.Parallel()
	const cause = "dial tcp 10.1.2.3:9092: secret"
	for kind, want := range contract {
		for _, outcome := range want.outcomes {
			t.Run(string(kind)+" "+string(outcome), func(t *testing.T) {
				t.Parallel()
				g := start(t, failing(&event.Error{
					Kind: kind, Outcome: outcome, Detail: "What the caller is told.", Err: errors.New(cause),
				}))
				for name, headers := range map[string][]string{
					"no key": nil, "key": {"Idempotency-Key: k"}, "ce-id": {"ce-id: 1"},
				} {
					keyed := headers != nil
					a := g.post(t, headers...)
					p := a.problem(t)
					require.Equal(t, want.status, a.StatusCode, name)
					retryable := want.retryable && (keyed || outcome == event.NotWritten)
					require.Equal(t, problemDocument{
						Type: "/problems/" + string(kind), Title: problems[kind].title, Status: want.status,
						Detail: "What the caller is told.", Outcome: outcome, Retryable: retryable,
					}, p, name)
					retryAfter := want.retryAfter
					if !retryable {
						retryAfter = "" // many clients retry because of the header alone
					}
					require.Equal(t, retryAfter, a.Header.Get("Retry-After"), name)
					require.NotContains(t, string(a.body), "secret", name)
				}
				if want.status >= 500 {
					require.Contains(t, g.log.String(), cause, "the log must have the cause")
				}
			})
		}
	}
}

func TestViolationsAreListed(t *testing.T) {
	t.Parallel()
	violations := []event.Violation{
		{Pointer: "/items/0/quantity", Keyword: "minimum", Message: "must be at least 1"},
		{Pointer: "", Keyword: "required", Message: "lacks <currency>"},
	}
	e := event.Refuse(event.SchemaViolation, "2 violations")
	e.Violations = violations
	a := start(t, failing(e)).post(t)
	require.Equal(t, violations, a.problem(t).Errors)
}

func TestRetryAfterIsInWholeSecondsRoundedUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		asked time.Duration
		want  string
	}{
		"the kind's own":       {0, "1"},
		"less than the kind's": {10 * time.Millisecond, "1"},
		"rounded up":           {1001 * time.Millisecond, "2"},
		"a lease":              {31 * time.Second, "31"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := event.MaybeWritten(event.OutcomeUnknown, nil, "It is not known.")
			e.RetryAfter = c.asked
			a := start(t, failing(e)).post(t, "Idempotency-Key: k")
			require.Equal(t, c.want, a.Header.Get("Retry-After"))
		})
	}
}

func TestUnexpectedErrorsAreInternalAndUnknown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]door{
		"an error of no kind": failing(errors.New("secret")),
		"a kind that is not in the table": failing(&event.Error{
			Kind: "brand-new", Outcome: event.Unknown, Detail: "Told.", Err: errors.New("secret"),
		}),
		"a panic": func(ingest.Request) (ingest.Result, error) { panic("secret") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, c)
			for _, keyHeader := range []string{"", "Idempotency-Key: k", "ce-id: 1"} {
				headers := []string{keyHeader}
				if keyHeader == "" {
					headers = nil
				}
				a := g.post(t, headers...)
				p := a.problem(t)
				require.Equal(t, "/problems/internal", p.Type)
				require.Equal(t, http.StatusInternalServerError, p.Status)
				require.Equal(t, event.Unknown, p.Outcome, "it may have been written before")
				require.Equal(t, keyHeader != "", p.Retryable, keyHeader)
				require.NotContains(t, string(a.body), "secret")
			}
			require.Contains(t, g.log.String(), "secret")
		})
	}
}

func TestServerOutlivesAPanic(t *testing.T) {
	t.Parallel()
	var panicked bool
	g := start(t, func(r ingest.Request) (ingest.Result, error) {
		if !panicked {
			panicked = true
			panic("boom")
		}
		return accepting(r)
	})
	require.Equal(t, http.StatusInternalServerError, g.post(t).StatusCode)
	require.Equal(t, http.StatusAccepted, g.post(t).StatusCode)
	require.Contains(t, g.log.String(), "handler panicked")
}

// panicking is a catalog that fails on everything.
type panicking struct{ Catalog }

func TestPanicOnAGetHasWrittenNothing(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, withCatalog(panicking{}))
	p := g.do(t, http.MethodGet, "/v1/event-types", "").problem(t)
	require.Equal(t, "/problems/internal", p.Type)
	require.Equal(t, event.NotWritten, p.Outcome)
	require.True(t, p.Retryable)
}
