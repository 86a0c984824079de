package config

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"eventgateway/internal/spelling"
)

// testPrefix is reserved for the tests of this repository.
const testPrefix = envPrefix + "TEST_"

// serviceLink matches what Kubernetes puts into every container for a Service
// named gateway or gateway-…: GATEWAY_SERVICE_HOST, GATEWAY_PORT_8080_TCP and so on.
var serviceLink = regexp.MustCompile(`^GATEWAY_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// environment reads "NAME=value". If a name is given twice, the last one counts, as in
// os/exec.
func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			env[name] = value
		}
	}
	return env
}

// override applies the GATEWAY_* variables.
func override(cfg *Config, env map[string]string, errs *collector) {
	known := map[string]leaf{}
	for _, l := range leaves() {
		if l.env != "" {
			known[l.env] = l
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !strings.HasPrefix(name, envPrefix) || strings.HasPrefix(name, testPrefix) {
			continue
		}
		l, ok := known[name]
		if !ok {
			problem, fix := unknownVariable(name, slices.Sorted(maps.Keys(known)))
			errs.add(shownKey(name), "", problem, fix)
			continue
		}
		cfg.set(l, name, env[name], errs)
	}
}

// set parses the text of a variable or a flag into a key.
func (c *Config) set(l leaf, source, text string, errs *collector) {
	v := reflect.ValueOf(c).Elem().FieldByIndex(l.index)
	if text == "" && mustHaveText(v) {
		errs.add(l.path, source, "is set but empty", "give it a value, or unset it")
		return
	}
	if f := setText(v, text, quote(text)); f != nil {
		errs.add(l.path, source, f.problem, f.fix)
		return
	}
	maps.DeleteFunc(c.origins, func(path string, _ origin) bool { return within(path, l.path) })
	c.origins[l.path] = origin{source: source}
}

func unknownVariable(name string, known []string) (problem, fix string) {
	if strings.HasPrefix(name, "GATEWAY_KAFKA_PROPERTIES") {
		return "librdkafka's properties cannot be set by variables of their own",
			"write kafka.properties in the file; their values may name variables as ${NAME}"
	}
	for _, later := range laterKeys {
		if key := envName(later); name == key || strings.HasPrefix(name, key+"_") {
			return "is not available in this version", "unset it"
		}
	}
	if serviceLink.MatchString(name) {
		return "is an unknown variable", "if Kubernetes set it for a Service of that name, write enableServiceLinks: false in the pod's spec"
	}
	// The common prefix would make every name look similar.
	candidates := make([]string, len(known))
	for i, k := range known {
		candidates[i] = strings.TrimPrefix(k, envPrefix)
	}
	best, _ := spelling.Nearest(strings.TrimPrefix(name, envPrefix), candidates)
	if best == "" {
		return "is an unknown variable", "unset it"
	}
	return "is an unknown variable", "did you mean " + envPrefix + best + "? If not, unset it"
}
