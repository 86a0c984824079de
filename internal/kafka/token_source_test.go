package kafka

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
)

// endpoint is a token endpoint. answer gets the number of the request, from 1.
func endpoint(t *testing.T, answer func(n int64, w http.ResponseWriter, r *http.Request)) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(asked.Add(1), w, r) }))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func askerOf(url string) tokenClient {
	return tokenClient{http: tokenHTTP(&tls.Config{}), endpoint: url, id: "gate/way", secret: "hunter2:%", scope: "kafka write"}
}

// jwtEnding is an unsigned token; the client does not look at signatures.
func jwtEnding(at time.Time) string {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	return part(`{"alg":"none"}`) + "." + part(fmt.Sprintf(`{"sub":"gateway","exp":%d}`, at.Unix())) + "."
}

func TestTokenRequest(t *testing.T) {
	t.Parallel()
	ends := time.Now().Add(time.Hour).Truncate(time.Second)
	url, _ := endpoint(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
		id, secret, ok := r.BasicAuth()
		if r.Method != http.MethodPost || !ok || id != "gate/way" || secret != "hunter2:%" ||
			r.PostFormValue("grant_type") != "client_credentials" || r.PostFormValue("scope") != "kafka write" {
			http.Error(w, "wrong request", http.StatusTeapot)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": jwtEnding(ends), "token_type": "Bearer", "expires_in": 7200})
	})
	got, err := askerOf(url).ask(t.Context())
	require.NoError(t, err)
	require.Equal(t, jwtEnding(ends), got.text)
	require.WithinDuration(t, ends, got.ends, 0, "its own claim is earlier than expires_in")
}

func TestTokenAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status       int
		answer, want string
	}{
		"refused":          {401, `{"error":"invalid_client","error_description":"no such\nclient"}`, `the token endpoint answers 401 "invalid_client: no such\nclient"`},
		"another error":    {500, `<html>`, "the token endpoint answers 500"},
		"elsewhere":        {307, "", "the token endpoint answers 307"},
		"not JSON":         {200, "secret-token", "the token endpoint's answer is not the JSON of RFC 6749"},
		"no token":         {200, `{"expires_in":60}`, "the token endpoint's answer has no access_token"},
		"no end":           {200, `{"access_token":"secret-token"}`, "the token endpoint's answer does not say when the token ends: it has no expires_in, and the token no exp claim"},
		"ended":            {200, `{"access_token":"` + jwtEnding(time.Now().Add(-time.Hour)) + `","expires_in":60}`, "the token has ended already; compare the clocks of this machine and of the token endpoint"},
		"too long a story": {400, `{"error":"` + strings.Repeat("x", 1000) + `"}`, `the token endpoint answers 400 "` + strings.Repeat("x", 200) + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := endpoint(t, func(n int64, w http.ResponseWriter, _ *http.Request) {
				if n > 1 {
					t.Error("a redirect was followed with the secret")
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.answer))
			})
			_, err := askerOf(url).ask(t.Context())
			require.EqualError(t, err, c.want)
			require.NotContains(t, err.Error(), "secret-token")
		})
	}
}

// TestTokenForever: lifetimes beyond what a duration holds.
func TestTokenForever(t *testing.T) {
	t.Parallel()
	got, err := tokenOf([]byte(`{"access_token":"x","expires_in":1e300}`), time.Now())
	require.NoError(t, err)
	require.True(t, got.ends.After(time.Now().AddDate(90, 0, 0)))
}

// TestTokenEndpointIsVerified: https.ca.pem names the endpoint's authority.
func TestTokenEndpointIsVerified(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"access_token":"x","expires_in":60}`))
	}))
	defer server.Close()
	server.Config.ErrorLog = nil
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for pem, want := range map[string]string{authority: "x", "": "certificate signed by unknown authority"} {
		properties := map[string]string{
			"security.protocol": "sasl_plaintext", "sasl.mechanisms": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.client.id": "i",
			"sasl.oauthbearer.client.secret": "s", "sasl.oauthbearer.token.endpoint.url": server.URL, "sasl.oauthbearer.extensions": "a=b, c=d=e", "https.ca.pem": pem,
		}
		client := franzClient(t, properties)
		mechanisms := client.OptValue(kgo.SASL).([]sasl.Mechanism)
		require.Len(t, mechanisms, 1)
		_, first, err := mechanisms[0].Authenticate(t.Context(), "")
		client.Close()
		if pem == "" {
			require.ErrorContains(t, err, want)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, "n,,\x01auth=Bearer x\x01a=b\x01c=d=e\x01\x01", string(first))
	}
}

// TestTokenIsCached: a token serves all connections of all clients until it is renewed,
// which happens before it ends and without a connection that waits for it.
func TestTokenIsCached(t *testing.T) {
	t.Parallel()
	renew := make(chan struct{})
	url, asked := endpoint(t, func(n int64, w http.ResponseWriter, r *http.Request) {
		if n == 2 {
			select {
			case <-renew:
			case <-r.Context().Done():
			case <-t.Context().Done():
			}
		}
		_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":%d}`, n, map[bool]int{true: 4, false: 3600}[n == 1])
	})
	s := newTokenSource(askerOf(url).ask, map[string]string{"a": "b"})
	s.OnNewClient(nil)
	s.OnNewClient(nil)
	for range 100 {
		auth, err := s.auth(t.Context())
		require.NoError(t, err)
		require.Equal(t, "token-1", auth.Token)
		require.Equal(t, map[string]string{"a": "b"}, auth.Extensions)
	}
	require.EqualValues(t, 1, asked.Load())
	require.Eventually(t, func() bool { return asked.Load() == 2 }, 10*time.Second, time.Millisecond, "renewed after four fifths")
	begun := time.Now()
	auth, err := s.auth(t.Context())
	require.NoError(t, err)
	require.Equal(t, "token-1", auth.Token, "it has a fifth of its life left")
	require.Less(t, time.Since(begun), tokenWait)
	s.OnClientClosed(nil) // the other client goes on
	close(renew)
	require.Eventually(t, func() bool {
		auth, err := s.auth(t.Context())
		return err == nil && auth.Token == "token-2"
	}, 10*time.Second, time.Millisecond)
	s.OnClientClosed(nil)
}

// TestTokenEndpointIsSlow: connections wait two seconds at most, and not at all if the
// client is closed; the goroutine ends with its client.
func TestTokenEndpointIsSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTokenSource(func(ctx context.Context) (token, error) {
			<-ctx.Done()
			return token{}, ctx.Err()
		}, nil)
		s.OnNewClient(nil)
		begun := time.Now()
		_, err := s.auth(t.Context())
		require.ErrorIs(t, err, errNoToken)
		require.Equal(t, tokenWait, time.Since(begun))
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		begun = time.Now()
		_, err = s.auth(ctx)
		require.ErrorIs(t, err, errNoToken)
		require.Equal(t, time.Millisecond, time.Since(begun))
		s.OnClientClosed(nil)
	})
}

// TestTokenEndpointFails: connections hear of it at once, a token that is still good is
// used up, and the endpoint is asked again.
func TestTokenEndpointFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		var asked atomic.Int32
		failure := fmt.Errorf("the token endpoint answers %d", 503)
		s := newTokenSource(func(context.Context) (token, error) {
			n := asked.Add(1)
			if broken.Load() {
				return token{}, failure
			}
			return token{text: fmt.Sprint(n), ends: time.Now().Add(100 * time.Second), life: 100 * time.Second}, nil
		}, nil)
		s.OnNewClient(nil)
		begun := time.Now()
		_, err := s.auth(t.Context())
		require.ErrorIs(t, err, failure)
		require.Zero(t, time.Since(begun))

		time.Sleep(time.Minute)
		synctest.Wait()
		require.Less(t, asked.Load(), int32(20), "it is asked again more and more seldom")
		broken.Store(false)
		time.Sleep(2 * tokenRetryMost)
		synctest.Wait()
		auth, err := s.auth(t.Context())
		require.NoError(t, err)

		broken.Store(true)
		time.Sleep(70 * time.Second)
		synctest.Wait()
		again, err := s.auth(t.Context())
		require.NoError(t, err)
		require.Equal(t, auth.Token, again.Token, "good until it is about to end")
		time.Sleep(40 * time.Second)
		synctest.Wait()
		_, err = s.auth(t.Context())
		require.ErrorIs(t, err, failure)
		s.OnClientClosed(nil)

		broken.Store(false)
		s.OnNewClient(nil)
		_, err = s.auth(t.Context())
		require.ErrorIs(t, err, failure, "until the next attempt ends")
		synctest.Wait()
		_, err = s.auth(t.Context())
		require.NoError(t, err, "a new client starts anew")
		s.OnClientClosed(nil)
	})
}

// TestTokenThatIsAboutToEnd: a connection waits for the next one; if it does not come,
// it is given the old one while that has some seconds left.
func TestTokenThatIsAboutToEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		const life, slow = 20 * time.Second, 5 * time.Second // renewed after 16 s, fresh for 18 s, usable for 19 s
		n := 0
		s := newTokenSource(func(ctx context.Context) (token, error) {
			n++
			one := token{text: fmt.Sprint(n), ends: time.Now().Add(life), life: life}
			if n == 2 {
				time.Sleep(slow)
			}
			return one, nil
		}, nil)
		s.OnNewClient(nil)
		for _, step := range []struct {
			at, waits time.Duration
			want      string
		}{
			{0, 0, "1"},
			{17900 * time.Millisecond, 0, "1"},
			{18001 * time.Millisecond, tokenWait, ""}, // at 20 s it is all but ended
			{20500 * time.Millisecond, 500 * time.Millisecond, "2"},
		} {
			time.Sleep(time.Until(start.Add(step.at)))
			synctest.Wait()
			begun := time.Now()
			auth, err := s.auth(t.Context())
			require.Equal(t, step.waits, time.Since(begun), step.at)
			require.Equal(t, step.want, auth.Token, step.at)
			require.Equal(t, step.want == "", err != nil, step.at)
		}
		s.OnClientClosed(nil)
	})
}
