package diagnose

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/webhook"
)

// Report is what was found out.
type Report struct {
	// Rejection is the verdict; nil if the delivery is believed.
	Rejection *webhook.Rejection
	// TooMuch is a believed body beyond the limits; nil otherwise.
	TooMuch *event.Error
	// Intake is what a delivery that is believed becomes.
	Intake webhook.Intake
	// Headers are those that decide, sorted; with a header missing, also those that
	// the provider would have sent.
	Headers []Header
	// Unread are headers that look like signatures, but are not looked at.
	Unread []string
	// Signed is the signed timestamp, to the millisecond; zero if none is looked at.
	Signed time.Time
	// Matching are the secrets, counted from 0, under each of which alone the
	// delivery is believed, if only at its own time.
	Matching []int
	// TimeAlone says that at its own time the delivery would be believed.
	TimeAlone bool
	// Changes are those with any of which it would be believed.
	Changes []string
}

// Header is a header that decides.
type Header struct {
	Name  string
	Found int // how often it is there
}

// Check looks at a delivery as it arrived at a time. The error is that of the
// configuration.
func Check(cfg webhook.Config, r webhook.Request, now time.Time) (Report, error) {
	source, err := webhook.New(cfg)
	if err != nil {
		return Report{}, err
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	verdict := ask(source, r, now)
	report := Report{Rejection: verdict.rejection, TooMuch: verdict.tooMuch, Intake: verdict.intake}
	at := now
	if signed, ok := signedTime(source, r, cfg.Tolerance); ok {
		report.Signed, at = signed, signed
	}
	report.TimeAlone = verdict.rejection != nil && ask(source, r, at).rejection == nil
	report.Matching = matching(cfg, r, at)
	report.Headers = headers(source, r, at)
	report.Unread = unread(report.Headers, r.Header)
	if verdict.rejection != nil && !report.TimeAlone {
		report.Changes = changes(cfg, r, at)
	}
	return report, nil
}

// verdict is a source's answer.
type verdict struct {
	intake    webhook.Intake
	rejection *webhook.Rejection
	tooMuch   *event.Error
}

func ask(source *webhook.Source, r webhook.Request, now time.Time) verdict {
	var v verdict
	var err error
	v.intake, err = source.Receive(r, now)
	if !errors.As(err, &v.rejection) {
		_ = errors.As(err, &v.tooMuch) // there is no third kind
	}
	return v
}

func (v verdict) reason() webhook.Reason {
	if v.rejection == nil {
		return ""
	}
	return v.rejection.Reason
}

// text says all that matters of a verdict, to be compared.
func (v verdict) text() string {
	var b strings.Builder
	switch {
	case v.rejection != nil:
		return v.rejection.Error()
	case v.tooMuch != nil:
		return v.tooMuch.Error()
	case v.intake.Answer != nil:
		b.WriteString("answer " + string(v.intake.Answer.Body))
	}
	for _, d := range v.intake.Deliveries {
		b.WriteString(d.ID + "\n" + d.EventType + "\n" + d.MediaType + "\n")
		if d.Err != nil {
			b.WriteString(d.Err.Error())
		}
	}
	return b.String()
}

// The years 1 and 9999, in Unix milliseconds: a time-out lies between them.
const (
	earliest = -62135596800000
	latest   = 253402300799000
)

// signedTime finds the signed timestamp: the border between the times at which the
// delivery is too old and those at which it is not, less the tolerance.
func signedTime(source *webhook.Source, r webhook.Request, tolerance time.Duration) (time.Time, bool) {
	tooOld := func(ms int64) bool { return ask(source, r, time.UnixMilli(ms)).reason() == webhook.TimestampTooOld }
	low, high := int64(earliest), int64(latest) // not too old, too old
	if !tooOld(high) || tooOld(low) {
		return time.Time{}, false
	}
	for high-low > 1 {
		if middle := low + (high-low)/2; tooOld(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	if tolerance == 0 {
		tolerance = DefaultTolerance
	}
	return time.UnixMilli(low).Add(-tolerance).UTC(), true
}

// DefaultTolerance is that of a configuration without one.
const DefaultTolerance = 5 * time.Minute

// matching tries each secret alone.
func matching(cfg webhook.Config, r webhook.Request, at time.Time) (found []int) {
	secrets := cfg.Secrets
	for i := range secrets {
		cfg.Secrets = secrets[i : i+1]
		if source, err := webhook.New(cfg); err == nil && ask(source, r, at).rejection == nil {
			found = append(found, i)
		}
	}
	return found
}

// headers finds those without which the verdict would be another.
func headers(source *webhook.Source, r webhook.Request, at time.Time) []Header {
	whole := ask(source, r, at)
	found := map[string]int{}
	for name, values := range r.Header {
		less := r
		less.Header = r.Header.Clone()
		less.Header.Del(name)
		if ask(source, less, at).text() != whole.text() {
			found[name] = len(values)
		}
	}
	if whole.reason() == webhook.MissingHeader {
		for name := range wouldSend(source, r, at) {
			found[name] = len(r.Header.Values(name))
		}
	}
	list := make([]Header, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		list = append(list, Header{name, found[name]})
	}
	return list
}

// wouldSend is what the provider would add, as far as the gateway can sign.
func wouldSend(source *webhook.Source, r webhook.Request, at time.Time) http.Header {
	blank := r
	blank.Header = http.Header{}
	if source.Sign(&blank, "id", at) != nil {
		return nil
	}
	return blank.Header
}

// unread finds headers that somebody may take for the one that counts.
func unread(read []Header, all http.Header) (names []string) {
	for name := range all {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "signature-input") || !strings.Contains(lower, "signature") && !strings.Contains(lower, "hmac") {
			continue
		}
		if !slices.ContainsFunc(read, func(h Header) bool { return h.Name == name }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
