package app

import (
	"log/slog"

	"eventgateway/internal/schema"
	"eventgateway/internal/schema/compat"
)

// maxReloadWarnings bounds the lines of one reload: somebody who swaps the whole
// folder should not flood the log.
const maxReloadWarnings = 20

// schemasChanged is told of every reload. Topics come first: events wait for
// them, nobody waits for the warnings.
func (a *App) schemasChanged(before, after *schema.Set) {
	a.producer.SetTopics(topics(a.cfg, after))
	warnOfBreakingChanges(a.logger, schema.Changes(before, after))
}

// warnOfBreakingChanges says what a reload breaks. The new schemas are in use
// all the same: who put them there may know better, and a gateway that kept old
// ones would disagree with its neighbours.
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
