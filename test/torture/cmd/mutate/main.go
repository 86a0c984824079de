// Command mutate breaks the gateway's code, one rule at a time, and shows that
// the torture suite reports a violation for each. It exits with 1 if a mutation was
// not found.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"eventgateway/test/services"
	"eventgateway/test/torture/mutations"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	fs := flag.NewFlagSet("mutate", flag.ContinueOnError)
	only := fs.String("only", "", "`NAMES` of mutations, separated by commas; none: all")
	clients := fs.String("clients", "", "`CLIENTS` that gateways produce with, separated by commas: each mutation is run with each whose code it breaks; none: kafka.client is not configured")
	limit := fs.Duration("limit", mutations.Limit, "of one mutation's run")
	seed := fs.Uint64("seed", 1, "of the faults of the first try")
	tries := fs.Uint64("tries", 3, "most runs of a mutation, each with the next seed: whether the faults of one run reveal it is chance")
	root := fs.String("root", "", "sources to mutate a copy of; none: this repository")
	verbose := fs.Bool("v", false, "show each run")
	switch err := fs.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if *root == "" {
		var err error
		if *root, err = services.RepoRoot(); err != nil {
			fmt.Fprintln(os.Stderr, "mutate:", err)
			return 2
		}
	}
	out := io.Discard
	if *verbose {
		out = os.Stdout
	}
	status := 0
	fmt.Printf("%-28s %-11s %-60s %s\n", "mutation", "client", "rule that it breaks", "found")
	for _, m := range mutations.Table() {
		if *only != "" && !strings.Contains(","+*only+",", ","+m.Name+",") {
			continue
		}
		for client := range strings.SplitSeq(*clients, ",") {
			if m.On(client) && !mutate(ctx, *root, m, client, *seed, *tries, *limit, out) {
				status = 1
			}
		}
	}
	return status
}

// mutate tries several seeds and reports whether one revealed the mutation.
func mutate(ctx context.Context, root string, m mutations.Mutation, client string, seed, tries uint64, limit time.Duration, out io.Writer) bool {
	for try := range tries {
		v := mutations.Run(ctx, root, m, client, seed+try, limit, out)
		fmt.Printf("%-28s %-11s %-60s seed %d: %s\n", m.Name, v.Client, m.Rule, seed+try, verdict(v))
		if v.Found() {
			return true
		}
	}
	return false
}

func verdict(v mutations.Verdict) string {
	switch {
	case v.Err != nil:
		return "ERROR: " + v.Err.Error()
	case v.Found():
		return fmt.Sprintf("yes: %d violations, %d faults, %d events, %v", v.Violations, v.Faults, v.Events, v.Took.Round(time.Second))
	default:
		return fmt.Sprintf("NO: %d faults, %d events, %v", v.Faults, v.Events, v.Took.Round(time.Second))
	}
}
