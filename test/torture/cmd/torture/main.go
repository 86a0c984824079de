// Command torture breaks gateways, Kafka and Redis at random and checks that
// every event is in the log once. It exits with 1 if a rule was broken, with 2
// if it could not be checked.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"eventgateway/test/torture"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	o := torture.Defaults()
	fs := flag.NewFlagSet("torture", flag.ContinueOnError)
	o.Flags(fs)
	switch err := fs.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	result, err := torture.Run(ctx, o)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "torture:", err)
		return 2
	case len(result.Violations) > 0:
		return 1
	}
	return 0
}
