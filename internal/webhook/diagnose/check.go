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

// Report is what Check finds out.
type Report struct {
	// Rejection is nil if the delivery is verified.
	Rejection *webhook.Rejection
	// TooMuch is the error of a verified body beyond the limits; nil otherwise.
	TooMuch *event.Error
	// Intake is what a verified delivery becomes.
	Intake webhook.Intake
	// Headers are those that the result depends on, sorted. If one is missing, they
	// include those that the provider would have sent.
	Headers []Header
	// Unread are headers that look like signatures, but are ignored.
	Unread []string
	// Signed is the signed timestamp, to the millisecond; zero if none is checked.
	Signed time.Time
	// Matching are the indexes of the secrets with each of which alone the delivery is
	// verified, at the time that it was signed.
	Matching []int
	// TimeAlone says that only the time is wrong.
	TimeAlone bool
	// Changes are those of which each alone would make it verified.
	Changes []string
}

// Header is a header that the result depends on.
type Header struct {
	Name  string
	Found int // how many times the request has it
}

// Check examines a delivery that arrived at a time. The error is a fault of the
// configuration.
func Check(cfg webhook.Config, r webhook.Request, now time.Time) (Report, error) {
	source, err := webhook.New(cfg)
	if err != nil {
		return Report{}, err
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	asked := ask(source, r, now)
	report := Report{Rejection: asked.rejection, TooMuch: asked.tooMuch, Intake: asked.intake}
	at := now
	if signed, ok := signedTime(source, r, cfg.Tolerance); ok {
		report.Signed, at = signed, signed
	}
	report.TimeAlone = asked.rejection != nil && ask(source, r, at).rejection == nil
	report.Matching = matching(cfg, r, at)
	report.Headers = headers(source, r, at)
	report.Unread = unread(report.Headers, r.Header)
	if asked.rejection != nil && !report.TimeAlone {
		report.Changes = changes(cfg, r, at)
	}
	return report, nil
}

// result is what a source made of a delivery.
type result struct {
	intake    webhook.Intake
	rejection *webhook.Rejection
	tooMuch   *event.Error
}

func ask(source *webhook.Source, r webhook.Request, now time.Time) result {
	var res result
	var err error
	res.intake, err = source.Receive(r, now)
	if !errors.As(err, &res.rejection) {
		_ = errors.As(err, &res.tooMuch) // there is no third kind
	}
	return res
}

func (r result) reason() webhook.Reason {
	if r.rejection == nil {
		return ""
	}
	return r.rejection.Reason
}

// text has everything in a result that matters, for comparison.
func (r result) text() string {
	var b strings.Builder
	switch {
	case r.rejection != nil:
		return r.rejection.Error()
	case r.tooMuch != nil:
		return r.tooMuch.Error()
	case r.intake.Answer != nil:
		b.WriteString("answer " + string(r.intake.Answer.Body))
	}
	for _, d := range r.intake.Deliveries {
		b.WriteString(d.ID + "\n" + d.EventType + "\n" + d.MediaType + "\n")
		if d.Err != nil {
			b.WriteString(d.Err.Error())
		}
	}
	return b.String()
}

// The years 1 and 9999, in Unix milliseconds: a delivery becomes too old between them.
const (
	earliest = -62135596800000
	latest   = 253402300799000
)

// signedTime finds the signed timestamp by bisection: it is the last time at which the
// delivery is not too old, less the tolerance.
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
		tolerance = webhook.DefaultTolerance
	}
	return time.UnixMilli(low).Add(-tolerance).UTC(), true
}

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

// headers finds those without which the result would differ.
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

// wouldSend are the headers that the provider would add; nil if the gateway cannot sign.
func wouldSend(source *webhook.Source, r webhook.Request, at time.Time) http.Header {
	blank := r
	blank.Header = http.Header{}
	if source.Sign(&blank, "id", at) != nil {
		return nil
	}
	return blank.Header
}

// unread finds headers that look like signatures but are not among those read.
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
