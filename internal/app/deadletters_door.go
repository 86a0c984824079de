package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/internal/config"
	"eventgateway/internal/deadletter"
	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/strictjson"
	"eventgateway/internal/webhook"
)

const (
	// doorPatience bounds how long the door of a command waits until it can publish, and how
	// long it tries one event again that nothing is wrong with.
	doorPatience = time.Minute
	doorPause    = 200 * time.Millisecond
	// replayClient is the client of events that are published anew. A configuration cannot
	// name such a client.
	replayClient = "dead letters"
)

// letterDoor publishes the events of dead letters as if they came from a client.
type letterDoor struct {
	cfg       *config.Config
	door      *ingest.Door
	eventType string    // instead of what the letters say, if not empty
	again     time.Time // a replay of what was replayed before is another event
}

// openDoor makes a door in this process, whose claims and records are those of a gateway, and
// runs it until close is called.
func (d *DeadLetters) openDoor(ctx context.Context, openAPI []byte, eventType string, again time.Time) (door *letterDoor, end func(), err error) {
	own := *d.cfg
	own.Subscriptions, own.Outbox, own.Admin.Listen = nil, nil, "127.0.0.1:0"
	a, err := NewRelay(&own, openAPI, d.logger)
	if err != nil {
		return nil, nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = a.Run(running) // nobody needs its admin listener
	}()
	end = func() { stop(); <-done }
	first, cancel := context.WithTimeout(ctx, doorPatience)
	defer cancel()
	a.AwaitReady(first)
	return &letterDoor{cfg: d.cfg, door: a.door, eventType: eventType, again: again}, end, nil
}

// Accept implements deadletter.Door.
func (d *letterDoor) Accept(ctx context.Context, r *deadletter.Record, l *deadletter.Letter) (at deadletter.Place, refused bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, doorPatience)
	defer cancel()
	for {
		req := doorRequest(d.cfg, r, l, d.eventType, d.again)
		result, err := d.door.Accept(ctx, req)
		if err == nil {
			receipt := result.Receipt
			return deadletter.Place{Topic: receipt.Topic, Partition: receipt.Partition, Offset: receipt.Offset}, false, nil
		}
		if why := refusal(err); why != "" {
			return at, true, errors.New(why)
		}
		if !backoff.Sleep(ctx, doorPause) { // its outcome may be unknown: the same claim finds out
			return at, false, fmt.Errorf("publish %s anew: %w", l.Place, err)
		}
	}
}

// refusal says why an event can never be published as it is, "" if it can.
func refusal(err error) string {
	var e *event.Error
	if !errors.As(err, &e) {
		return ""
	}
	switch e.Kind {
	case event.MalformedJSON, event.MalformedRequest, event.UnknownEventType, event.SchemaViolation, event.KeyMissing,
		event.EventTooLarge, event.UnsupportedMediaType, event.MethodNotAllowed, event.IdempotencyKeyReused, event.IdempotencyKeyMissing:
		text := string(e.Kind) + ": " + e.Detail
		if len(e.Violations) > 0 {
			text += " (" + e.Violations[0].Pointer + ": " + e.Violations[0].Message + ")"
		}
		return text
	}
	return ""
}

// doorRequest is the event of a letter as a client would send it.
func doorRequest(cfg *config.Config, r *deadletter.Record, l *deadletter.Letter, eventType string, again time.Time) ingest.Request {
	req := ingest.Request{Client: replayClient}
	contentType := ""
	var others []event.Header
	for _, h := range deadletter.Headers(r, l) {
		value := string(h.Value)
		name, attribute := strings.CutPrefix(h.Key, "ce_")
		switch {
		case h.Key == event.HeaderContentType:
			contentType = value
		case h.Key == event.HeaderTraceParent:
			req.Attributes.TraceParent = value
		case h.Key == event.HeaderTraceState:
			req.Attributes.TraceState = value
		case attribute:
			setAttribute(&req.Attributes, name, value)
		case !strings.HasPrefix(h.Key, "gw_"):
			others = append(others, event.Header{Name: h.Key, Value: value})
		}
	}
	req.Type, req.Data = l.Type, r.Value
	mediaType, _, _ := strings.Cut(contentType, ";")
	req.MediaType = strings.ToLower(strings.TrimSpace(mediaType))
	req.ContentType = contentType
	if req.MediaType == "application/cloudevents+json" { // the value is the whole event
		if data, ok := (strictjson.Pointer{"data"}).Find(r.Value); ok {
			req.Data = data
		}
		req.MediaType, req.ContentType = "", ""
	}
	if req.MediaType == "" {
		req.MediaType, req.ContentType = "application/json", ""
	}
	if at := slices.IndexFunc(cfg.Webhooks, func(w config.Webhook) bool { return w.Name == l.Consumer }); at >= 0 && l.Dialect == deadletter.Webhook {
		// The rules of its source, where the entity key is, for example.
		hook := WebhookRequest(cfg.Webhooks[at], webhook.Delivery{EventType: req.Type, Data: req.Data, MediaType: req.MediaType})
		hook.Attributes, hook.DeadLetter = req.Attributes, nil
		req = hook
	}
	if eventType != "" {
		req.Type = eventType
	}
	if r.Value == nil && r.Key != nil {
		key := string(r.Key)
		req.Tombstone = &key
	}
	parts := []string{"dead letter", l.Place.String(), strconv.FormatInt(l.Written.UnixMilli(), 10)}
	if !again.IsZero() {
		parts = append(parts, strconv.FormatInt(again.UnixMilli(), 10))
	}
	req.Identity = event.Identity{Kind: event.IdentityKey, Parts: parts}
	req.Headers = append(others,
		event.Header{Name: event.DeadRounds, Value: strconv.Itoa(l.Rounds)}, event.Header{Name: event.ReplayOf, Value: l.Place.String()})
	return req
}

func setAttribute(a *event.Attributes, name, value string) {
	switch name {
	case "specversion", "type", "dataschema":
	case "id":
		a.ID = value
	case "source":
		a.Source = value
	case "time":
		a.Time = value
	case "subject":
		a.Subject = value
	default:
		a.Extensions = append(a.Extensions, event.Extension{Name: name, Value: value})
	}
}
