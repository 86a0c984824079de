package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"golang.org/x/sync/errgroup"

	"eventgateway/internal/backoff"
)

// refusal is a way in which a topic refuses records for good. Each has a topic of its
// own, whose type is posted only while it refuses.
type refusal struct {
	eventType string
	pad       int // bytes that events have besides
	change    func(ctx context.Context, k *kafka, topic string) error
	restore   func(ctx context.Context, k *kafka, topic string) error
}

// config is a refusal that a setting of the topic makes.
func config(eventType, name, refusing, accepting string) refusal {
	set := func(value string) func(context.Context, *kafka, string) error {
		return func(ctx context.Context, k *kafka, topic string) error { return k.setTopic(ctx, topic, name, value) }
	}
	return refusal{eventType: eventType, change: set(refusing), restore: set(accepting)}
}

func refusals(guarantee string) []refusal {
	sized := config(sizedType, "max.message.bytes", "2000", "1048588")
	sized.pad = 3000
	list := []refusal{
		{
			eventType: deniedType,
			change:    func(ctx context.Context, k *kafka, topic string) error { return k.denyWrites(ctx, topic) },
			restore:   func(ctx context.Context, k *kafka, topic string) error { return k.allowWrites(ctx, topic) },
		},
		config(compactedType, "cleanup.policy", "compact", "delete"),
		sized,
	}
	if guarantee == transactional {
		// Under the setting below Kafka refuses the markers of transactions as well, and
		// never ends them.
		return list
	}
	// A record that arrives within the millisecond of its time is accepted.
	return append(list, config(datedType, "message.timestamp.before.max.ms", "0", "9223372036854775807"))
}

const (
	refusedInFlight = 64  // requests at a time; events above it are not posted
	refusedAttempts = 2   // of one event while its topic refuses
	mostUnresolved  = 400 // events that are posted again when the faults are over
)

// refusedKeys are events that were refused, or whose outcome is unknown, and that are
// posted until they are accepted when no topic refuses any more.
type refusedKeys struct {
	mu   sync.Mutex
	used int
	jobs []*job
}

func (r *refusedKeys) next(kind refusal) *job {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used++
	name := fmt.Sprintf("refused-%d", r.used)
	return singleJob(&Key{Name: name, Entity: name, Type: kind.eventType, Pad: kind.pad, Valid: true})
}

// keep replaces an event at random once there are enough.
func (r *refusedKeys) keep(j *job, dice *rand.Rand) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.jobs) < mostUnresolved {
		r.jobs = append(r.jobs, j)
	} else {
		r.jobs[dice.IntN(mostUnresolved)] = j
	}
}

// refuse makes topics refuse, and posts events of their types at a steady rate whatever
// the answers are. Half of the time, and always in a run of faults together, the topics
// take records again for a moment every few seconds: what a gateway has learned of them
// is wrong again and again, and records reach brokers that refuse them.
func refuse(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
	kinds, rate := refusals(w.opts.Guarantee), w.opts.Refusals
	if !w.opts.Together {
		dice.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		kinds, rate = kinds[:1+dice.IntN(len(kinds))], min(rate, 5+dice.IntN(rate))
	}
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = strings.TrimPrefix(k.eventType, "torture.")
		if err := k.change(ctx, w.kafka, eventTypes()[k.eventType].topic); err != nil {
			return nil, err
		}
	}
	run, stop := context.WithCancel(ctx)
	var work errgroup.Group
	draw := func() *rand.Rand { return rand.New(rand.NewPCG(dice.Uint64(), 0)) }
	posting := draw()
	work.Go(func() error {
		w.postRefused(run, kinds, rate, posting)
		return nil
	})
	target := fmt.Sprintf("%s, %d/s", strings.Join(names, " "), rate)
	if w.opts.Together || dice.IntN(2) == 0 {
		target += ", on and off"
		for _, k := range kinds {
			own := draw()
			work.Go(func() error { return k.waver(run, w.kafka, own) })
		}
	}
	return &fault{
		target: target, wait: lasting(between(dice, 3*time.Second, 12*time.Second)),
		heal: func(ctx context.Context) error {
			stop()
			errs := []error{work.Wait()}
			for _, k := range kinds {
				errs = append(errs, k.restore(ctx, w.kafka, eventTypes()[k.eventType].topic))
			}
			return errors.Join(errs...)
		},
	}, nil
}

// waver makes a topic that refuses take records now and then, until ctx ends.
func (r refusal) waver(ctx context.Context, k *kafka, dice *rand.Rand) error {
	topic := eventTypes()[r.eventType].topic
	for {
		for _, step := range []struct {
			from, to time.Duration
			do       func(context.Context, *kafka, string) error
		}{{time.Second, 4 * time.Second, r.restore}, {500 * time.Millisecond, 2 * time.Second, r.change}} {
			if !backoff.Sleep(ctx, between(dice, step.from, step.to)) {
				return nil
			}
			// A change whose answer nobody waits for could come after the last restore.
			if err := step.do(context.WithoutCancel(ctx), k, topic); err != nil {
				return err
			}
		}
	}
}

// postRefused posts until ctx ends, and then waits for the last answers.
func (w *world) postRefused(ctx context.Context, kinds []refusal, rate int, dice *rand.Rand) {
	var callers sync.WaitGroup
	defer callers.Wait()
	slots := make(chan struct{}, refusedInFlight)
	for next := time.Now(); backoff.Sleep(ctx, time.Until(next)); next = next.Add(time.Second / time.Duration(rate)) {
		select {
		case slots <- struct{}{}:
		default:
			continue
		}
		kind, own := kinds[dice.IntN(len(kinds))], rand.New(rand.NewPCG(dice.Uint64(), 0))
		callers.Go(func() {
			w.postRefusedOnce(ctx, w.refused.next(kind), own)
			<-slots
		})
	}
}

func (w *world) postRefusedOnce(ctx context.Context, j *job, dice *rand.Rand) {
	w.history.begin(j.keys...)
	for range refusedAttempts {
		attempts, asked := w.posters[dice.IntN(len(w.posters))].post(ctx, w.history, j, j.keys)
		if answered(j.keys, attempts) {
			return
		}
		if !backoff.Sleep(ctx, retryPause(asked, dice)) {
			break
		}
	}
	if dice.IntN(2) == 0 || !j.surelyNotWritten() { // the others are given up: they must not be in the log
		w.refused.keep(j, dice)
	}
}

// finishRefused posts the events that are left until they are accepted. An event that
// gets a final refusal even now is given up.
func (c *clients) finishRefused(ctx context.Context, r *refusedKeys, o *Options) {
	r.mu.Lock()
	defer r.mu.Unlock()
	const side = 16
	for n := range side {
		w := newWorker(c, -1-n, o, nil, nil)
		c.workers.Go(func() {
			for i := n; i < len(r.jobs); i += side {
				w.postUntilDone(ctx, r.jobs[i], w.pick, w.dice, false)
			}
		})
	}
}

// retryAdmin repeats a question until it succeeds: a broker may be away or stand still.
func retryAdmin(ctx context.Context, what string, ask func(ctx context.Context) error) error {
	const limit, pause = time.Minute, 200 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		if !backoff.Sleep(ctx, pause) {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

func (k *kafka) setTopic(ctx context.Context, topic, name, value string) error {
	return retryAdmin(ctx, "configure topic", func(ctx context.Context) error {
		responses, err := k.admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: name, Value: &value}}, topic)
		for _, r := range responses {
			err = errors.Join(err, r.Err)
		}
		return err
	})
}

// acl is about the topic and everybody: on these listeners all are User:ANONYMOUS.
func acl(topic string) *kadm.ACLBuilder {
	return kadm.NewACLs().Topics(topic).ResourcePatternType(kadm.ACLPatternLiteral)
}

// allowAll makes everything on a topic allowed, now that there are rules about it.
func (k *kafka) allowAll(ctx context.Context, topic string) error {
	return k.createACLs(ctx, acl(topic).Allow("User:*").AllowHosts("*").Operations(kadm.OpAll))
}

func (k *kafka) denyWrites(ctx context.Context, topic string) error {
	return k.createACLs(ctx, acl(topic).Deny("User:*").DenyHosts("*").Operations(kadm.OpWrite))
}

func (k *kafka) createACLs(ctx context.Context, b *kadm.ACLBuilder) error {
	return retryAdmin(ctx, "create access rule", func(ctx context.Context) error {
		results, err := k.admin.CreateACLs(ctx, b)
		for _, r := range results {
			err = errors.Join(err, r.Err)
		}
		return err
	})
}

func (k *kafka) allowWrites(ctx context.Context, topic string) error {
	return retryAdmin(ctx, "delete access rule", func(ctx context.Context) error {
		results, err := k.admin.DeleteACLs(ctx, acl(topic).Deny("User:*").DenyHosts("*").Operations(kadm.OpWrite))
		for _, r := range results {
			err = errors.Join(err, r.Err)
		}
		return err
	})
}
