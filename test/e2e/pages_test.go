//go:build integration

package e2e

import (
	"encoding/json"
	"html"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPagesAreTrue posts each example of the description to its path, and pastes
// each curl line of the landing page.
func TestPagesAreTrue(t *testing.T) {
	g := startDev(t)
	origin := "http://" + regexp.MustCompile(`http://(\S+?)/`).FindStringSubmatch(g.curl)[1]
	page := func(path, accept string) []byte {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, origin+path, nil)
		require.NoError(t, err)
		req.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		require.Equal(t, http.StatusOK, resp.StatusCode)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return text
	}
	var doc struct {
		Paths map[string]struct {
			Post struct {
				OperationID string `json:"operationId"`
				RequestBody struct {
					Content map[string]struct {
						Examples map[string]struct{ Value json.RawMessage }
					}
				} `json:"requestBody"`
			}
		}
	}
	require.NoError(t, json.Unmarshal(page("/openapi.json", "*/*"), &doc))
	posted := 0
	for path, item := range doc.Paths {
		if !strings.HasPrefix(item.Post.OperationID, "publish_") {
			continue
		}
		for name, example := range item.Post.RequestBody.Content["application/json"].Examples {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, origin+path, strings.NewReader(string(example.Value)))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Idempotency-Key", "example-"+item.Post.OperationID+name)
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusAccepted, resp.StatusCode, "%s %s: %s", path, name, text)
			posted++
		}
	}
	require.Greater(t, posted, 5, "examples were not found")

	lines := regexp.MustCompile(`(?s)<pre><code>(curl .*?)</code>`).FindAllStringSubmatch(string(page("/", "text/html")), -1)
	require.GreaterOrEqual(t, len(lines), 5)
	for _, line := range lines {
		pasted := html.UnescapeString(line[1])
		require.Contains(t, pasted, origin)
		out, err := exec.CommandContext(t.Context(), "bash", "-c", pasted).Output()
		require.NoError(t, err, pasted)
		require.True(t, strings.HasPrefix(string(out), "HTTP/1.1 202 "), "%s\n%s", pasted, out)
	}
	http.DefaultClient.CloseIdleConnections()
	g.stop(t)
}
