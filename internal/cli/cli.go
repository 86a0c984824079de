// Package cli is the gateway's command line: one file per command.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
)

const usage = `gateway publishes events posted over HTTP to Kafka, once per idempotency key.

  gateway dev [-c FILE]    everything embedded, nothing to install
  gateway serve -c FILE    the gateway on real Kafka and Redis
  gateway check -c FILE    is all there that the gateway rests on? What to do if not
  gateway topics apply -c FILE
                           create the Kafka topics of event types that are missing
  gateway idempotency show -c FILE KEY
                           what Redis holds for an idempotency key, and what it means
  gateway idempotency rebuild -c FILE
                           learn from Kafka which keyed events were written
  gateway keys new         make an API key for a client
  gateway schemas check    do the event types load, and what did a change break
  gateway schemas new TYPE --from FILE
                           draft an event type from sample events
  gateway webhooks send SOURCE FILE -c FILE
                           sign a delivery as the provider would, and post it
  gateway webhooks verify SOURCE FILE -c FILE
                           why is this saved request not believed?
  gateway webhooks sample SCHEME
                           a sample delivery, to send
  gateway healthcheck      does the gateway of this container or machine live?
  gateway version          which version this is

gateway COMMAND --help lists a command's flags.
`

type command func(ctx context.Context, args []string, out, errOut io.Writer) error

func commands() map[string]command {
	return map[string]command{
		"dev": runDev, "serve": runServe, "check": runCheck, "topics": runTopics,
		"idempotency": runIdempotency, "keys": runKeys, "schemas": runSchemas, "webhooks": runWebhooks, "healthcheck": runHealthcheck,
	}
}

// Run runs one command and returns the exit status: 0 after an orderly stop, 1 on a
// failure, 2 on wrong usage.
func Run(ctx context.Context, version string, args []string, out, errOut io.Writer) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		_, _ = io.WriteString(out, usage)
		return 0
	}
	if args[0] == "version" {
		_, _ = fmt.Fprintln(out, "gateway", version)
		return 0
	}
	cmd, ok := commands()[args[0]]
	if !ok {
		_, _ = fmt.Fprintf(errOut, "gateway: there is no command %q\n\n%s", args[0], usage)
		return 2
	}
	err := cmd(ctx, args[1:], out, errOut)
	var usageErr usageError
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errReported):
		return 1
	case errors.As(err, &usageErr):
		_, _ = fmt.Fprintf(errOut, "gateway %s: %v\n", args[0], err)
		return 2
	default:
		_, _ = fmt.Fprintf(errOut, "gateway %s: %v\n", args[0], err)
		return 1
	}
}

// errReported is the failure of a command whose output has said everything.
var errReported = errors.New("the output says what is wrong")

// usageError is a mistake on the command line.
type usageError string

func (e usageError) Error() string { return string(e) }

// parseFlags parses args and refuses what is left over.
func parseFlags(fs *flag.FlagSet, args []string, errOut io.Writer) error {
	if err := parseSome(fs, args, errOut); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return oneTooMany(fs.Arg(0))
	}
	return nil
}

// parseFlagsAndName parses args that hold one name, wherever it stands.
func parseFlagsAndName(fs *flag.FlagSet, args []string, errOut io.Writer) (name string, err error) {
	names, err := parseFlagsAndNames(fs, args, 1, errOut)
	if err != nil || len(names) == 0 {
		return "", err
	}
	return names[0], nil
}

// parseFlagsAndNames parses args that hold some names, wherever they stand: the
// flag package stops at the first argument that is no flag.
func parseFlagsAndNames(fs *flag.FlagSet, args []string, most int, errOut io.Writer) (names []string, err error) {
	for {
		if err := parseSome(fs, args, errOut); err != nil {
			return nil, err
		}
		if fs.NArg() == 0 {
			return names, nil
		}
		if len(names) == most {
			return nil, oneTooMany(fs.Arg(0))
		}
		names, args = append(names, fs.Arg(0)), fs.Args()[1:]
	}
}

func parseSome(fs *flag.FlagSet, args []string, errOut io.Writer) error {
	fs.SetOutput(errOut)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return flag.ErrHelp
		}
		return usageError("see --help") // the flag package has said what is wrong
	}
	return nil
}

func oneTooMany(arg string) error {
	return usageError(fmt.Sprintf("%q is one argument too many; see --help", arg))
}
