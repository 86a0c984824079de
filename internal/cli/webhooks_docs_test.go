package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/webhook"
)

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// docsSecret is a secret in the form that the variable in an example stands for.
func docsSecret(t *testing.T, name string) string {
	t.Helper()
	switch name {
	case "SENDGRID_PUBLIC_KEY":
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		require.NoError(t, err)
		return base64.StdEncoding.EncodeToString(der)
	case "ADYEN_HMAC_KEY", "PIPELINE_KEY":
		return "44782DEF547AAA06C910C43932B1EB0C"
	case "WAREHOUSE_SECRET":
		return "user:password"
	}
	return "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
}

// docsSources are the sources of the examples in docs/webhooks.md.
func docsSources(t *testing.T) (sources []config.Webhook) {
	t.Helper()
	text, err := os.ReadFile("../../docs/webhooks.md")
	require.NoError(t, err)
	for _, block := range yamlBlock.FindAllSubmatch(text, -1) {
		var environ []string
		for _, name := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllSubmatch(block[1], -1) {
			environ = append(environ, string(name[1])+"="+docsSecret(t, string(name[1])))
		}
		file := filepath.Join(t.TempDir(), "gateway.yaml")
		require.NoError(t, os.WriteFile(file, append([]byte("auth: none\n"), block[1]...), 0o600))
		cfg, err := config.Load(file, environ)
		require.NoError(t, err, "%s", block[1])
		require.NotEmpty(t, cfg.Webhooks)
		sources = append(sources, cfg.Webhooks...)
	}
	return sources
}

// TestWebhookExamples checks docs/webhooks.md and examples/webhooks: each scheme has an
// example there, and its sample is accepted and becomes events.
func TestWebhookExamples(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{}
	for _, w := range docsSources(t) {
		require.Contains(t, webhook.Schemes(), w.Scheme)
		shown[w.Scheme] = true
		source, err := app.WebhookSource(w)
		require.NoError(t, err, "%s (%s)", w.Name, w.Scheme)
		body := sampleOf(w.Scheme)
		r := webhook.Request{Method: http.MethodPost, URL: "/v1/webhooks/" + w.Name, Header: http.Header{"Content-Type": {mediaTypeOf(body)}}, Body: body}
		f := webhookFlags{headers: r.Header}
		if header, ok := sampleHeaders[w.Scheme]; ok {
			require.NoError(t, f.header(header))
		}
		if err := source.Sign(&r, "d-1", time.Now()); err != nil {
			require.ErrorContains(t, err, "public key", w.Scheme)
			continue
		}
		intake, err := source.Receive(r, time.Now())
		require.NoError(t, err, w.Scheme)
		require.NotEmpty(t, intake.Deliveries, w.Scheme)
		for _, d := range intake.Deliveries {
			require.Nil(t, d.Err, w.Scheme)
			require.Contains(t, d.EventType, ".", w.Scheme)
		}
	}
	for _, scheme := range webhook.Schemes() {
		require.True(t, shown[scheme], "docs/webhooks.md has no example for the scheme %q", scheme)
	}
}

func TestSamples(t *testing.T) {
	t.Parallel()
	for _, scheme := range webhook.Schemes() {
		var out, errOut bytes.Buffer
		require.Zero(t, run([]string{"webhooks", "sample", scheme}, &out, &errOut), errOut.String())
		require.Equal(t, string(sampleOf(scheme)), out.String())
		require.NotEmpty(t, out.String())
	}
	var out, errOut bytes.Buffer
	require.Zero(t, run([]string{"webhooks", "sample", "github"}, &out, &errOut))
	require.Equal(t, "send it with --header 'X-GitHub-Event: issues'\n", errOut.String())
}
