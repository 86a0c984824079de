package api

import (
	"encoding/json"
	"html"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// What browsers send.
const browserAccept = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"

func TestEveryProblemHasAPage(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	for kind := range contract {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			want := problems[kind]
			path := "/problems/" + string(kind)

			page := g.do(t, http.MethodGet, path, "", browserAccept)
			requireWebPage(t, page)
			for _, text := range []string{want.title, want.meaning, want.action} {
				require.Contains(t, html.UnescapeString(string(page.body)), text)
			}

			for _, accept := range []string{"Accept: application/json", "Accept: */*", "Accept: application/problem+json", "X-No-Accept: 1"} {
				a := g.do(t, http.MethodGet, path, "", accept)
				require.Equal(t, http.StatusOK, a.StatusCode)
				require.Equal(t, "application/json", a.Header.Get("Content-Type"), accept)
				require.Contains(t, a.Header.Get("Vary"), "Accept")
				var got problemPage
				require.NoError(t, json.Unmarshal(a.body, &got))
				require.Equal(t, problemPage{
					Type: path, Slug: kind, Status: want.status, Title: want.title, Outcomes: want.outcomes,
					Retryable: want.retryable, Meaning: want.meaning, Action: want.action,
				}, got)
			}
		})
	}
}

func TestListOfProblems(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	page := g.do(t, http.MethodGet, "/problems", "", browserAccept)
	requireWebPage(t, page)
	require.Contains(t, page.Header.Get("Vary"), "Accept")
	var list struct{ Problems []problemPage }
	require.NoError(t, json.Unmarshal(g.do(t, http.MethodGet, "/problems", "").body, &list))
	require.Len(t, list.Problems, len(contract))
	var last problemPage
	for _, p := range list.Problems {
		require.Contains(t, contract, p.Slug)
		require.Contains(t, string(page.body), `<a href="/problems/`+string(p.Slug)+`">`)
		require.True(t, last.Status < p.Status || last.Status == p.Status && last.Slug < p.Slug, "ordered by status and slug")
		last = p
	}
}

// requireWebPage holds a page to what keeps it harmless: it loads what the gateway
// serves and nothing else, and its own text is no script.
func requireWebPage(t *testing.T, a answer) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Equal(t, "text/html; charset=utf-8", a.Header.Get("Content-Type"))
	policy := a.Header.Get("Content-Security-Policy")
	require.True(t, strings.HasPrefix(policy, "default-src 'none'; "), policy)
	require.NotContains(t, policy, "unsafe")
	require.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
	require.Contains(t, string(a.body), "<!doctype html>")
}

func TestProblemTypesArePathsOfPages(t *testing.T) {
	t.Parallel()
	g := start(t, failing(event.Refuse(event.Overloaded, "Full.")))
	a := g.do(t, http.MethodGet, g.post(t).problem(t).Type, "")
	require.Equal(t, http.StatusOK, a.StatusCode)
}
