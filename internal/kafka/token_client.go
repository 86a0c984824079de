package kafka

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// tokenTimeout bounds one request to the token endpoint.
	tokenTimeout = 5 * time.Second
	// mostTokenBytes bounds its answer. Tokens have a few KiB.
	mostTokenBytes = 256 << 10
	// mostReasonBytes bounds what is shown of its refusal.
	mostReasonBytes = 200
)

// tokenClient asks for access tokens with client credentials (RFC 6749 §4.4), in the
// form of librdkafka, whose clients use the same ones: id and secret are not
// form-encoded before they are put into the Authorization header.
type tokenClient struct {
	http                        *http.Client
	endpoint, id, secret, scope string
}

// tokenHTTP returns a client that follows no redirects: the secret is for the endpoint
// alone.
func tokenHTTP(config *tls.Config) *http.Client {
	return &http.Client{
		Timeout:       tokenTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:             http.ProxyFromEnvironment,
			TLSClientConfig:   config,
			DisableKeepAlives: true, // there are hours between two requests
		},
	}
}

func (c tokenClient) ask(ctx context.Context) (token, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if c.scope != "" {
		form.Set("scope", c.scope)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return token{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(c.id, c.secret)
	asked := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		return token{}, err
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostTokenBytes))
	if err != nil {
		return token{}, fmt.Errorf("read the answer of the token endpoint: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return token{}, fmt.Errorf("the token endpoint answers %d%s", resp.StatusCode, refusal(body))
	}
	return tokenOf(body, asked)
}

// refusal is the error of RFC 6749 §5.2, if the body has one.
func refusal(body []byte) string {
	var answer struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Error == "" {
		return ""
	}
	text := answer.Error
	if answer.Description != "" {
		text += ": " + answer.Description
	}
	return fmt.Sprintf(" %.*q", mostReasonBytes, text)
}

// tokenOf reads a successful answer. The token ends at the earlier of expires_in
// (RFC 6749 §5.1) and its own exp claim (RFC 7519 §4.1.4); one of them is required.
func tokenOf(body []byte, asked time.Time) (token, error) {
	var answer struct {
		AccessToken string  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"` // seconds
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return token{}, errors.New("the token endpoint's answer is not the JSON of RFC 6749") // its text may have the token
	}
	if answer.AccessToken == "" {
		return token{}, errors.New("the token endpoint's answer has no access_token")
	}
	ends := time.Time{}
	if answer.ExpiresIn > 0 {
		ends = asked.Add(seconds(answer.ExpiresIn))
	}
	if exp, ok := expiry(answer.AccessToken); ok && (ends.IsZero() || exp.Before(ends)) {
		ends = exp
	}
	switch {
	case ends.IsZero():
		return token{}, errors.New("the token endpoint's answer does not say when the token ends: it has no expires_in, and the token no exp claim")
	case !ends.After(asked):
		return token{}, errors.New("the token has ended already; compare the clocks of this machine and of the token endpoint")
	}
	return token{text: answer.AccessToken, ends: ends, life: ends.Sub(asked)}, nil
}

// expiry reads the exp claim of a JWT. The broker verifies the token, the client does
// not.
func expiry(jwt string) (time.Time, bool) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return time.Time{}, false
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Exp <= 0 {
		return time.Time{}, false
	}
	return time.Unix(0, 0).Add(seconds(claims.Exp)), true
}

// seconds is a time of at most a century: more would overflow a duration.
func seconds(n float64) time.Duration {
	const century = 100 * 365 * 24 * time.Hour
	return time.Duration(min(n, century.Seconds()) * float64(time.Second))
}
