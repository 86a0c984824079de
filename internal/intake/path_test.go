package intake

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

func TestPathsAreNormalized(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		"/v1/events/orders.placed":             "/v1/events/orders.placed",
		"/v1/events/orders%2Eplaced":           "/v1/events/orders.placed",
		"/v1/events/orders%2eplaced":           "/v1/events/orders.placed",
		"/%76%31/events/%6Frders%2Eplaced":     "/v1/events/orders.placed",
		"/a%2Db%5Fc%7Ed%30":                    "/a-b_c~d0",
		"/v1/events%2Forders.placed":           "/v1/events%2Forders.placed",
		"/a%3Ab%25%20%C3%A9%00":                "/a%3Ab%25%20%C3%A9%00",
		"/%252E%2565":                          "/%252E%2565",
		"/a%":                                  "/a%",
		"/a%2":                                 "/a%2",
		"/a%2G%G2":                             "/a%2G%G2",
		"/%2E%2E/%2e":                          "/../.",
		"/a%41?x=%41#%41":                      "/aA",
		"http://h/v1/%65vents/orders%2Eplaced": "/v1/events/orders.placed",
	} {
		req := &fasthttp.Request{}
		req.Header.SetMethod("POST")
		req.Header.SetRequestURI(sent)
		normalizePath(req.URI())
		require.Equal(t, want, string(req.URI().PathOriginal()), sent)
		require.Equal(t, sent, string(req.Header.RequestURI()), "what was signed")
	}
}
