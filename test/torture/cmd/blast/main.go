// Command blast takes one of four brokers away under load and measures which partitions
// that harms, and for how long. It exits with 1 if a target is missed, with 2 if it
// could not be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"eventgateway/test/torture"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	o := torture.BlastDefaults()
	fs := flag.NewFlagSet("blast", flag.ContinueOnError)
	fs.StringVar(&o.Client, "client", o.Client, "kafka.client of the gateways; none: it is not configured")
	fs.StringVar(&o.Binary, "binary", o.Binary, "gateway built with -tags torture; none: build it")
	fs.StringVar(&o.Root, "root", o.Root, "sources to build the gateway from; none: this repository")
	fs.IntVar(&o.Rate, "rate", o.Rate, "events a second")
	fs.IntVar(&o.Partitions, "partitions", o.Partitions, "of the topic: a multiple of four")
	fs.IntVar(&o.Victim, "victim", o.Victim, "node id of the broker that is lost: 1 to 4")
	fs.DurationVar(&o.Before, "before", o.Before, "measured before")
	fs.DurationVar(&o.During, "during", o.During, "how long the broker is lost")
	fs.DurationVar(&o.After, "after", o.After, "measured after the heal")
	fs.Func("set", "further configuration, `PATH=VALUE`; may be repeated", func(s string) error {
		o.Set = append(o.Set, s)
		return nil
	})
	fs.Func("only", "`SCENARIOS`, separated by commas: frozen, killed, silent, below-min", func(s string) error {
		o.Scenarios = append(o.Scenarios, strings.Split(s, ",")...)
		return nil
	})
	switch err := fs.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	missed, err := torture.Blast(ctx, o)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "blast:", err)
		return 2
	case len(missed) > 0:
		return 1
	}
	return 0
}
