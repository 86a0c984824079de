package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
)

const schemasUsage = `gateway schemas check [flags]      do the event types load, and what did a change break
gateway schemas new TYPE [flags]   draft an event type from sample events

gateway schemas check --help and gateway schemas new --help list the flags.
docs/schemas.md explains both.
`

// runSchemas is `gateway schemas`: what can be done with a schemas folder
// without a gateway, Kafka or Redis.
func runSchemas(ctx context.Context, args []string, out, errOut io.Writer) error {
	if len(args) == 0 {
		return usageError("say what to do: gateway schemas check, or gateway schemas new TYPE --from sample.json")
	}
	switch args[0] {
	case "check":
		return runSchemasCheck(ctx, args[1:], out, errOut)
	case "new":
		return runSchemasNew(args[1:], out, errOut)
	case "-h", "-help", "--help", "help":
		_, _ = io.WriteString(errOut, schemasUsage)
		return flag.ErrHelp
	}
	return usageError(fmt.Sprintf("there is no %q; there are gateway schemas check and gateway schemas new", args[0]))
}
