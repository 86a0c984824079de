package deadletter

import (
	"strings"
	"time"

	"eventgateway/internal/event"
)

// Filter chooses dead letters. All that is given must hold; the zero value takes all.
type Filter struct {
	Since, Until time.Time // when they were given up; Until is not included
	Consumer     string
	Type         string // pattern, as Key and Reason: * stands for any text
	Key          string
	Reason       string
	Status       string // of HTTP: 503, or 5xx
	Places       []Place
}

// Takes reports whether the filter takes a letter.
func (f *Filter) Takes(l *Letter) bool {
	switch {
	case !f.Since.IsZero() && l.Died.Before(f.Since), !f.Until.IsZero() && !l.Died.Before(f.Until):
		return false
	case f.Consumer != "" && f.Consumer != l.Consumer:
		return false
	case f.Type != "" && !event.MatchesPattern(f.Type, l.Type):
		return false
	case f.Key != "" && (l.Key == nil || !event.MatchesPattern(f.Key, *l.Key)):
		return false
	case f.Reason != "" && !event.MatchesPattern(f.Reason, l.Reason):
		return false
	case f.Status != "" && !matchesStatus(f.Status, l.Status):
		return false
	}
	if len(f.Places) == 0 {
		return true
	}
	for _, p := range f.Places {
		if p == l.Place {
			return true
		}
	}
	return false
}

func matchesStatus(want string, status int) bool {
	if status < 100 || status > 999 || len(want) != 3 {
		return false
	}
	for i, digit := range []byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)} {
		if want[i] != 'x' && want[i] != digit {
			return false
		}
	}
	return true
}

// ValidStatus reports whether a text can be a filter's Status.
func ValidStatus(text string) bool {
	return len(text) == 3 && text[0] >= '1' && text[0] <= '5' && strings.Trim(text[1:], "0123456789x") == ""
}
