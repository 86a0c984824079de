package api

import (
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func withProxies(ranges ...string) option {
	return func(c *Config, _ *Catalog) {
		for _, text := range ranges {
			c.TrustedProxies = append(c.TrustedProxies, netip.MustParsePrefix(text))
		}
	}
}

// Only client_address.go reads who is at the other end: fiber's own methods trust
// callers. Of the intake, linger.go counts connections by their address, and framing.go
// reads which version of HTTP a request has.
func TestOnlyOneFileAsksWhoCalls(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	others, err := filepath.Glob("../intake/*.go")
	require.NoError(t, err)
	require.NotEmpty(t, others)
	files = append(files, others...)
	asks := regexp.MustCompile(`\.(RemoteAddr|RemoteIP|Protocol|Secure|Hostname|BaseURL|IPs?|IsFromLocal|IsProxyTrusted|Subdomains)\(\)`)
	found := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || file == "../intake/linger.go" || file == "../intake/framing.go" {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		found[file] = asks.Match(text)
		require.Equal(t, file == "client_address.go", found[file], "%s: %s", file, asks.Find(text))
	}
	require.True(t, found["client_address.go"])
}

// The connections of these tests come from 127.0.0.1.
func TestWhoCallsBehindProxies(t *testing.T) {
	t.Parallel()
	trusted := withProxies("127.0.0.0/8", "10.0.0.0/8", "2001:db8::/32")
	others := withProxies("192.0.2.0/24")
	direct := `"remote":"127.0.0.1:`
	for name, c := range map[string]struct {
		with    option
		headers []string
		want    string // in the log line
		origin  string // in the page; "": that of the request
	}{
		"no proxies, spoofed":       {withProxies(), []string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example"}, direct, ""},
		"a stranger, spoofed":       {others, []string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example"}, direct, ""},
		"a stranger, as if trusted": {others, []string{"X-Forwarded-For: 192.0.2.7"}, direct, ""},
		"a trusted proxy":           {trusted, []string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: events.example.com"}, `"remote":"203.0.113.9"`, "https://events.example.com"},
		"the caller spoofs":         {trusted, []string{"X-Forwarded-For: 198.51.100.1, 203.0.113.9"}, `"remote":"203.0.113.9"`, ""},
		"it spoofs a trusted one":   {trusted, []string{"X-Forwarded-For: 10.1.1.1, 203.0.113.9"}, `"remote":"203.0.113.9"`, ""},
		"two proxies":               {trusted, []string{"X-Forwarded-For: 203.0.113.9, 10.1.2.3"}, `"remote":"203.0.113.9"`, ""},
		"two lines":                 {trusted, []string{"X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 203.0.113.9, 10.1.2.3"}, `"remote":"203.0.113.9"`, ""},
		"all are proxies":           {trusted, []string{"X-Forwarded-For: 10.9.9.9, 10.1.2.3"}, `"remote":"10.9.9.9"`, ""},
		"version 6":                 {trusted, []string{"X-Forwarded-For: 2001:DB9::7, 2001:db8::1"}, `"remote":"2001:db9::7"`, ""},
		"with ports":                {trusted, []string{"X-Forwarded-For: 203.0.113.9:4711, [2001:db8::1]:80"}, `"remote":"203.0.113.9"`, ""},
		"version 4 in 6":            {trusted, []string{"X-Forwarded-For: ::ffff:203.0.113.9, ::ffff:10.0.0.1"}, `"remote":"203.0.113.9"`, ""},
		"nonsense":                  {trusted, []string{"X-Forwarded-For: 203.0.113.9, unknown, 10.1.2.3"}, `"remote":"10.1.2.3"`, ""},
		"only nonsense":             {trusted, []string{"X-Forwarded-For: <script>"}, `"remote":"127.0.0.1"`, ""},
		"empty":                     {trusted, []string{"X-Forwarded-For: ,"}, `"remote":"127.0.0.1"`, ""},
		"none":                      {trusted, nil, `"remote":"127.0.0.1"`, ""},
		"Forwarded is not read":     {trusted, []string{"Forwarded: for=198.51.100.1;proto=https;host=evil.example"}, `"remote":"127.0.0.1"`, ""},
		"X-Real-IP is not read":     {trusted, []string{"X-Real-IP: 198.51.100.1"}, `"remote":"127.0.0.1"`, ""},
		"the last value counts":     {trusted, []string{"X-Forwarded-Proto: gopher, https", "X-Forwarded-Host: evil.example, events.example.com"}, `"remote":"127.0.0.1"`, "https://events.example.com"},
		"another scheme":            {trusted, []string{"X-Forwarded-Proto: javascript", "X-Forwarded-Host: events.example.com"}, `"remote":"127.0.0.1"`, "http://events.example.com"},
		"a host that is none":       {trusted, []string{"X-Forwarded-Host: $(reboot)"}, `"remote":"127.0.0.1"`, "http://127.0.0.1:8080"},
		"other headers of proxies":  {trusted, []string{"X-Forwarded-Protocol: https", "X-Forwarded-Ssl: on", "X-Url-Scheme: https"}, `"remote":"127.0.0.1"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			auth, good := withAuth(t)
			g := start(t, accepting, c.with, auth)
			g.post(t, c.headers...)
			require.Contains(t, g.log.String(), c.want)
			page := g.do(t, http.MethodGet, "/", "", append(c.headers, "Accept: text/html", "Authorization: Bearer "+good)...)
			if c.origin == "" {
				c.origin = "http://" + g.addr
			}
			require.Contains(t, string(page.body), "curl -i "+c.origin+"/v1/events/")
			require.NotContains(t, string(page.body), "evil")
		})
	}
}
