package cli

import (
	"context"
	"flag"
	"fmt"
	"io"

	"eventgateway/internal/auth"
)

const keysUsage = `gateway keys new [--client NAME]

Makes an API key. It is shown this once; the configuration gets its hash, from which
nobody can tell the key.

`

// runKeys is `gateway keys new`.
func runKeys(_ context.Context, args []string, out, errOut io.Writer) error {
	if len(args) == 0 || args[0] != "new" {
		if len(args) > 0 && (args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
			_, err := io.WriteString(out, keysUsage)
			return err
		}
		return usageError("say what to do: gateway keys new")
	}
	fs := flag.NewFlagSet("keys new", flag.ContinueOnError)
	fs.Usage = func() {
		_, _ = io.WriteString(errOut, keysUsage)
		fs.PrintDefaults()
	}
	client := fs.String("client", "web", "`NAME` of the client, for the lines to paste")
	if err := parseFlags(fs, args[1:], errOut); err != nil {
		return err
	}
	key, hash := auth.NewKey()
	_, err := fmt.Fprintf(out, `The key, for the client alone; it is not shown again:

  %s

Its hash, for the gateway's configuration, which is read again when it changes:

  auth:
    clients:
      - name: %s
        keys: [ { hash: "%s" } ]    # expires: 2027-01-01
        events: ["*"]                # or ["orders.*", …]

The client sends it with every request:  -H 'Authorization: Bearer %s'
`, key, *client, hash, key)
	return err
}
