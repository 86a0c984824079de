package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"eventgateway/internal/app"
	"eventgateway/internal/config"
	"eventgateway/internal/event"
	"eventgateway/internal/schema"
	"eventgateway/internal/webhook"
)

// shownHeaders are the headers of an answer that matter to a sender.
var shownHeaders = []string{"Content-Type", "Idempotent-Replayed", "Www-Authenticate", "Retry-After"}

// gatewayAnswer is the answer to a delivery.
type gatewayAnswer struct {
	status int
	header http.Header
	body   []byte
}

func (a *gatewayAnswer) print(out io.Writer) {
	fmt.Fprintf(out, "%d %s\n", a.status, http.StatusText(a.status))
	for _, name := range shownHeaders {
		for _, value := range a.header.Values(name) {
			fmt.Fprintf(out, "%s: %s\n", name, printable(value))
		}
	}
	fmt.Fprintf(out, "\n%s\n", printable(strings.TrimRight(string(a.body), "\n")))
}

// printable replaces control characters, which could move the cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || 0x7f <= r && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

// answerBody is what may be in an answer's body: a receipt, several, or a problem.
type answerBody struct {
	Type      string `json:"type"` // of the event, or of the problem
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Items     []struct {
		Receipt answerReceipt `json:"receipt"`
	} `json:"items"`
}

type answerReceipt struct {
	Type      string `json:"type"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// meaning explains the answer in one line.
func (a *gatewayAnswer) meaning(cfg *config.Config, w config.Webhook, r webhook.Request) string {
	var b answerBody
	readable := json.Unmarshal(a.body, &b) == nil
	slug, isProblem := strings.CutPrefix(b.Type, "/problems/")
	switch {
	case a.status/100 == 2 && readable && (b.Topic != "" || len(b.Items) > 0):
		return a.accepted(cfg, w, r, b)
	case a.isReply(w):
		return fmt.Sprintf("Accepted: written to Kafka, or kept as a dead letter%s. The answer is the one that %s expects, so it has no receipt. %s", inTopic(w), w.Scheme, deadBecause(cfg, w, r))
	case a.status == 200:
		return "Answered by the gateway itself, as the provider wants a challenge or a ping to be answered. Nothing was published."
	case !isProblem:
		return fmt.Sprintf("This is not an answer of the gateway to a webhook: does %s go to it?", r.URL)
	}
	switch kind := event.Kind(slug); {
	case kind == event.Unauthenticated:
		return "Not believed. Does the gateway that runs there have this configuration, and the same time? gateway webhooks verify finds out more."
	case kind == event.UnknownSource:
		return fmt.Sprintf("The gateway that runs there has no source %s: start it with this configuration.", w.Name)
	case kind == event.UnknownEventType:
		return "Believed, but there is no such event type, and on_invalid is reject. " + drafting(w, r)
	case kind == event.OutcomeUnknown:
		return "Believed, but whether it was written is not known yet. A provider sends it again, and so may you: it is written once."
	case a.status >= 500 || a.status == 429:
		return "Nothing was written. A provider sends it again later, and so may you."
	}
	return "Refused, and nothing was written. Sending it again would not help; /problems/" + slug + " on the gateway says what would."
}

// isReply reports whether this is what the source answers to accepted deliveries, instead
// of the receipt.
func (a *gatewayAnswer) isReply(w config.Webhook) bool {
	source, err := app.WebhookSource(w)
	if err != nil || source.Reply() == nil || source.Reply().Receipt {
		return false
	}
	return a.status == source.Reply().Status && string(a.body) == source.Reply().Body
}

// inTopic names the topic of dead letters, if there is one.
func inTopic(w config.Webhook) string {
	if topic := w.DeadLetters(); topic != "" {
		return " in " + topic
	}
	return ""
}

// accepted explains a 2xx with receipts.
func (a *gatewayAnswer) accepted(cfg *config.Config, w config.Webhook, r webhook.Request, b answerBody) string {
	receipts := []answerReceipt{{b.Type, b.Topic, b.Partition, b.Offset}}
	if len(b.Items) > 0 {
		receipts = receipts[:0]
		for _, item := range b.Items {
			receipts = append(receipts, item.Receipt)
		}
	}
	again := ""
	if a.header.Get("Idempotent-Replayed") == "true" {
		again = "Recognised as a redelivery: nothing was written again, and this is what the first one was told. "
	}
	dead := slices.ContainsFunc(receipts, func(r answerReceipt) bool { return r.Topic == w.DeadLetters() })
	one := receipts[0]
	switch {
	case dead:
		return again + "Kept as a dead letter in " + w.DeadLetters() + "; gw_problem and gw_problem_detail in the record's headers say why. " + deadBecause(cfg, w, r)
	case len(receipts) > 1:
		return fmt.Sprintf("%sWritten to Kafka as %d events; items has a receipt for each.", again, len(receipts))
	}
	return fmt.Sprintf("%sWritten to Kafka as %s: topic %s, partition %d, offset %d.", again, one.Type, one.Topic, one.Partition, one.Offset)
}

// deadBecause says why a delivery became a dead letter, by this machine's event types,
// which may differ from the gateway's.
func deadBecause(cfg *config.Config, w config.Webhook, r webhook.Request) string {
	set, err := schema.Load(cfg.Schemas.Dir)
	if err != nil {
		set = new(schema.Set)
	}
	for _, d := range deliveriesOf(w, r) {
		problem := planOf(w, d, set).Problem
		switch {
		case problem == nil:
		case problem.Kind == event.UnknownEventType:
			return drafting(w, r)
		default:
			return "Here that would be: " + problem.Detail
		}
	}
	return ""
}

// drafting says how to make an event type from what was sent.
func drafting(w config.Webhook, r webhook.Request) string {
	for _, d := range deliveriesOf(w, r) {
		if d.EventType != "" {
			return fmt.Sprintf("gateway schemas new %s --from FILE drafts the event type.", d.EventType)
		}
	}
	return "gateway schemas new drafts one."
}

func deliveriesOf(w config.Webhook, r webhook.Request) []webhook.Delivery {
	source, err := app.WebhookSource(w)
	if err != nil {
		return nil
	}
	intake, err := source.Receive(r, time.Now())
	if err != nil {
		return nil
	}
	return intake.Deliveries
}
