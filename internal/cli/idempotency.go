package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
)

const idempotencyUsage = `gateway idempotency VERB -c FILE

  show KEY   what Redis holds for an idempotency key, and what that means
  rebuild    learn from Kafka which keyed events were written

gateway idempotency VERB --help lists a verb's flags.
`

// runIdempotency is `gateway idempotency`.
func runIdempotency(ctx context.Context, args []string, out, errOut io.Writer) error {
	const example = "gateway idempotency show -c gateway.yaml KEY, or gateway idempotency rebuild -c gateway.yaml"
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		if len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
			_, _ = io.WriteString(errOut, idempotencyUsage)
			return flag.ErrHelp
		}
		return usageError("say what to do: " + example)
	}
	switch verb, rest := args[0], args[1:]; verb {
	case "rebuild":
		return runRebuild(ctx, rest, out, errOut)
	case "show":
		return runShow(ctx, rest, out, errOut)
	default:
		return usageError(fmt.Sprintf("there is no verb %q: %s", verb, example))
	}
}
