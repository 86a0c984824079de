package api

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestContentModes(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, withCatalog(fixed{typesOf(t, map[string]string{
		"plain/v1.json":  `{"x-event":{"key":null}}`,
		"said/v1.json":   `{"x-event":{"key":null,"content_mode":"binary"}}`,
		"whole/v1.json":  `{"x-event":{"key":null,"content_mode":"structured"}}`,
		"change/v1.json": `{"x-event":{"key":null,"content_mode":"structured"}}`,
		"change/v2.json": `{"x-event":{"key":null}}`,
	})}))
	for name, want := range map[string]string{"plain": "binary", "said": "binary", "whole": "structured", "change": "binary"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := g.do(t, http.MethodGet, "/v1/event-types/"+name, "")
			require.Equal(t, http.StatusOK, a.StatusCode)
			openAPI(t).requireDocumented(t, "GET /v1/event-types/{type}", a)
			var detail struct {
				ContentMode string `json:"content_mode"`
			}
			require.NoError(t, json.Unmarshal(a.body, &detail))
			require.Equal(t, want, detail.ContentMode)
		})
	}
}
