package event

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		err     *Error
		kind    Kind
		outcome Outcome
		cause   error
		text    string
	}{
		{
			"refusal", Refuse(EventTooLarge, "%d bytes are too many", 7),
			EventTooLarge, NotWritten, nil, "event-too-large: 7 bytes are too many",
		},
		{
			"refusal with a cause", RefuseCause(LogUnavailable, io.EOF, "no leader"),
			LogUnavailable, NotWritten, io.EOF, "log-unavailable: no leader: EOF",
		},
		{
			"maybe written", MaybeWritten(OutcomeUnknown, io.ErrUnexpectedEOF, "no answer"),
			OutcomeUnknown, Unknown, io.ErrUnexpectedEOF, "outcome-unknown: no answer: unexpected EOF",
		},
		{
			"maybe written, without a cause", MaybeWritten(RequestInProgress, nil, "another request"),
			RequestInProgress, Unknown, nil, "request-in-progress: another request",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wrapped := fmt.Errorf("accept event: %w", tt.err)
			var found *Error
			require.ErrorAs(t, wrapped, &found)
			require.Equal(t, tt.kind, found.Kind)
			require.Equal(t, tt.outcome, found.Outcome)
			require.Equal(t, tt.text, found.Error())
			if tt.cause == nil {
				require.NoError(t, errors.Unwrap(found))
				return
			}
			require.ErrorIs(t, wrapped, tt.cause)
			require.NotContains(t, found.Detail, tt.cause.Error(), "the cause is for the log only")
		})
	}
}
