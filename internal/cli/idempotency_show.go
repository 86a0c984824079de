package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"eventgateway/internal/app"
	"eventgateway/internal/event"
	"eventgateway/internal/idempotency"
	"eventgateway/internal/redis"
)

// showTimeout bounds the call to Redis, and the one to Kafka before it.
const showTimeout = 10 * time.Second

type idempotencyShow struct {
	file, format    string
	key             string
	source, eventID string
	claim, client   string
}

func idempotencyShowCommand() *cobra.Command {
	var s idempotencyShow
	cmd := &cobra.Command{
		Use: "show -c FILE KEY", Short: "what Redis holds for an idempotency key, and what it means", Args: atMost(1),
		Long: `Prints what Redis holds for an Idempotency-Key, for a CloudEvent's source and id, or
for the gw_claim header of a record, and what that means for the next retry. It only reads.

The exit status is 1 if Redis holds nothing.`,
		Example: `  gateway idempotency show -c FILE KEY
  gateway idempotency show -c FILE --source SOURCE --id ID
  gateway idempotency show -c FILE --claim GW_CLAIM`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s.setArgs(args)
			return s.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	s.define(cmd)
	return cmd
}

func (s *idempotencyShow) define(cmd *cobra.Command) {
	s.format = formatText
	configFlag(cmd, &s.file, "configuration `FILE`")
	flags := cmd.Flags()
	flags.Func("format", "`FORMAT` of the output: text or json; default text", oneOf(&s.format, formatText, formatJSON))
	flags.StringVar(&s.client, "client", "anonymous", "`NAME` of the client that sent the event")
	flags.StringVar(&s.source, "source", "", "`SOURCE` of a CloudEvent without Idempotency-Key, with --id")
	flags.StringVar(&s.eventID, "id", "", "`ID` of a CloudEvent without Idempotency-Key, with --source")
	flags.StringVar(&s.claim, "claim", "", "`GW_CLAIM` header of a record, 64 hexadecimal digits")
}

// setArgs takes the KEY, which may be missing.
func (s *idempotencyShow) setArgs(args []string) {
	if len(args) > 0 {
		s.key = args[0]
	}
}

func (s *idempotencyShow) run(ctx context.Context, out io.Writer) error {
	if s.file == "" {
		return missingConfig("gateway idempotency show -c gateway.yaml KEY")
	}
	id, err := s.identity()
	if err != nil {
		return err
	}
	cfg, err := loadConfig(s.file, os.Environ())
	if err != nil {
		return err
	}
	redis.RouteLogs(slog.New(slog.DiscardHandler)) // the returned error says enough
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

// identity is the claim that the arguments name, derived as a gateway derives it from
// a request.
func (s *idempotencyShow) identity() (event.ClaimID, error) {
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

// plainKey removes the quotes that a client may put around an Idempotency-Key
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
