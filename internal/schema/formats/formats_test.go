package formats

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The public JSON Schema tests (internal/schema, TestSuite) hold each format to many
// more strings; these are their neighbours.
func TestFormats(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	for name, c := range map[string]struct{ valid, invalid []string }{
		"uri-template": {
			[]string{
				"https://api.example.com/keys{/key_id}", "{?x}", "{#x}", "{v:1000}", "{+path}/here", "{;x,y}", "{&x*}", "{.dom*}",
				"/{a%20b.c}", "{/var:1,var}", "{=reserved}", "%C3%A9", "é",
			},
			[]string{"{", "}", "{a", "a}", "{{a}}", "{a}}", "{a b}", "{a-b}", "{a:}", "{a:b}", "{a:1*}", "{a**}", "{/}", "{.a.}", "%", "%4", "<a>", "a\\b", "a|b", "\u0000"},
		},
		"uri": {
			[]string{"a:", "a:b", "https://example.com", "https://[::1]:8080/", "http://u:p@h:1/p?q=1#f", "urn:isbn:1", "mailto:a@b.c", "http:///", "file:///a", "http://h?q/?#/?", "http://[v7.a:b]"},
			[]string{
				"", "a", "//h", ":a", "1a:b", "http://h/{id}", "http://h/a b", "http://h/é", "http://[::1", "http://[::1]a", "http://[fe80::1%25en0]/",
				"http://h:8080x", "http://a@b@c", "http://h/%zz", "http://h/#a#b", "http://h/\u0000", "http://h/\n",
			},
		},
		"uri-reference": {
			[]string{"", "a", "/a", "?q", "#f", "//h/p", "a/b:c", "./a:b", "a:b", "..", "%41"},
			[]string{"é", "1:b", ":", "a b", "{a}", "[a]", "a\\b", "%", "##"},
		},
		"iri":                   {[]string{"http://ü.de/é?é#é", "http://h/?\uE000"}, []string{"", "é", "http://h/\uE000", "http://h/ ", "http://h/\uFFFE", "http://h/\xff"}},
		"iri-reference":         {[]string{"", "é", "/é", "#é"}, []string{"é b", "\\é", "#\uE000"}},
		"ipv4":                  {[]string{"1.2.3.4", "0.0.0.0", "255.255.255.255"}, []string{"+1.2.3.4", "00.1.2.3", "01.2.3.4", "1.2.3", "1.2.3.4.", "1.2.3.256", "1.2.3.0x4", "1.2.3.٤", "", "1.2.3.4\n"}},
		"ip-address":            {[]string{"1.2.3.4"}, []string{"00.1.2.3"}},
		"ipv6":                  {[]string{"::", "::1", "1::8", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8", "ABCD::"}, []string{"", ":", "1", "1.2.3.4", "::1%en0", "1:2:3:4:5:6:7:8:9", "::ffff:01.2.3.4", "::ffff:1.2.3", "12345::", "::1::", "[::1]"}},
		"hostname":              {[]string{"a", "a.b", "1.2", "a-b", "A.B", long + ".a", "xn--bcher-kva.example"}, []string{"", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", "é", long + "a", strings.Repeat("a.", 127) + "a", "xn--a", "a\n"}},
		"idn-hostname":          {[]string{"bücher.example", "a。b", "例え.テスト", "א.ב", "EXAMPLE.com"}, []string{"", "bücher.", "bu\u0308cher", "ａ.b", "☃.example", "a b", "aא", strings.Repeat("ü", 63)}},
		"email":                 {[]string{"a@b", "a.b@c.d", `"a b"@c`, `"\""@c`, `""@c`, "a@[1.2.3.4]", "a@[IPv6:::1]", "a+b@c.d"}, []string{"", "@", "a", "a@", "@b", "a@b.", "a@-b", "a..b@c", ".a@b", "a b@c", "é@b", "a@é", "a@[1.2.3]", "a@[::1]", `"a@b`, `"a"b"@c`, strings.Repeat("a", 65) + "@b"}},
		"idn-email":             {[]string{"é@ü.de", `"é"@b`, "a@b"}, []string{"", "é", "é@", "é b@c", "é@-ü", "é@ü b"}},
		"json-pointer":          {[]string{"", "/", "/a/b", "/~0~1", "//"}, []string{"a", "#/a", "/~", "/~2", "/a~"}},
		"relative-json-pointer": {[]string{"0", "1/a", "0#", "10/~0", "2/"}, []string{"", "-1", "+1", "01", "0a", "0##", "1/~", "/a", "0#/a"}},
		"date":                  {[]string{"2024-02-29", "0000-01-01"}, []string{"", "2023-02-29", "2023-13-01", "2023-00-01", "2023-1-01", "+023-01-01", "2023-01-01Z", "２023-01-01"}},
		"time":                  {[]string{"00:00:00Z", "23:59:60Z", "00:59:60+01:00", "12:00:00.5-00:00", "12:00:00z"}, []string{"", "12:00:00", "24:00:00Z", "12:60:00Z", "12:00:61Z", "12:00:60Z", "+1:00:00Z", "12:+1:00Z", "12:00:00.Z", "12:00:00,5Z", "12:00:00+0100", "12:00:00+24:00", "12:00:00+1:00"}},
		"date-time":             {[]string{"2026-11-23T09:14:05Z", "2026-11-23t09:14:05.123456789+05:30", "1998-12-31T15:59:60-08:00"}, []string{"", "2026-11-23", "2026-11-23 09:14:05Z", "2026-11-23T09:14:05", "2026-11-31T09:14:05Z", "2026-11-23T09:14Z", "2026-11-23T+9:14:05Z"}},
		"duration":              {[]string{"P1Y", "P1Y2M3DT4H5M6S", "PT1M", "P2W", "P0D"}, []string{"", "P", "PT", "P1", "1D", "P1Y2D", "PT1H2S", "P1W1D", "P1WT1H", "P1D2Y", "P1.5D", "-P1D", "PT1D", "P1DT", "p1d"}},
		"period":                {[]string{"2026-01-31T12:00:00Z/P1D", "P1D/2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z/2026-01-31T13:00:00Z"}, []string{"", "/", "P1D/P1D", "2026-01-31T12:00:00Z"}},
		"uuid":                  {[]string{"123e4567-e89b-12d3-a456-426614174000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"}, []string{"", "123e4567e89b12d3a456426614174000", "{123e4567-e89b-12d3-a456-426614174000}", "123e4567-e89b-12d3-a456-42661417400g", "123e4567-e89b-12d3-a456_426614174000"}},
		"regex":                 {[]string{"", "a", `^(?!\s*$).+`, `(a)\1`, `\cA`, `[^]`, `(?<n>a)\k<n>`, ".{1,1024}", `\p{Script=Greek}`, `\u{1F600}`, "(?i:a)"}, []string{"(", "[", "a**", "(?i)a", `\Z`, `\a`, "(?P<n>a)", `\1`, "a{2,1}", "+", `\u{110000}`, `\p{Nothing}`, "(?#a)"}},
	} {
		check := OfValue(name)
		require.NotNil(t, check, name)
		require.True(t, check(1), name)
		for _, s := range c.valid {
			require.True(t, check(s), "%s: %q is valid", name, s)
		}
		for _, s := range c.invalid {
			require.False(t, check(s), "%s: %q is invalid", name, s)
		}
	}
	require.Nil(t, Of("colour"))
	require.Nil(t, OfValue("colour"))
}

// FuzzFormats: what strangers send must neither panic nor take long, and wider formats are wider
// (compat relies on it).
func FuzzFormats(f *testing.F) {
	for _, s := range []string{"", "xn--bcher-kva", "א。0", "http://[::1]:1/%41?é#", "{/a:1}", "P1Y", "a@[IPv6:::1]", "(?<a>\\k<a>)", "l·l"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		valid := make(map[string]bool)
		for _, name := range Names() {
			valid[name] = Of(name)(s)
		}
		for _, inside := range [][2]string{
			{"uri", "uri-reference"},
			{"uri", "iri"},
			{"uri-reference", "iri-reference"},
			{"iri", "iri-reference"},
			{"email", "idn-email"},
			{"hostname", "idn-hostname"},
		} {
			require.False(t, valid[inside[0]] && !valid[inside[1]], "%q: every %s is an %s", s, inside[0], inside[1])
		}
	})
}
