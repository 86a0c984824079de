package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

func hasSubscription(o *Options) bool { return o.Subscriptions }

// pushWeight is how likely a fault is in a run of subscriptions; 0: it has no part in them.
// What a gateway does with Redis is no matter of theirs.
func pushWeight(fault string) int {
	switch fault {
	case "gateway-kill":
		return 20
	case "gateway-leave":
		return 12
	case "dead-letters-refused":
		return 6
	case "broker-kill", "gateway-pause", "gateway-pause-beyond-lease", "kafka-cut", "kafka-half-open", "kafka-stall-beyond-lease", "kafka-break-answers",
		"endpoint-404", "endpoint-500", "endpoint-silent", "endpoint-resets", "endpoint-503":
		return 4
	case "leader-kill", "broker-pause", "broker-pause-beyond-lease", "kafka-silent-host", "kafka-delay", "kafka-stall", "gateway-rolling-restart":
		return 2
	}
	return 0
}

// pushFaults break what only subscriptions have.
func pushFaults() []faultKind {
	endpoint := func(kind troubleKind, share func(dice *rand.Rand) float64) faultKind {
		// Its events wait: service has a backlog to deliver first.
		return faultKind{name: "endpoint-" + string(kind), part: partEndpoint, loses: true, fits: hasSubscription, begin: func(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
			e, t := w.push.endpoint, &trouble{kind: kind, share: share(dice), over: make(chan struct{})}
			e.trouble.Store(t)
			return &fault{
				target: fmt.Sprintf("%.0f %% of attempts", 100*t.share), wait: lasting(between(dice, time.Second, w.opts.Outage)),
				heal: func(context.Context) error { e.calm(); return nil },
			}, nil
		}}
	}
	all := func(*rand.Rand) float64 { return 1 }
	some := func(dice *rand.Rand) float64 { return 0.1 + 0.6*dice.Float64() }
	return []faultKind{
		{name: "gateway-leave", part: partGateway, fits: hasSubscription, begin: leaveGateway},
		endpoint(troubleGone, all),
		endpoint(troubleErrors, some),
		endpoint(troubleSilent, some),
		endpoint(troubleResets, some),
		endpoint(troubleBackOff, some),
		{name: "dead-letters-refused", part: partTopics, fits: hasSubscription, begin: refuseLetters},
	}
}

// leaveGateway removes an instance in order, and adds one after a while.
func leaveGateway(_ context.Context, w *world, dice *rand.Rand) (*fault, error) {
	g, down := w.anyGateway(dice), between(dice, 0, 12*time.Second)
	g.leave()
	return &fault{target: fmt.Sprintf("gateway %d", g.index), wait: lasting(down), heal: func(context.Context) error {
		g.allowRestart()
		return nil
	}}, nil
}

// refuseLetters takes the permission to write dead letters away.
func refuseLetters(ctx context.Context, w *world, dice *rand.Rand) (*fault, error) {
	return &fault{
		target: pushDead, wait: lasting(between(dice, 2*time.Second, 10*time.Second)),
		heal: func(ctx context.Context) error { return w.kafka.allowWrites(ctx, pushDead) },
	}, w.kafka.denyWrites(ctx, pushDead)
}
