package webhook

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func registering(t *testing.T, scheme string, c *Challenge) *Source {
	t.Helper()
	cfg := Config{Name: "src", Scheme: scheme, Secrets: []string{"s3cret"}, EventType: "a.b", Challenge: c, PublicURL: "https://events.example.com/x"}
	if scheme == "hmac" {
		cfg.HMAC = &HMAC{Header: "X-Signature"}
	}
	s, err := New(cfg)
	require.NoError(t, err)
	return s
}

// TestRegistration: how providers check the URL, as each documents it.
func TestRegistration(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("c", maxChallenge)
	meta := &Challenge{Token: "verify-me"}
	for name, c := range map[string]struct {
		scheme    string
		challenge *Challenge
		query     string
		header    http.Header
		body      string // "": no answer
		json      bool
		wrong     Reason // "": malformed-request
		none      bool   // this provider sends no challenge
	}{
		"Meta":                      {scheme: "meta", challenge: meta, query: "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=verify-me", body: "1158201444"},
		"Meta, another token":       {scheme: "meta", challenge: meta, query: "hub.mode=subscribe&hub.challenge=1&hub.verify_token=verify-m", wrong: WrongCredentials},
		"Meta, no token":            {scheme: "meta", challenge: meta, query: "hub.mode=subscribe&hub.challenge=1", wrong: WrongCredentials},
		"Meta, two tokens":          {scheme: "meta", challenge: meta, query: "hub.challenge=1&hub.verify_token=verify-me&hub.verify_token=x", wrong: WrongCredentials},
		"Meta, the secret":          {scheme: "meta", challenge: meta, query: "hub.challenge=1&hub.verify_token=s3cret", wrong: WrongCredentials},
		"Meta, no challenge":        {scheme: "meta", challenge: meta, query: "hub.verify_token=verify-me"},
		"Dropbox":                   {scheme: "dropbox", query: "challenge=a%26b%3Cc", body: "a&b<c"},
		"Dropbox, empty":            {scheme: "dropbox", query: "challenge="},
		"Dropbox, two":              {scheme: "dropbox", query: "challenge=a&challenge=b"},
		"Dropbox, the longest":      {scheme: "dropbox", query: "challenge=" + long, body: long},
		"Dropbox, too long":         {scheme: "dropbox", query: "challenge=" + long + "c"},
		"Dropbox, not UTF-8":        {scheme: "dropbox", query: "challenge=%ff"},
		"Dropbox, ill-formed":       {scheme: "dropbox", query: "challenge=%zz"},
		"Okta":                      {scheme: "okta", header: header("X-Okta-Verification-Challenge", `a"b`), body: `{"verification":"a\"b"}`, json: true},
		"Okta, no challenge":        {scheme: "okta"},
		"Okta, in the URL":          {scheme: "okta", query: "X-Okta-Verification-Challenge=a"},
		"Trello":                    {scheme: "trello", none: true}, // it asks HEAD
		"GitHub":                    {scheme: "github", query: "challenge=a", none: true},
		"one's own":                 {scheme: "hmac", challenge: &Challenge{At: "query:echo", TokenAt: "header:X-Token", Token: "t"}, query: "echo=a", header: header("X-Token", "t"), body: "a"},
		"one's own, another token":  {scheme: "hmac", challenge: &Challenge{At: "query:echo", TokenAt: "header:X-Token", Token: "t"}, query: "echo=a", header: header("X-Token", "u"), wrong: WrongCredentials},
		"one's own, JSON":           {scheme: "github", challenge: &Challenge{At: "header:x-challenge", Member: "challenge"}, header: header("X-Challenge", "a"), body: `{"challenge":"a"}`, json: true},
		"in the body, which is not": {scheme: "github", challenge: &Challenge{At: "/challenge"}, query: "challenge=a", none: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := registering(t, c.scheme, c.challenge)
			if c.header == nil {
				c.header = http.Header{}
			}
			answer, ok, err := s.Register(Request{Method: http.MethodGet, URL: "/v1/webhooks/src?" + c.query, Header: c.header})
			require.Equal(t, !c.none, ok)
			switch {
			case c.body != "":
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, answer.Status)
				require.Equal(t, c.body, string(answer.Body))
				require.Equal(t, c.json, answer.ContentType == "application/json")
			case c.none:
				require.NoError(t, err)
				require.Nil(t, answer)
			case c.wrong != "":
				requireRejection(t, err, c.wrong)
				require.NotContains(t, err.Error(), "verify-me")
			default:
				var e *event.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, event.MalformedRequest, e.Kind)
			}
		})
	}
}

// Some providers send the challenge by POST: Microsoft Graph in the URL, unsigned;
// others in the body, signed.
func TestChallengesByPost(t *testing.T) {
	t.Parallel()
	s := registering(t, "bearer", &Challenge{At: "query:validationToken"})
	in, err := s.Receive(Request{Method: http.MethodPost, URL: "/x?validationToken=" + url.QueryEscape("a b"), Header: http.Header{}}, now)
	require.NoError(t, err)
	require.Equal(t, "a b", string(in.Answer.Body))
	_, err = s.Receive(Request{Method: http.MethodPost, URL: "/x", Header: http.Header{}}, now)
	requireRejection(t, err, MissingHeader)

	s = registering(t, "github", &Challenge{At: "/0/data/validationCode", Member: "validationResponse"})
	r := Request{Method: http.MethodPost, URL: "/x", Header: header("X-GitHub-Event", "a"), Body: []byte(`[{"data":{"validationCode":"512d38b6"}}]`)}
	require.NoError(t, s.Sign(&r, "d", now))
	in, err = s.Receive(r, now)
	require.NoError(t, err)
	require.JSONEq(t, `{"validationResponse":"512d38b6"}`, string(in.Answer.Body))
	r.Header.Del("X-Hub-Signature-256")
	_, err = s.Receive(r, now)
	requireRejection(t, err, MissingHeader)
}

// Zoom's proof is over the secret that the request was signed with, and only for a
// request that is signed: otherwise strangers could have their own deliveries signed.
func TestZoomValidation(t *testing.T) {
	t.Parallel()
	const body = `{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1700000000000,"event":"endpoint.url_validation"}`
	s, err := New(Config{Name: "zoom", Scheme: "zoom", Secrets: []string{"another", "zoom-secret"}, EventType: "zoom.{type}"})
	require.NoError(t, err)
	// made: printf '%s' "v0:1700000000:$body" | openssl dgst -sha256 -hmac zoom-secret
	r := Request{Header: header("x-zm-request-timestamp", "1700000000", "x-zm-signature", "v0=60b4888a9ac138efe561f64791acb0cea3db8f71fdad6cc16b31ef86384f2235"), Body: []byte(body)}
	in, err := s.Receive(r, now)
	require.NoError(t, err)
	// made: printf '%s' qgg8vlvZRS6UYooatFL8Aw | openssl dgst -sha256 -hmac zoom-secret
	require.Equal(t, &Answer{
		Status: http.StatusOK, ContentType: "application/json",
		Body: []byte(`{"plainToken":"qgg8vlvZRS6UYooatFL8Aw","encryptedToken":"b17f0320a1322a509340a1a835b3d9edbc491f0b0790ed2d20d0604d39dfe922"}`),
	}, in.Answer)
	r.Header.Del("x-zm-signature")
	_, err = s.Receive(r, now)
	requireRejection(t, err, MissingHeader)
	_, err = s.Receive(Request{Header: header("x-zm-request-timestamp", "1700000000", "x-zm-signature", "v0="+zerosV1[3:]), Body: []byte(body)}, now)
	requireRejection(t, err, SignatureMismatch)
}

func TestReplies(t *testing.T) {
	t.Parallel()
	receipt := (*Reply)(nil)
	for name, c := range map[string]struct {
		scheme string
		reply  *Reply
		want   *Reply
	}{
		"GitHub":             {"github", nil, receipt},
		"Slack":              {"slack", nil, &Reply{Status: 200}},
		"Twilio":             {"twilio", nil, &Reply{Status: 200, ContentType: "text/xml; charset=utf-8", Body: `<?xml version="1.0" encoding="UTF-8"?><Response/>`}},
		"Mailgun":            {"mailgun", nil, &Reply{Status: 200, Receipt: true}},
		"Linear":             {"linear", nil, &Reply{Status: 200, Receipt: true}},
		"Slack, the receipt": {"slack", &Reply{Receipt: true}, &Reply{Status: 202, Receipt: true}},
		"no content":         {"twilio", &Reply{Status: 204, Receipt: true}, &Reply{Status: 204}},
		"a text":             {"github", &Reply{Body: "ok"}, &Reply{Status: 200, ContentType: "text/plain; charset=utf-8", Body: "ok"}},
		"TwiML":              {"twilio", &Reply{Body: "<Response><Reject/></Response>", ContentType: "application/xml"}, &Reply{Status: 200, ContentType: "application/xml", Body: "<Response><Reject/></Response>"}},
		"empty":              {"github", &Reply{}, &Reply{Status: 200}},
	} {
		cfg := sampleOf(t, c.scheme).cfg
		cfg.Name, cfg.Scheme, cfg.Secrets, cfg.EventType, cfg.Reply = "s", c.scheme, []string{"secret"}, "a.b", c.reply
		s, err := New(cfg)
		require.NoError(t, err, name)
		require.Equal(t, c.want, s.Reply(), name)
	}
}
