package cloudevent

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSources(t *testing.T) {
	t.Parallel()
	for source, good := range map[string]bool{
		"/shop": true, "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66": true, "mailto:cncf-wg-serverless@lists.cncf.io": true, "Dapr": true,
		"//h": true, "?q": true, "#f": true, "http://[::1]:8080/": true, "http://größe/": true, "http://h/a%20b?c=%25#d": true, "http://u:p%40@h:": true,
		"http://ex%61mple/": true, "http://ex%61mple:8080/a?b#c": true, "//u@%41": true, "http://[v7.a:b]/": true, "http://[V1F.x]": true,
		":no": false, "1:2": false, "/%zz": false, "/a%": false, "http://[::1": false, "http://h:80a/": false, "http://ex%6/": false,
		"http://[v7.]/": false, "http://[vg.a]/": false, "http://ex%61mple/%zz": false, "http://%5B::1": false,
	} {
		var e Event
		require.Equal(t, good, e.Set("source", source) == "", source)
	}
}
