package app

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"eventgateway/internal/api"
	"eventgateway/internal/config"
	"eventgateway/internal/ingest"
	"eventgateway/internal/intake"
	"eventgateway/internal/preflight"
	"eventgateway/internal/schema"
	"eventgateway/internal/webhook"
)

// CheckWebhooks reports what is wrong with the webhook sources of a configuration
// that is valid otherwise. The error is [config.Errors].
func CheckWebhooks(cfg *config.Config) error {
	_, err := webhookSources(cfg)
	return err
}

// CheckWebhook is CheckWebhooks for one source, by its index in the list.
func CheckWebhook(cfg *config.Config, at int) error {
	if _, err := WebhookSource(cfg.Webhooks[at]); err != nil {
		return webhookErrors(cfg, fmt.Sprintf("webhooks[%d]", at), err)
	}
	return nil
}

// webhookSources builds the sources of the configuration, by name.
func webhookSources(cfg *config.Config) (map[string]api.Webhook, error) {
	sources := make(map[string]api.Webhook, len(cfg.Webhooks))
	var wrong config.Errors
	for i, w := range cfg.Webhooks {
		source, err := WebhookSource(w)
		if err != nil {
			wrong = append(wrong, webhookErrors(cfg, fmt.Sprintf("webhooks[%d]", i), err)...)
			continue
		}
		sources[w.Name] = apiWebhook(w, source)
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return sources, nil
}

func apiWebhook(w config.Webhook, source *webhook.Source) api.Webhook {
	s := api.Webhook{Source: source, DeadLetters: w.DeadLetters()}
	s.TypesBegin, _, _ = strings.Cut(w.EventType, "{")
	if w.Key.Given {
		s.Key = &webhook.KeyRule{Parts: w.Key.Parts, Optional: w.Key.Optional}
	}
	return s
}

// WebhookRequest is what a gateway with this source passes to its door for a delivery.
func WebhookRequest(w config.Webhook, d webhook.Delivery) ingest.Request {
	return apiWebhook(w, nil).Request(w.Name, d, nil)
}

// WebhookSource builds one source. The error joins one error for each fault; each
// begins with the name of the key.
func WebhookSource(w config.Webhook) (*webhook.Source, error) {
	return webhook.New(WebhookConfig(w))
}

// WebhookConfig translates a source's configuration for the verifier.
func WebhookConfig(w config.Webhook) webhook.Config {
	c := webhook.Config{
		Name: w.Name, Scheme: w.Scheme, EventType: w.EventType, Tolerance: w.Tolerance,
		PublicURL: w.PublicURL, IDs: w.ID, Types: w.Type, Items: w.Items,
	}
	for _, secret := range w.Secrets {
		c.Secrets = append(c.Secrets, secret.Reveal())
	}
	if w.HMAC != nil {
		h := w.HMAC
		c.HMAC = &webhook.HMAC{
			Header: h.Header, Prefix: h.Prefix, Encoding: h.Encoding, Algorithm: h.Algorithm, Signed: h.Signed, Timestamp: h.Timestamp,
			SecretEncoding: h.SecretEncoding, Separator: h.Separator, SignatureField: h.SignatureField, TimestampField: h.TimestampField,
		}
	}
	if a := w.Answer; a != nil {
		c.Reply = &webhook.Reply{Status: a.Status, ContentType: a.ContentType, Body: a.Body.Text, Receipt: !a.Body.Given}
	}
	if ch := w.Challenge; ch != nil {
		c.Challenge = &webhook.Challenge{At: ch.At, Member: ch.Member, Token: ch.Token.Reveal(), TokenAt: ch.TokenAt}
	}
	return c
}

func webhookErrors(cfg *config.Config, at string, err error) config.Errors {
	faults := []error{err}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		faults = joined.Unwrap()
	}
	list := make(config.Errors, len(faults))
	for i, fault := range faults {
		field, problem, _ := strings.Cut(fault.Error(), ": ")
		path := at + "." + field
		if field != "secrets" && cfg.Expanded(path) { // other problems quote values
			problem = "its expanded value cannot be used"
		}
		list[i] = &config.Error{Path: path, Problem: problem, Fix: "docs/webhooks.md has an example for each scheme", Source: cfg.Source(path)}
	}
	return list
}

// topics lists the topics of the event types and of dead letters, sorted.
func topics(cfg *config.Config, set *schema.Set) []string {
	names := set.Topics()
	for _, w := range cfg.Webhooks {
		if topic := w.DeadLetters(); topic != "" {
			names = append(names, topic)
		}
	}
	names = append(names, subscriptionDeadLetters(cfg, set)...)
	slices.Sort(names)
	return slices.Compact(names)
}

// needDeadLetters adds to needs what dead letters need of their topics.
func needDeadLetters(cfg *config.Config, needs []preflight.TopicNeeds) {
	for _, w := range cfg.Webhooks {
		at := slices.IndexFunc(needs, func(n preflight.TopicNeeds) bool { return n.Name == w.DeadLetters() })
		if at < 0 {
			continue
		}
		n, what := &needs[at], "dead letters of "+w.Name
		n.DeadLetters = true
		n.Types = appendOnce(n.Types, what)
		n.Keyless = appendOnce(n.Keyless, what)
		// The request's headers are kept beside the body.
		if data := int(cfg.HTTP.BodyLimit.Bytes()) + intake.HeaderLimit; data > n.MaxData {
			n.MaxData, n.Largest = data, what
		}
	}
}
