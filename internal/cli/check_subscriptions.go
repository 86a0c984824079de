package cli

import (
	"fmt"
	"slices"
	"strings"

	"eventgateway/internal/config"
	"eventgateway/internal/preflight"
	"eventgateway/internal/schema"
	"eventgateway/internal/spelling"
)

// subscriptions checks that the event types that subscriptions name exist. Where no types
// could be loaded, it says nothing: that has its own finding.
func (c *checker) subscriptions(cfg *config.Config, wrong config.Errors, set *schema.Set) (list []preflight.Finding) {
	if cfg == nil || len(cfg.Subscriptions) == 0 || len(set.Types()) == 0 {
		return nil
	}
	if skipped := c.skip("subscriptions", cfg, wrong, "subscriptions", "schemas"); skipped != nil {
		return skipped
	}
	const check = "subscriptions.types"
	var names []string
	for _, t := range set.Types() {
		names = append(names, t.Name)
	}
	for _, s := range cfg.Subscriptions {
		for _, name := range s.Types {
			if slices.Contains(names, name) {
				continue
			}
			do := "correct types, or add the event type to " + cfg.Schemas.Dir
			if similar := spelling.Similar(name, names); len(similar) > 0 {
				do = "did you mean " + strings.Join(similar, " or ") + "?"
			}
			list = append(list, preflight.Finding{
				Severity: preflight.Error, Check: check, Subject: s.Name, Do: do,
				What: fmt.Sprintf("there is no event type %s: nothing of it is delivered", name),
			})
		}
	}
	if list == nil {
		list = []preflight.Finding{{Severity: preflight.OK, Check: check, What: fmt.Sprintf("subscriptions: %d; their event types exist", len(cfg.Subscriptions))}}
	}
	return list
}
