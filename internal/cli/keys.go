package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"eventgateway/internal/auth"
)

func keysNewCommand() *cobra.Command {
	var client string
	cmd := &cobra.Command{
		Use: "new", Short: "make an API key for a client", Args: atMost(0),
		Long: `Makes an API key. The key is shown only now. The configuration gets its hash, which
does not give the key away.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runKeysNew(client, cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&client, "client", "web", "`NAME` of the client, for the lines to paste")
	return cmd
}

func runKeysNew(client string, out io.Writer) error {
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
`, key, client, hash, key)
	return err
}
