package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"eventgateway/internal/config"
)

const (
	// healthcheckTimeout is long enough for /readyz to answer: it asks Kafka
	// for two seconds at most, and may first wait for another caller's check.
	healthcheckTimeout = 4500 * time.Millisecond
	// maxHealthAnswer bounds how much of an answer is shown, in bytes.
	maxHealthAnswer = 4 << 10
)

type healthcheckFlags struct {
	admin, file string
	ready       bool
}

func healthcheckCommand() *cobra.Command {
	var f healthcheckFlags
	cmd := &cobra.Command{
		Use: "healthcheck", Short: "exit 0 if the local gateway is alive", GroupID: groupRun, Args: atMost(0),
		Long: `Asks a gateway on this machine, or in this container, whether it is alive: the exit
status is 0 if it is, 1 if not. It needs no shell and no curl, so it serves as a
container's health check.

Alive is not ready: a gateway that waits for Kafka or Redis is alive, answers its
callers, and recovers without a restart. A restart would fix nothing and cut off
requests in flight. With --ready the status is 0 only if events are taken, too:
use it in what waits for a gateway or sends it traffic, not in what restarts it.

The address is --admin; else admin.listen of FILE and the environment; else
GATEWAY_ADMIN_LISTEN; else the default. A FILE that became invalid after the gateway
had read it fails this check as well: leave it out where a failure has consequences.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runHealthcheck(cmd.Context(), f, cmd.OutOrStdout()) },
	}
	configFlag(cmd, &f.file, "configuration `FILE` whose admin.listen to ask")
	cmd.Flags().BoolVar(&f.ready, "ready", false, "ask also whether events are taken")
	cmd.Flags().StringVar(&f.admin, "admin", "", "admin `ADDRESS` of the gateway to ask")
	return cmd
}

func runHealthcheck(ctx context.Context, f healthcheckFlags, out io.Writer) error {
	if f.admin != "" && f.file != "" {
		return usageError("give --admin or -c, not both")
	}
	target, err := adminAddress(f.admin, f.file, os.Environ())
	if err != nil {
		return err
	}
	path := "/livez"
	if f.ready {
		path = "/readyz"
	}
	return askHealth(ctx, "http://"+target+path, out)
}

// adminAddress is where a gateway with these settings answers health checks.
func adminAddress(given, file string, environ []string) (string, error) {
	listen := given
	if listen == "" {
		cfg, err := adminConfig(file, environ)
		if err != nil {
			return "", err
		}
		listen = cfg.Admin.Listen
	}
	_, port, err := net.SplitHostPort(listen)
	switch {
	case err != nil:
		return "", usageError(fmt.Sprintf("admin address %q is not host:port", listen))
	case port == "" || port == "0":
		return "", usageError(fmt.Sprintf("admin address %q does not name a port; say with --admin which one the gateway got", listen))
	}
	return reachable(listen), nil
}

// adminConfig is a configuration of which only admin.listen counts. Without a file it
// need not be valid: auth, for example, may be missing.
func adminConfig(file string, environ []string) (*config.Config, error) {
	if file != "" {
		return loadConfig(file, environ)
	}
	const variable = "GATEWAY_ADMIN_LISTEN"
	cfg := config.Defaults()
	for _, entry := range environ {
		if value, ok := strings.CutPrefix(entry, variable+"="); ok {
			if err := cfg.Set("admin.listen", variable, value); err != nil {
				return nil, fmt.Errorf("the environment cannot be used: %w", err)
			}
		}
	}
	return cfg, nil
}

// askHealth gets a URL, and returns an error unless the answer is 200.
func askHealth(ctx context.Context, url string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	// No proxy: the address is this machine's, whatever HTTP_PROXY says.
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer from %s within %v", url, healthcheckTimeout)
	case err != nil:
		return fmt.Errorf("no answer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHealthAnswer))
	if err != nil {
		return fmt.Errorf("read answer of %s: %w", url, err)
	}
	answer := strings.TrimSpace(string(body))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d: %s", url, resp.StatusCode, answer)
	}
	_, err = fmt.Fprintln(out, answer)
	return err
}
