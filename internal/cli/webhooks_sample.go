package cli

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	eventgateway "eventgateway"
	"eventgateway/internal/webhook"
)

const webhooksSampleUsage = `gateway webhooks sample SCHEME

Prints a sample delivery as a provider of this scheme would send it, but unsigned:
gateway webhooks send signs it. Headers that go with it are named on the error output.

  gateway webhooks sample stripe | gateway webhooks send stripe - -c gateway.yaml

`

// sampleHeaders are those of the samples whose type is not in their body.
var sampleHeaders = map[string]string{
	"github": "X-GitHub-Event: issues", "shopify": "X-Shopify-Topic: orders/create", "bitbucket": "X-Event-Key: repo:push",
}

// runWebhooksSample is `gateway webhooks sample`.
func runWebhooksSample(args []string, out, errOut io.Writer) error {
	fs := flag.NewFlagSet("webhooks sample", flag.ContinueOnError)
	fs.Usage = func() {
		_, _ = fmt.Fprintf(errOut, "%sSchemes: %s\n", webhooksSampleUsage, strings.Join(webhook.Schemes(), ", "))
	}
	scheme, err := parseFlagsAndName(fs, args, errOut)
	switch {
	case err != nil:
		return err
	case scheme == "":
		return usageError("name a scheme: " + strings.Join(webhook.Schemes(), ", "))
	case !slices.Contains(webhook.Schemes(), scheme):
		return usageError(fmt.Sprintf("there is no scheme %q; there are %s", scheme, strings.Join(webhook.Schemes(), ", ")))
	}
	if header, ok := sampleHeaders[scheme]; ok {
		fmt.Fprintf(errOut, "send it with --header %s\n", quoteShell(header))
	}
	_, err = out.Write(sampleOf(scheme))
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

// quoteShell makes one word of a text, for a shell.
func quoteShell(text string) string {
	plain := strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/:@%+=,") == ""
	if plain && text != "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
