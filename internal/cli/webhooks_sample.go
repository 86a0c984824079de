package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	eventgateway "eventgateway"
	"eventgateway/internal/webhook"
)

// sampleHeaders are the headers of samples whose type is not in their body.
var sampleHeaders = map[string]string{
	"github": "X-GitHub-Event: issues", "shopify": "X-Shopify-Topic: orders/create", "bitbucket": "X-Event-Key: repo:push",
}

func webhooksSampleCommand() *cobra.Command {
	schemes := strings.Join(webhook.Schemes(), ", ")
	return &cobra.Command{
		Use: "sample SCHEME", Short: "print a sample delivery, to send", Args: atMost(1), ValidArgs: webhook.Schemes(),
		Long: `Prints a sample delivery as a provider of this scheme would send it, but unsigned:
gateway webhooks send signs it. Headers to send with it are named on the error output.

Schemes: ` + schemes,
		Example: "  gateway webhooks sample stripe | gateway webhooks send stripe - -c gateway.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("name a scheme: " + schemes)
			}
			if !slices.Contains(webhook.Schemes(), args[0]) {
				return usageError(fmt.Sprintf("there is no scheme %q; there are %s", args[0], schemes))
			}
			return runWebhooksSample(args[0], cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

func runWebhooksSample(scheme string, out, errOut io.Writer) error {
	if header, ok := sampleHeaders[scheme]; ok {
		fmt.Fprintf(errOut, "send it with --header %s\n", quoteShell(header))
	}
	_, err := out.Write(sampleOf(scheme))
	return err
}

// sampleOf is a sample delivery.
func sampleOf(scheme string) []byte {
	for _, name := range []string{scheme + ".json", scheme + ".form"} {
		if data, err := eventgateway.Webhooks.ReadFile("examples/webhooks/" + name); err == nil {
			return data
		}
	}
	data, err := eventgateway.Webhooks.ReadFile("examples/webhooks/other.json")
	if err != nil {
		panic(err) // it is embedded
	}
	return data
}

// quoteShell makes a text one word of a shell's line.
func quoteShell(text string) string {
	plain := strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/:@%+=,") == ""
	if plain && text != "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
