package cli

import (
	"errors"
	"fmt"
	"strings"

	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/preflight"
	"eventgateway/internal/schema"
)

// configuration reads the file. cfg is nil if none of it can be used; wrong are the
// keys that have mistakes.
func (c *checker) configuration() (cfg *config.Config, wrong config.Errors, list []preflight.Finding) {
	const check = "config.file"
	cfg, err := config.Examine(c.file, c.environ)
	if err == nil {
		err = app.CheckConfig(cfg)
	}
	switch {
	case err == nil:
		return cfg, nil, []preflight.Finding{{Severity: preflight.OK, Check: check, Subject: c.file, What: "is valid"}}
	case !errors.As(err, &wrong):
		return nil, nil, []preflight.Finding{{
			Severity: preflight.Error, Check: check, Subject: c.file, What: err.Error(), Do: "name a file that can be read with -c",
		}}
	}
	for _, one := range wrong {
		what := one.Problem
		if one.Source != "" {
			what += " (" + one.Source + ")"
		}
		list = append(list, preflight.Finding{Severity: preflight.Error, Check: "config.value", Subject: one.Path, What: what, Do: one.Fix})
	}
	return cfg, wrong, list
}

// skip returns a warning if an area cannot be checked, because one of its sections of
// the configuration has a mistake; otherwise nil.
func (c *checker) skip(area string, cfg *config.Config, wrong config.Errors, sections ...string) []preflight.Finding {
	const do = "fix the configuration, then check again"
	skipped := preflight.Finding{Severity: preflight.Warning, Check: area + ".skipped", What: "not looked at: the configuration cannot be read", Do: do}
	if cfg == nil {
		return []preflight.Finding{skipped}
	}
	for _, one := range wrong {
		for _, section := range sections {
			if one.Path == section || strings.HasPrefix(one.Path, section+".") || strings.HasPrefix(one.Path, section+"[") {
				skipped.What = "not looked at: " + one.Path + " is wrong in the configuration"
				return []preflight.Finding{skipped}
			}
		}
	}
	return nil
}

// firstOf is the first warning, and how many more there are.
func firstOf(warnings []schema.Problem) string {
	text := warnings[0].String()
	if more := len(warnings) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// schemas loads the event types. The set is empty if they cannot be used.
func (c *checker) schemas(cfg *config.Config, wrong config.Errors) (set *schema.Set, list []preflight.Finding) {
	const check = "schemas.load"
	if skipped := c.skip("schemas", cfg, wrong, "schemas"); skipped != nil {
		return new(schema.Set), skipped
	}
	set, err := schema.Load(cfg.Schemas.Dir)
	var load *schema.LoadError
	switch {
	case err == nil:
		types, versions := set.Types(), 0
		for _, t := range types {
			versions += len(t.Versions)
		}
		list = []preflight.Finding{{
			Severity: preflight.OK, Check: check, Subject: cfg.Schemas.Dir,
			What: fmt.Sprintf("event types: %d, in %d versions; topics: %d", len(types), versions, len(set.Topics())),
		}}
		if warnings := set.Warnings(); len(warnings) > 0 {
			list = append(list, preflight.Finding{
				Severity: preflight.Warning, Check: "schemas.warnings", Subject: cfg.Schemas.Dir,
				What: fmt.Sprintf("schemas may not mean what they say: %s", firstOf(warnings)),
				Do:   "run gateway schemas check, which lists them",
			})
		}
		return set, list
	case !errors.As(err, &load):
		return new(schema.Set), []preflight.Finding{{Severity: preflight.Error, Check: check, Subject: cfg.Schemas.Dir, What: err.Error(), Do: "correct schemas.dir, or the folder"}}
	}
	for _, p := range load.Problems {
		subject := load.Dir
		if p.File != "" {
			subject = p.File
		}
		if p.Line > 0 {
			subject += fmt.Sprintf(":%d", p.Line)
		}
		what := p.What
		if p.Pointer != "" {
			what = p.Pointer + ": " + what
		}
		list = append(list, preflight.Finding{
			Severity: preflight.Error, Check: check, Subject: subject, What: what,
			Do: "correct the file: a gateway does not start with it, and one that runs keeps the types it has",
		})
	}
	return new(schema.Set), list
}
