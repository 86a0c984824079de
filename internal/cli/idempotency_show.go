package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/event"
	"eventgateway/internal/idempotency"
	"eventgateway/internal/redis"
)

const showUsage = `gateway idempotency show -c FILE KEY
gateway idempotency show -c FILE --source SOURCE --id ID
gateway idempotency show -c FILE --claim GW_CLAIM

Prints what Redis holds for an Idempotency-Key, for a CloudEvent's source and id, or for
the gw_claim header of a record, and what that means for the next retry. It only reads.

The exit status is 1 if Redis holds nothing.

`

// showTimeout bounds the one question to Redis.
const showTimeout = 5 * time.Second

type shower struct {
	file, format    string
	key             string
	source, eventID string
	claim, client   string
}

// runShow is `gateway idempotency show`.
func runShow(ctx context.Context, args []string, out, errOut io.Writer) error {
	var s shower
	if err := s.parse(args, errOut); err != nil {
		return err
	}
	id, err := s.identity()
	if err != nil {
		return err
	}
	cfg, err := config.Load(s.file, os.Environ())
	if err != nil {
		return fmt.Errorf("the configuration cannot be used:\n%w", err)
	}
	redis.RouteLogs(slog.New(slog.DiscardHandler)) // the error says it
	ctx, cancel := context.WithTimeout(ctx, showTimeout)
	defer cancel()
	shown, err := app.ShowClaim(ctx, cfg, id)
	if err != nil {
		return err
	}
	if s.format == formatJSON {
		err = printShownJSON(out, shown, cfg)
	} else {
		printShown(out, shown, cfg)
	}
	if err == nil && shown.State == idempotency.ShownAbsent {
		err = errors.New("redis holds nothing for it")
	}
	return err
}

func (s *shower) parse(args []string, errOut io.Writer) error {
	fs := flag.NewFlagSet("idempotency show", flag.ContinueOnError)
	fs.StringVar(&s.file, "c", "", "configuration `FILE`")
	fs.StringVar(&s.format, "format", formatText, "`FORMAT` of the output: text or json")
	fs.StringVar(&s.client, "client", "anonymous", "`NAME` of the client that sent the event")
	fs.StringVar(&s.source, "source", "", "`SOURCE` of a CloudEvent without Idempotency-Key, with --id")
	fs.StringVar(&s.eventID, "id", "", "`ID` of a CloudEvent without Idempotency-Key, with --source")
	fs.StringVar(&s.claim, "claim", "", "`GW_CLAIM` header of a record, 64 hexadecimal digits")
	fs.Usage = func() {
		_, _ = io.WriteString(errOut, showUsage)
		fs.PrintDefaults()
	}
	key, err := parseFlagsAndOne(fs, args, errOut)
	if err != nil {
		return err
	}
	s.key = key
	switch {
	case s.file == "":
		return usageError("say which configuration file to use: gateway idempotency show -c gateway.yaml KEY")
	case s.format != formatText && s.format != formatJSON:
		return usageError(fmt.Sprintf("--format is text or json, not %q", s.format))
	}
	return nil
}

// parseFlagsAndOne is parseFlags for a command with one argument, before,
// between or behind its flags.
func parseFlagsAndOne(fs *flag.FlagSet, args []string, errOut io.Writer) (one string, err error) {
	fs.SetOutput(errOut)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return "", flag.ErrHelp
		}
		return "", usageError("see --help") // the flag package has said what is wrong
	}
	if fs.NArg() == 0 {
		return "", nil
	}
	return fs.Arg(0), parseFlags(fs, fs.Args()[1:], errOut)
}

// identity is what the arguments name, as a gateway derives it from a request.
func (s *shower) identity() (event.ClaimID, error) {
	byKey, byEvent, byClaim := s.key != "", s.source != "" || s.eventID != "", s.claim != ""
	switch {
	case byKey && !byEvent && !byClaim:
		key, err := plainKey(s.key)
		return event.Identity{Kind: event.IdentityKey, Parts: []string{key}}.ClaimID(s.client), err
	case byEvent && !byKey && !byClaim && s.source != "" && s.eventID != "":
		return event.Identity{Kind: event.IdentityCloudEvent, Parts: []string{s.source, s.eventID}}.ClaimID(s.client), nil
	case byClaim && !byKey && !byEvent:
		digits, err := hex.DecodeString(s.claim)
		if err != nil || len(digits) != len(event.ClaimID{}) {
			return event.ClaimID{}, usageError("--claim is 64 hexadecimal digits, as in a record's gw_claim header")
		}
		return event.ClaimID(digits), nil
	}
	return event.ClaimID{}, usageError("name one thing: a KEY, or --source and --id, or --claim")
}

// plainKey takes off the quotes that a client may put around an Idempotency-Key
// (RFC 8941 §3.3.3): the key is the same without them.
func plainKey(text string) (string, error) {
	key := strings.Trim(text, " \t")
	inner, quoted := strings.CutPrefix(key, `"`)
	if !quoted {
		return key, nil
	}
	inner, closed := strings.CutSuffix(inner, `"`)
	if !closed || inner == "" || strings.ContainsAny(inner, `"\`) {
		return "", usageError("write the key without its quotes and the backslashes within: " + text)
	}
	return inner, nil
}
