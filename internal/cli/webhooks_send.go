package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/webhook"
)

const (
	// sendMargin is how long to wait beyond kafka.delivery_timeout.
	sendMargin = 10 * time.Second
	// maxShownAnswer bounds how much of an answer is read, in bytes; a thousand
	// receipts fit.
	maxShownAnswer = 1 << 20
)

type webhooksSend struct {
	webhookFlags
	url, id string
	secret  int
}

func webhooksSendCommand() *cobra.Command {
	var s webhooksSend
	cmd := &cobra.Command{
		Use: "send SOURCE FILE -c FILE", Short: "sign a delivery as the provider would, and post it", Args: atMost(2),
		Long: `Signs a delivery as the provider would, with the source's first secret, and posts it
to the gateway. FILE is the delivery's body; - is the standard input. Without a
Content-Type header it is sent as JSON, or as a form if it looks like one.

If the scheme has the delivery's id in a header, the id is made from the body unless
--id gives another: the same file sent again is a redelivery. The exit status is 0 for
an answer that a provider takes for success, else 1.`,
		Example: `  gateway webhooks send stripe delivery.json -c gateway.yaml
  gateway webhooks send github delivery.json -c gateway.yaml --header "X-GitHub-Event: issues"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.setArgs(cmd, args); err != nil {
				return err
			}
			return s.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	s.define(cmd)
	flags := cmd.Flags()
	flags.StringVar(&s.url, "url", "", "`URL` to post to; default: http.listen of the configuration, /v1/webhooks/SOURCE")
	flags.StringVar(&s.id, "id", "", "`ID` of the delivery, if the scheme has it in a header")
	flags.IntVar(&s.secret, "secret", 1, "`NUMBER` of the secret to sign with, in the configuration's order")
	return cmd
}

func (s *webhooksSend) run(ctx context.Context, out, errOut io.Writer) error {
	cfg, w, err := s.load(os.Environ())
	if err != nil {
		return err
	}
	if s.secret < 1 || s.secret > len(w.Secrets) {
		return usageError(fmt.Sprintf("--secret is a number from 1 to %d: %s has %s", len(w.Secrets), w.Name, plural(len(w.Secrets), "secret")))
	}
	target, err := s.target(cfg)
	if err != nil {
		return err
	}
	body, err := readDelivery(s.file)
	if err != nil {
		return err
	}
	r := webhook.Request{Method: http.MethodPost, URL: target.RequestURI(), Header: s.headers, Body: body}
	if r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", mediaTypeOf(body))
	}
	if err := s.sign(&r, w, errOut); err != nil {
		return err
	}
	if path, err := url.Parse(r.URL); err == nil {
		target.RawQuery = path.RawQuery // some schemes put the signature there
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Kafka.DeliveryTimeout+sendMargin)
	defer cancel()
	a, err := post(ctx, target, r)
	if err != nil {
		return s.postAdvice(err, target)
	}
	a.print(out)
	fmt.Fprintf(out, "\n%s\n", a.meaning(cfg, w, r))
	if a.status/100 != 2 {
		return errReported
	}
	return nil
}

// target is the URL to post to.
func (s *webhooksSend) target(cfg *config.Config) (*url.URL, error) {
	if s.url != "" {
		u, err := url.Parse(s.url)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, usageError("--url is a full one: http://127.0.0.1:8080/v1/webhooks/" + s.source)
		}
		return u, nil
	}
	if _, port, err := net.SplitHostPort(cfg.HTTP.Listen); err != nil || port == "0" {
		return nil, usageError("http.listen names no port; say with --url where the gateway listens, as in http://127.0.0.1:8080/v1/webhooks/" + s.source)
	}
	return &url.URL{Scheme: schemeOf(cfg), Host: reachable(cfg.HTTP.Listen), Path: "/v1/webhooks/" + s.source}, nil
}

// sign adds the headers that the provider would add.
func (s *webhooksSend) sign(r *webhook.Request, w config.Webhook, errOut io.Writer) error {
	cfg := app.WebhookConfig(w)
	cfg.Secrets = cfg.Secrets[s.secret-1 : s.secret]
	source, err := newSource(cfg)
	if err != nil {
		return err
	}
	headers := idHeaders(source, *r, s.at)
	if s.id != "" && len(headers) == 0 {
		fmt.Fprintf(errOut, "note: --id goes into no header here; this source has the id elsewhere\n")
	}
	id := s.id
	for _, name := range headers {
		if id == "" {
			id = r.Header.Get(name)
		}
	}
	if id == "" {
		sum := sha256.Sum256(r.Body)
		id = hex.EncodeToString(sum[:16])
	}
	if err := source.Sign(r, id, s.at); err != nil {
		return fmt.Errorf("%w\nTo try such a source, have the provider send a test delivery, or add a second source with a scheme and a secret of your own", err)
	}
	return nil
}

// idHeaders are the headers into which the scheme puts a delivery's id.
func idHeaders(source *webhook.Source, r webhook.Request, at time.Time) (names []string) {
	const probe = "which-header-is-it"
	r.Header = http.Header{"Content-Type": r.Header["Content-Type"]}
	_ = source.Sign(&r, probe, at) // it sets these headers even when it then fails for others
	for name, values := range r.Header {
		if slices.Contains(values, probe) {
			names = append(names, name)
		}
	}
	return names
}

func post(ctx context.Context, target *url.URL, r webhook.Request) (*gatewayAnswer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	req.Header = r.Header.Clone()
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
		req.Header.Del("Host")
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxShownAnswer))
	if err != nil {
		return nil, err
	}
	return &gatewayAnswer{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

// postAdvice says what to do if no answer arrived.
func (s *webhooksSend) postAdvice(err error, target *url.URL) error {
	what := target.Redacted()
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens at %s: is the gateway running? Start it with gateway dev -c %s, or say with --url where it listens", what, s.config)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer from %s in time: is that the gateway, and does it reach Kafka and Redis? gateway check -c %s tells", what, s.config)
	}
	return fmt.Errorf("post to %s: %w", what, errors.Unwrap(err))
}
