package schema

import (
	"strings"

	"eventgateway/internal/spelling"
)

// didYouMean is "; did you mean …?" or nothing.
func didYouMean(name string, known []string) string {
	near := spelling.Similar(name, known)
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}
