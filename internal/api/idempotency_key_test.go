package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestParseIdempotencyKey(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 255)
	for name, c := range map[string]struct {
		header string
		want   string // "": refused
	}{
		"bare":                            {"6f0c9a52", "6f0c9a52"},
		"quoted is the same key":          {`"6f0c9a52"`, "6f0c9a52"},
		"one character":                   {"k", "k"},
		"spaces around":                   {" \tk ", "k"},
		"spaces around quotes":            {` "k" `, "k"},
		"space inside":                    {"a b", "a b"},
		"spaces inside quotes":            {`" k "`, " k "},
		"escaped quote":                   {`"a\"b"`, `a"b`},
		"escaped backslash":               {`"a\\b"`, `a\b`},
		"bare backslash":                  {`a\b`, `a\b`},
		"bare with a quote inside":        {`a"b`, `a"b`},
		"bare with a quote at the end":    {`a"`, `a"`},
		"255 characters":                  {long, long},
		"255 characters, quoted":          {`"` + long + `"`, long},
		"255 characters after unescaping": {`"` + strings.Repeat(`\"`, 255) + `"`, strings.Repeat(`"`, 255)},
		"last printable":                  {"~", "~"},
		"256 characters":                  {long + "k", ""},
		"256 characters, quoted":          {`"` + long + `k"`, ""},
		"empty":                           {"", ""},
		"blank":                           {"  ", ""},
		"empty string":                    {`""`, ""},
		"no closing quote":                {`"a`, ""},
		"a quote alone":                   {`"`, ""},
		"unescaped quote inside":          {`"a"b"`, ""},
		"escape of another character":     {`"a\b"`, ""},
		"escape at the end":               {`"a\"`, ""},
		"parameters":                      {`"a";p=1`, ""},
		"two strings":                     {`"a", "b"`, ""},
		"not ASCII":                       {"schlüssel", ""},
		"not ASCII, quoted":               {`"schlüssel"`, ""},
		"not UTF-8":                       {"a\xff", ""},
		"control character":               {"a\x01b", ""},
		"tab inside":                      {"a\tb", ""},
		"delete":                          {"a\x7f", ""},
		"a new line that got this far":    {"a\nb", ""},
		"null character in quotes":        {"\"a\x00\"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := parseIdempotencyKey(c.header)
			require.Equal(t, c.want != "", ok)
			require.Equal(t, c.want, got)
		})
	}
}

func TestIdentityOfARequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		headers []string
		want    event.Identity
	}{
		"none":          {nil, event.Identity{}},
		"key":           {[]string{`Idempotency-Key: "a\"b"`}, event.Identity{Kind: event.IdentityKey, Parts: []string{`a"b`}}},
		"ce-id":         {[]string{"ce-id: 1"}, event.Identity{Kind: event.IdentityCloudEvent, Parts: []string{"/clients/anonymous", "1"}}},
		"source and id": {[]string{"ce-id: 1", "ce-source: /shop"}, event.Identity{Kind: event.IdentityCloudEvent, Parts: []string{"/shop", "1"}}},
		"source alone":  {[]string{"ce-source: /shop"}, event.Identity{}},
		"both names":    {[]string{"Idempotency-Key: k", "X-Idempotency-Key: l"}, event.Identity{Kind: event.IdentityKey, Parts: []string{"k"}}},
		"another x-":    {[]string{"X-Idempotency-Key-Ttl: 5", "Idempotent-Replayed: true"}, event.Identity{}},
		"the key wins":  {[]string{"ce-id: 1", "Idempotency-Key: k"}, event.Identity{Kind: event.IdentityKey, Parts: []string{"k"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			require.Equal(t, http.StatusAccepted, start(t, d).post(t, c.headers...).StatusCode)
			require.Equal(t, c.want, (<-seen).Identity)
		})
	}
}

func TestIllFormedIdempotencyKeyHeaders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ headers, detail string }{
		"twice":                   {"Idempotency-Key: a\r\nIdempotency-Key: b", "2 times"},
		"twice the same":          {"Idempotency-Key: a\r\nidempotency-key: a", "2 times"},
		"empty":                   {"Idempotency-Key:", "ill-formed"},
		"empty with ce-id":        {"Idempotency-Key: \r\nce-id: 1", "ill-formed"},
		"raw bytes of no charset": {"Idempotency-Key: a\xff", "ill-formed"},
		"X-Idempotency-Key":       {"X-Idempotency-Key: k", "The header X-Idempotency-Key is not read here"},
		"in capitals":             {"X-IDEMPOTENCY-KEY: k", "Send its value as Idempotency-Key"},
		"misnamed and empty":      {"X-Idempotency-Key:", "Send its value as Idempotency-Key"},
		"with underscores":        {"Idempotency_Key: k", "Send its value as Idempotency-Key"},
		"in one word":             {"IdempotencyKey: k", "Send its value as Idempotency-Key"},
		"another word":            {"X-Idempotency-Token: k", "Send its value as Idempotency-Key"},
		"idempotent":              {"Idempotent-Key: k\r\nce-id: 1", "Send its value as Idempotency-Key"},
		"too long":                {"Idempotency-Key: " + strings.Repeat("k", 256), "1 to 255"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, accepting)
			w := g.dial(t)
			w.send(t, rawPost(c.headers, "{}"))
			requireRefused(t, w.answer(t), event.MalformedRequest, c.detail)
		})
	}
}

func FuzzParseIdempotencyKey(f *testing.F) {
	for _, s := range []string{"", "k", `"k"`, `"a\"b"`, `"a\\"`, `"a\`, `"`, `""`, " k ", "ü", "a\x00", `"a";p=1`, strings.Repeat("k", 256)} {
		f.Add(s)
	}
	escape := strings.NewReplacer(`"`, `\"`, `\`, `\\`)
	f.Fuzz(func(t *testing.T, header string) {
		key, ok := parseIdempotencyKey(header)
		if !ok {
			require.Empty(t, key)
			return
		}
		require.NotEmpty(t, key)
		require.LessOrEqual(t, len(key), 255)
		require.Regexp(t, `^[ -~]+$`, key)
		again, ok := parseIdempotencyKey(`"` + escape.Replace(key) + `"`)
		require.True(t, ok, "the quoted form of a good key must be good")
		require.Equal(t, key, again, "quoted and bare must be the same key")
	})
}
