package webhook

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// GitHub's type is in two places: the event in a header, the action in the body.
func TestTypesOfSeveralPlaces(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		types [][]string
		body  string
		want  string // "": its type is missing
	}{
		"both":              {[][]string{{"header:X-GitHub-Event", "/action"}}, `{"action":"opened"}`, "github.issues.opened"},
		"the second is not": {[][]string{{"header:X-GitHub-Event", "/action"}}, `{}`, "github.issues"},
		"a second of null":  {[][]string{{"header:X-GitHub-Event", "/action"}}, `{"action":null}`, "github.issues"},
		"the first is not":  {[][]string{{"/kind", "/action"}}, `{"action":"opened"}`, ""},
		"three":             {[][]string{{"/a", "/b", "/c"}}, `{"a":"x","c":"z/1"}`, "github.x.z.1"},
		"the first choice":  {[][]string{{"/kind"}, {"header:X-GitHub-Event", "/action"}}, `{"kind":"k","action":"opened"}`, "github.k"},
		"the second choice": {[][]string{{"/kind"}, {"header:X-GitHub-Event", "/action"}}, `{"action":"opened"}`, "github.issues.opened"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := New(Config{Name: "s", Scheme: "github", Secrets: []string{"x"}, EventType: "github.{type}", Types: c.types})
			require.NoError(t, err)
			r := Request{Method: http.MethodPost, Header: header("X-GitHub-Event", "issues"), Body: []byte(c.body)}
			require.NoError(t, s.Sign(&r, "d", now))
			in, err := s.Receive(r, now)
			require.NoError(t, err)
			require.Equal(t, c.want, in.Deliveries[0].EventType)
			require.Equal(t, c.want == "", in.Deliveries[0].Err != nil)
		})
	}
}

func TestIDsOfSeveralPlaces(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ids  [][]string
		body string
		want string
	}{
		"parts":               {[][]string{{"/a", "/b"}}, `{"a":"x:y","b":2}`, "x%3Ay:2"},
		"choices, the second": {[][]string{{"/a"}, {"/b"}}, `{"b":"2"}`, "2"},
		"choices, the hash":   {[][]string{{"/a"}, {"body-hash"}}, `{}`, hashOf(`{}`)},
		"none":                {[][]string{{"none"}}, `{"id":"1"}`, ""},
	} {
		s := bearerSource(t, func(cfg *Config) { cfg.ID, cfg.IDs, cfg.Type, cfg.EventType = "", c.ids, "", "a.b" })
		in, err := s.Receive(bearerRequest(c.body), now)
		require.NoError(t, err, name)
		require.Nil(t, in.Deliveries[0].Err, name)
		require.Equal(t, c.want, in.Deliveries[0].ID, name)
	}
	in, err := bearerSource(t, func(cfg *Config) { cfg.ID = "none" }).Receive(bearerRequest(`{`), now)
	require.NoError(t, err)
	require.NotNil(t, in.Deliveries[0].Err)
	require.Empty(t, in.Deliveries[0].ID, "also what cannot be published")
}

func TestKeysWithFallbacks(t *testing.T) {
	t.Parallel()
	pull := KeyRule{Parts: [][]string{{"/pull_request/number", "/issue/number"}}}
	for name, c := range map[string]struct {
		rule KeyRule
		body string
		want []string
	}{
		"no entity":               {KeyRule{}, `{}`, []string{}},
		"one":                     {KeyRule{Parts: [][]string{{"/id"}}}, `{}`, []string{"/id"}},
		"the first":               {pull, `{"pull_request":{"number":1},"issue":{"number":2}}`, []string{"/pull_request/number"}},
		"the second":              {pull, `{"issue":{"number":2}}`, []string{"/issue/number"}},
		"none, so the first":      {pull, `{}`, []string{"/pull_request/number"}},
		"the first is null":       {pull, `{"pull_request":{"number":null},"issue":{"number":2}}`, []string{"/issue/number"}},
		"the first is empty":      {pull, `{"pull_request":{"number":""},"issue":{"number":"x"}}`, []string{"/issue/number"}},
		"the first is a fraction": {pull, `{"pull_request":{"number":1.5},"issue":{"number":-0}}`, []string{"/issue/number"}},
		"the first is an object":  {pull, `{"pull_request":{"number":{}},"issue":{"number":false}}`, []string{"/issue/number"}},
		"of two parts":            {KeyRule{Parts: [][]string{{"/repo"}, {"/a", "/b"}}}, `{"repo":"r","b":"x"}`, []string{"/repo", "/b"}},
		"or none: a key":          {KeyRule{Parts: [][]string{{"/a", "/b"}}, Optional: true}, `{"b":"x"}`, []string{"/b"}},
		"or none: none":           {KeyRule{Parts: [][]string{{"/a", "/b"}}, Optional: true}, `{"c":"x"}`, nil},
		"no data":                 {pull, "", []string{"/pull_request/number"}},
		"or none, no data":        {KeyRule{Parts: [][]string{{"/a"}}, Optional: true}, "", []string{"/a"}},
	} {
		var data []byte
		if c.body != "" {
			data = []byte(c.body)
		}
		require.Equal(t, c.want, c.rule.Pointers(data), name)
	}
}

// Kinds of the scheme "hmac" that its configuration describes.
func TestGenericSignatures(t *testing.T) {
	t.Parallel()
	const body = chargeSucceeded
	const plain = "8b9bc87d62668dd398bbe58ae11eff44c4c20441fb6001dc41e53b86d3182b13" // of "1700000000."+body, see vectors
	list := HMAC{Header: "X-S", Signed: "{timestamp}.{body}", SignatureField: "v1", TimestampField: "t"}
	with := func(change func(*HMAC)) *HMAC { h := list; change(&h); return &h }
	same := func(*HMAC) {}
	const text, pemKey = "generic secret", "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAFExRqCIGw9+5aTejR8/evZk+6b+T86tZLerjHfK5TxU=\n-----END PUBLIC KEY-----\n"
	const edSignature = "ac3b1f96f1ba461437f7f6a0307125e9f3239ce047c1f56d5b082a80621a1f2729e804324f5b32e378ba96974d0c7a4b4105997231ce9a04bdd9c1df9f43cb02"
	ed := func(encoding string) *HMAC {
		return &HMAC{Header: "X-S", Algorithm: "ed25519", Signed: "{timestamp}{body}", Timestamp: "X-T", SecretEncoding: encoding}
	}
	for name, c := range map[string]struct {
		secret string
		hmac   *HMAC
		header string
		want   Reason // "": verified
	}{
		"list":                          {text, with(same), "t=1700000000,v1=" + plain, ""},
		"list, spaces":                  {text, with(same), " t=1700000000 , v1=" + plain + " ", ""},
		"list, other names":             {text, with(same), "x=1,t=1700000000,v0=zz,v1=" + plain + ",", ""},
		"list, in another order":        {text, with(same), "v1=" + plain + ",t=1700000000", ""},
		"list, ill-formed ones":         {text, with(same), "t=1700000000,v1=,v1=zz,v1,v1=00,v1=" + plain, ""},
		"list, another beside it":       {text, with(same), "t=1700000000,v1=" + zerosV1[3:] + ",v1=" + plain, ""},
		"list, no timestamp":            {text, with(same), "v1=" + plain, MalformedHeader},
		"list, two timestamps":          {text, with(same), "t=1700000000,t=1700000000,v1=" + plain, MalformedHeader},
		"list, another timestamp":       {text, with(same), "t=1700000001,v1=" + plain, SignatureMismatch},
		"list, an old timestamp":        {text, with(same), "t=1600000000,v1=" + plain, TimestampTooOld},
		"list, no signature":            {text, with(same), "t=1700000000", MalformedHeader},
		"list, another name":            {text, with(same), "t=1700000000,v2=" + plain, MalformedHeader},
		"list, another separator":       {text, with(func(h *HMAC) { h.Separator = ";" }), "t=1700000000;v1=" + plain, ""},
		"list, prefix of each":          {text, with(func(h *HMAC) { h.Prefix = "sha256:" }), "t=1700000000,v1=" + plain + ",v1=sha256:" + plain, ""},
		"list, without the prefix":      {text, with(func(h *HMAC) { h.Prefix = "sha256:" }), "t=1700000000,v1=" + plain, MalformedHeader},
		"signatures only":               {text, with(func(h *HMAC) { h.SignatureField, h.TimestampField, h.Timestamp, h.Separator = "", "", "X-T", "," }), "zz," + zerosV1[3:] + ", " + plain, ""},
		"names, timestamp elsewhere":    {text, with(func(h *HMAC) { h.TimestampField, h.Timestamp = "", "X-T" }), "v1=" + zerosV1[3:] + ",v1=" + plain, ""},
		"secret in hex":                 {"67656e6572696320736563726574", with(func(h *HMAC) { h.SecretEncoding = "hex" }), "t=1700000000,v1=" + plain, ""},
		"secret in hex, upper case":     {"67656E6572696320736563726574", with(func(h *HMAC) { h.SecretEncoding = "hex" }), "t=1700000000,v1=" + plain, ""},
		"secret in base64":              {"Z2VuZXJpYyBzZWNyZXQ=", with(func(h *HMAC) { h.SecretEncoding = "base64" }), "t=1700000000,v1=" + plain, ""},
		"secret in base64, no padding":  {"Z2VuZXJpYyBzZWNyZXQ", with(func(h *HMAC) { h.SecretEncoding = "base64" }), "t=1700000000,v1=" + plain, ""},
		"hex taken as text":             {"67656e6572696320736563726574", with(same), "t=1700000000,v1=" + plain, SignatureMismatch},
		"ed25519, hex":                  {"144c51a82206c3dfb96937a347cfdebd993ee9bf93f3ab592deae31df2b94f15", ed(""), edSignature, ""},
		"ed25519, base64":               {"FExRqCIGw9+5aTejR8/evZk+6b+T86tZLerjHfK5TxU=", ed("base64"), edSignature, ""},
		"ed25519, DER":                  {"MCowBQYDK2VwAyEAFExRqCIGw9+5aTejR8/evZk+6b+T86tZLerjHfK5TxU=", ed("base64"), edSignature, ""},
		"ed25519, PEM":                  {pemKey, ed(""), edSignature, ""},
		"ed25519, another signature":    {pemKey, ed(""), edSignature[:126] + "03", SignatureMismatch},
		"ed25519, an HMAC's length":     {pemKey, ed(""), plain, MalformedHeader},
		"token":                         {"t0ken", &HMAC{Header: "X-S", Algorithm: "token"}, "t0ken", ""},
		"token, another":                {"t0ken", &HMAC{Header: "X-S", Algorithm: "token"}, "t0ke", WrongCredentials},
		"token, a prefix":               {"t0ken", &HMAC{Header: "X-S", Algorithm: "token", Prefix: "Token "}, "Token t0ken", ""},
		"token, without the prefix":     {"t0ken", &HMAC{Header: "X-S", Algorithm: "token", Prefix: "Token "}, "t0ken", MalformedHeader},
		"token, in Authorization alone": {"t0ken", &HMAC{Header: "X-S", Algorithm: "token"}, "", MissingHeader},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := New(Config{Name: "s", Scheme: "hmac", Secrets: []string{c.secret}, EventType: "a.b", HMAC: c.hmac})
			require.NoError(t, err)
			_, err = s.Receive(Request{Header: header("X-S", c.header, "X-T", "1700000000", "Authorization", "t0ken"), Body: []byte(body)}, now)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			requireRejection(t, err, c.want)
		})
	}
}

func TestGenericFaults(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		secret string
		hmac   HMAC
	}{
		`secrets: the first must be in hex`:                        {"0g", HMAC{SecretEncoding: "hex"}},
		`secrets: the first must be in base64`:                     {"%", HMAC{SecretEncoding: "base64"}},
		`hmac.secret_encoding: "rot13" must be "text", "hex" or`:   {"x", HMAC{SecretEncoding: "rot13"}},
		`secrets: the first must be the provider's ed25519 public`: {"x", HMAC{Algorithm: "ed25519"}},
		`hmac.secret_encoding: must be "hex" or "base64" for`:      {"x", HMAC{Algorithm: "ed25519", SecretEncoding: "text"}},
		`hmac.signature_field: is missing; beside t=`:              {"x", HMAC{TimestampField: "t", Signed: "{timestamp}{body}"}},
		`hmac.timestamp_field: is the name of the signature`:       {"x", HMAC{TimestampField: "t", SignatureField: "t", Signed: "{timestamp}{body}"}},
		`hmac.signature_field: "v1=" must be the name before`:      {"x", HMAC{SignatureField: "v1="}},
		`hmac.timestamp: is given beside hmac.timestamp_field`:     {"x", HMAC{TimestampField: "t", SignatureField: "v1", Timestamp: "X-T", Signed: "{timestamp}{body}"}},
		`hmac.signed: must have {timestamp}; without it anybody`:   {"x", HMAC{TimestampField: "t", SignatureField: "v1"}},
		`hmac.signed: is not for the algorithm "token"`:            {"x", HMAC{Algorithm: "token", Signed: "{body}"}},
		`hmac.secret_encoding: is not for the algorithm "token"`:   {"x", HMAC{Algorithm: "token", SecretEncoding: "hex"}},
	} {
		c.hmac.Header = "X-S"
		_, err := New(Config{Name: "s", Scheme: "hmac", Secrets: []string{c.secret}, EventType: "a.b", HMAC: &c.hmac})
		require.ErrorContains(t, err, want)
		require.NotContains(t, strings.ReplaceAll(err.Error(), "%!", ""), "0g")
	}
}

func TestReplyAndChallengeFaults(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"answer.status: 302 must be from 200 to 299":     func(c *Config) { c.Reply = &Reply{Status: 302} },
		"answer.body: must be empty with the status 204": func(c *Config) { c.Reply = &Reply{Status: 204, Body: "x"} },
		`answer.content_type: "a b" must be a media`:     func(c *Config) { c.Reply = &Reply{Body: "x", ContentType: "a b"} },
		`challenge.at: "" must be "query:name"`:          func(c *Config) { c.Challenge = &Challenge{Token: "x"} },
		`challenge.at: "query:" must be`:                 func(c *Config) { c.Challenge = &Challenge{At: "query:"} },
		`challenge.at: "header:a b" must be`:             func(c *Config) { c.Challenge = &Challenge{At: "header:a b"} },
		`challenge.at: "/~2" is not a JSON Pointer`:      func(c *Config) { c.Challenge = &Challenge{At: "/~2"} },
		"challenge.token_at: is missing":                 func(c *Config) { c.Challenge = &Challenge{At: "query:a", Token: "x"} },
		`challenge.token_at: "b" must be`:                func(c *Config) { c.Challenge = &Challenge{At: "query:a", Token: "x", TokenAt: "b"} },
		"challenge.token: is missing; it is what the":    func(c *Config) { c.Challenge = &Challenge{At: "query:a", TokenAt: "query:b"} },
		"challenge.token: is not for a challenge in":     func(c *Config) { c.Challenge = &Challenge{At: "/a", Token: "x", TokenAt: "query:b"} },
		"challenge.token: is missing; it is what you":    func(c *Config) { c.Scheme = "meta" },
		"id: has a choice without a place":               func(c *Config) { c.IDs = [][]string{{}} },
		`type: "none" is neither`:                        func(c *Config) { c.Types = [][]string{{"none"}} },
		"type: a hash names no type":                     func(c *Config) { c.Types = [][]string{{"/a", "body-hash"}} },
	} {
		cfg := Config{Name: "s", Scheme: "github", Secrets: []string{"x"}, EventType: "a.b"}
		change(&cfg)
		_, err := New(cfg)
		require.ErrorContains(t, err, want)
	}
}
