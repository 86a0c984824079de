package app

import (
	"errors"

	"eventgateway/internal/config"
	"eventgateway/internal/event"
	"eventgateway/internal/schema"
	"eventgateway/internal/webhook"
)

// Fate is what the door would do with a webhook's delivery.
type Fate struct {
	Claim event.ClaimID // gw_claim of its record
	Topic string        // "": it would be refused
	Key   *string       // nil: no entity
	// Problem is why it is not published as its event type; nil if it is. With a
	// Topic it would be kept there as a dead letter.
	Problem *event.Error
}

// FateOf looks at a delivery as the door does, without writing anything.
func FateOf(w config.Webhook, d webhook.Delivery, set *schema.Set) Fate {
	f := Fate{Claim: event.Identity{Kind: event.IdentityWebhook, Parts: []string{d.ID}}.ClaimID(w.Name)}
	if d.Err != nil {
		f.Topic, f.Problem = w.DeadLetters(), d.Err
		return f
	}
	checked, err := set.Check(d.EventType, "", d.Data)
	var problem *event.Error
	if w.Key.Given && checked.Definition != nil && (err == nil || errors.As(err, &problem) && problem.Kind == event.KeyMissing) {
		checked.Key, err = schema.EntityKey(w.Key.Pointers, d.Data)
	}
	if err == nil {
		f.Topic, f.Key = checked.Definition.Topic, checked.Key
		return f
	}
	if !errors.As(err, &f.Problem) {
		f.Problem = event.Failure(err)
	}
	if f.Problem.Kind != event.Internal {
		f.Topic = w.DeadLetters()
	}
	return f
}
