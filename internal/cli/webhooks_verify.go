package cli

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/schema"
	"eventgateway/internal/webhook"
	"eventgateway/internal/webhook/diagnose"
)

func webhooksVerifyCommand() *cobra.Command {
	var f webhookFlags
	cmd := &cobra.Command{
		Use: "verify SOURCE FILE -c FILE", Short: "say why a saved request is not trusted, or which events it becomes", Args: atMost(2),
		Long: `Finds out why a request is not trusted, and says which events it becomes if it is.
FILE is the request as saved: headers, an empty line, the body; a request line before
them is optional. With --header FILE is the body alone. - is the standard input.

Save exactly what arrived, to the byte: a body that was copied from a page, formatted or
re-encoded has another signature. Neither secrets nor expected signatures are shown.

The exit status is 0 if the request is trusted, else 1.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.setArgs(cmd, args); err != nil {
				return err
			}
			return runWebhooksVerify(f, cmd.OutOrStdout())
		},
	}
	f.define(cmd)
	return cmd
}

func runWebhooksVerify(f webhookFlags, out io.Writer) error {
	cfg, w, err := f.load(os.Environ())
	if err != nil {
		return err
	}
	data, err := readDelivery(f.file)
	if err != nil {
		return err
	}
	r := webhook.Request{Method: http.MethodPost, URL: "/v1/webhooks/" + f.source, Header: f.headers, Body: data}
	if len(f.headers) == 0 {
		if r, err = parseSaved(data, f.source); err != nil {
			return fmt.Errorf("%s %w", f.file, err)
		}
	}
	report, err := diagnose.Check(app.WebhookConfig(w), r, f.at)
	if err != nil {
		return err
	}
	p := verifyReport{out: out, cfg: cfg, w: w, r: r, at: f.at, Report: report}
	p.print()
	if report.Rejection != nil {
		return errReported
	}
	return nil
}

// verifyReport prints a report for a person.
type verifyReport struct {
	diagnose.Report
	out io.Writer
	cfg *config.Config
	w   config.Webhook
	r   webhook.Request
	at  time.Time
}

func (p *verifyReport) say(label, format string, args ...any) {
	fmt.Fprintf(p.out, "%-10s %s\n", label, printable(fmt.Sprintf(format, args...)))
}

func (p *verifyReport) print() {
	if p.Rejection != nil {
		p.say("verdict", "not believed")
		p.say("reason", "%s", p.Rejection.Reason)
		p.say("detail", "%s", p.Rejection.Detail)
	} else {
		p.say("verdict", "believed")
	}
	p.say("source", "%s, scheme %s", p.w.Name, p.w.Scheme)
	p.headers()
	p.timestamp()
	p.say("secrets", "%s", p.secrets())
	p.body()
	if p.Rejection != nil {
		p.diagnosis()
	} else {
		p.events()
	}
}

func (p *verifyReport) headers() {
	if len(p.Headers) == 0 {
		p.say("headers", "this scheme looks at none")
	}
	for _, h := range p.Headers {
		found := "found"
		switch h.Found {
		case 0:
			found = "missing"
		case 1:
		default:
			found = fmt.Sprintf("found %d times", h.Found)
		}
		p.say("header", "%s: %s", h.Name, found)
	}
	for _, name := range p.Unread {
		p.say("header", "%s: found, but this scheme does not look at it", name)
	}
}

func (p *verifyReport) timestamp() {
	if p.Signed.IsZero() {
		p.say("timestamp", "none is looked at")
		return
	}
	age := p.at.Sub(p.Signed).Round(time.Second)
	when := fmt.Sprintf("%s old", age)
	if age < 0 {
		when = fmt.Sprintf("%s in the future", -age)
	}
	p.say("timestamp", "%s, %s; %s is allowed either way", p.Signed.Format(time.RFC3339), when, p.w.Tolerance)
}

func (p *verifyReport) secrets() string {
	total := len(p.w.Secrets)
	if len(p.Matching) == 0 {
		if total == 1 {
			return "the one that is configured does not match"
		}
		return fmt.Sprintf("none of the %d that are configured matches", total)
	}
	if total == 1 {
		return "the one that is configured matches"
	}
	var numbers []string
	for _, i := range p.Matching {
		numbers = append(numbers, strconv.Itoa(i+1))
	}
	return fmt.Sprintf("number %s of the %d that are configured matches", strings.Join(numbers, " and "), total)
}

// body prints the body's length, and whether Content-Length says another.
func (p *verifyReport) body() {
	size := fmt.Sprintf("%d bytes", len(p.r.Body))
	said, err := strconv.Atoi(p.r.Header.Get("Content-Length"))
	if err == nil && said != len(p.r.Body) {
		size += fmt.Sprintf("; but Content-Length says %d: this is not the body that was sent", said)
	}
	p.say("body", "%s", size)
}

func (p *verifyReport) diagnosis() {
	fmt.Fprintln(p.out)
	atItsTime := ""
	if age := p.at.Sub(p.Signed); !p.Signed.IsZero() && (age > p.w.Tolerance || age < -p.w.Tolerance) {
		atItsTime = ", at its own time"
	}
	for _, change := range p.Changes {
		p.say("diagnosis", "it would be believed %s%s", change, atItsTime)
	}
	for _, hint := range p.hints() {
		p.say("diagnosis", "%s", hint)
	}
}

// hints say where else the cause may be.
func (p *verifyReport) hints() []string {
	switch p.Rejection.Reason {
	case webhook.TimestampTooOld, webhook.TimestampInFuture:
		if p.TimeAlone {
			return []string{"the time alone is the cause: at its own time it is believed. For a saved request that is to be expected, and a redelivery has a new " +
				"timestamp; for one that just arrived, compare the clocks. --at " + p.Signed.Format(time.RFC3339) + " verifies it at its own time"}
		}
		return []string{"the time is not all: at its own time it is not believed either, for the secret or the body; see --at " + p.Signed.Format(time.RFC3339)}
	case webhook.MissingHeader:
		return []string{"the provider does not sign (no secret is set there), this is another provider's request, or a proxy on the way takes headers off"}
	case webhook.RepeatedHeader:
		return []string{"a proxy on the way adds headers, or the request was saved twice"}
	case webhook.MalformedHeader, webhook.MalformedBody:
		return []string{"this is not what the scheme " + p.w.Scheme + " sends: is it the right scheme for this provider?"}
	case webhook.WrongCredentials:
		return []string{"compare the secret at the provider with the configuration, to the last character"}
	}
	if len(p.Changes) > 0 {
		return []string{"a provider signs bytes: whatever stands between it and the gateway, or saved the request, must leave them alone"}
	}
	hints := []string{"the secret is another one (of another endpoint, of the test mode, or rotated), or the body was changed on its way or while it was saved: " +
		"pretty-printed, re-encoded, its members re-ordered"}
	if p.w.PublicURL != "" {
		hints = append(hints, "the URL may be signed: public_url must be the one that the provider has, to the letter")
	}
	if p.r.Header.Get("Content-Encoding") != "" {
		hints = append(hints, "the body has a Content-Encoding; the gateway answers 415 to those, switch compression off at the provider or the proxy")
	}
	return hints
}

// events prints what a trusted request becomes.
func (p *verifyReport) events() {
	fmt.Fprintln(p.out)
	switch {
	case p.TooMuch != nil:
		p.say("refused", "%s", p.TooMuch.Detail)
		return
	case p.Intake.Answer != nil:
		p.say("answer", "%d from the gateway itself, as the provider wants it; nothing is published", p.Intake.Answer.Status)
		return
	}
	set, err := schema.Load(p.cfg.Schemas.Dir)
	if err != nil {
		p.say("schemas", "not looked at: %s does not load; gateway schemas check says why", p.cfg.Schemas.Dir)
	}
	for _, d := range p.Intake.Deliveries {
		p.event(d, set)
	}
}

func (p *verifyReport) event(d webhook.Delivery, set *schema.Set) {
	eventType := d.EventType
	if eventType == "" {
		eventType = "(no type)"
	}
	p.say("event", "%s, id %s", eventType, d.ID)
	if set == nil && d.Err == nil {
		return
	}
	plan := planOf(p.w, d, set)
	switch {
	case plan.Problem == nil && plan.Key != nil:
		p.say("", "fits; goes to topic %s with the entity key %s", plan.Topic, *plan.Key)
	case plan.Problem == nil:
		p.say("", "fits; goes to topic %s without an entity key", plan.Topic)
	case plan.DeadLetter:
		p.say("", "a dead letter, goes to topic %s: %s: %s", plan.Topic, plan.Problem.Kind, plan.Problem.Detail)
	default:
		p.say("", "refused: %s: %s", plan.Problem.Kind, plan.Problem.Detail)
	}
	if plan.Problem != nil {
		p.violations(plan.Problem)
	}
	p.say("", "gw_claim %s", plan.ClaimID)
}

// planOf is what the gateway would do with a delivery, by these event types; nil: none.
func planOf(w config.Webhook, d webhook.Delivery, set *schema.Set) ingest.Plan {
	if set == nil {
		set = new(schema.Set)
	}
	req := app.WebhookRequest(w, d)
	return ingest.NewPlan(set, &req)
}

func (p *verifyReport) violations(problem *event.Error) {
	for i, v := range problem.Violations {
		if i == 10 {
			p.say("", "  and %d more", len(problem.Violations)-i)
			return
		}
		p.say("", "  %s: %s", v.Pointer, v.Message)
	}
}
