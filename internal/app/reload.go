package app

import (
	"context"
	"errors"
	"log/slog"

	"eventgateway/internal/schema"
	"eventgateway/internal/schema/compat"
)

// maxReloadWarnings bounds the log lines of one reload: swapping the whole folder
// should not flood the log.
const maxReloadWarnings = 20

// watchSchemas reloads the event types when their files change, until ctx ends.
func (a *App) watchSchemas(ctx context.Context) {
	if err := a.catalog.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		a.logger.Error("watching schemas stopped", "error", err)
	}
}

// schemasChanged is called after every reload. Topics come first, because events wait
// for them.
func (a *App) schemasChanged(before, after *schema.Set) {
	a.replaceSubscriptions(after)
	warnOfBreakingChanges(a.logger, schema.Changes(before, after))
}

// warnOfBreakingChanges logs what a reload breaks. The new schemas are in use
// nevertheless: whoever put them there may know better, and a gateway that kept the old
// ones would disagree with the other gateways.
func warnOfBreakingChanges(logger *slog.Logger, changes []schema.Change) {
	breaking := 0
	for _, c := range changes {
		if c.Verdict != compat.Breaking {
			continue
		}
		if breaking++; breaking > maxReloadWarnings {
			continue
		}
		logger.Warn("a reload changed a published event type in a breaking way",
			"event_type", c.EventType, "version", c.Version, "pointer", c.Pointer,
			"keyword", c.Keyword, "direction", c.Direction, "message", c.Message)
	}
	if more := breaking - maxReloadWarnings; more > 0 {
		logger.Warn("a reload brought more breaking changes than are listed", "more", more)
	}
}
