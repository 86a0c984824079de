package cli

import (
	"errors"
	"fmt"
	"strings"

	"eventgateway/internal/config"
)

// loadPart reads a configuration of which not everything matters: what is wrong
// with a key of which unused reports that it is not used is not wrong here. What is returned has the
// default there.
func loadPart(file string, environ []string, unused func(wrong *config.Error) bool) (*config.Config, error) {
	cfg, err := config.Examine(file, environ)
	var wrong config.Errors
	if !errors.As(err, &wrong) {
		return cfg, err
	}
	var left config.Errors
	for _, one := range wrong {
		if cfg == nil || !unused(one) {
			left = append(left, one)
		}
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("the configuration cannot be used:\n%w", left)
	}
	return cfg, nil
}

// inSections reports whether a key is one of these sections or in one.
func inSections(path string, sections ...string) bool {
	for _, section := range sections {
		if rest, ok := strings.CutPrefix(path, section); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}
