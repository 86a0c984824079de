package torture

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"eventgateway/internal/failpoint"
	"eventgateway/test/services"
)

// The guarantees of kafka.guarantee.
const (
	idempotent    = "idempotent"
	transactional = "transactional"
)

// The topologies of Redis.
const (
	redisSingle  = "single"
	redisReplica = "replica"
	redisCluster = "cluster"
)

// Options say what is broken, how, and for how long.
type Options struct {
	Seed      uint64
	Guarantee string // idempotent or transactional
	Client    string // kafka.client of the gateways; "": it is not configured
	Kafka     string // one, three or four
	Redis     string // single, replica or cluster
	Gateways  int
	// Outbox makes the gateways relays of an outbox, with this reader: poll or wal. Writers
	// take the place of the clients. "": gateways serve.
	Outbox string
	// Subscriptions lets the gateways push events to an endpoint. A writer takes the place of
	// the clients.
	Subscriptions bool
	Poison        int           // of so many events of a subscription, one can never be delivered
	Outage        time.Duration // the longest of its endpoint; Rebuild must allow to catch up

	// A run ends when it has both Events and Faults, and at Duration at the
	// latest, if that is not 0.
	Events   int
	Faults   int
	Duration time.Duration

	Clients int // that post at the same time
	Rate    int // new keys a second, all clients together
	// Batches and Webhooks are the shares of clients and rate, in percent, whose
	// events are posted in batches and as webhooks.
	Batches, Webhooks int
	// Keyless and Small are the shares of single events, in percent, that have no
	// entity, and whose topic takes small records only. Large is the share of the
	// orders among them that have up to 200 kB.
	Keyless, Small, Large int
	Lease                 time.Duration // idempotency.lease
	Window                time.Duration // idempotency.ttl: clients use a key for two thirds of it
	Delivery              time.Duration // kafka.delivery_timeout; short, so that leases may be short too
	Limit                 time.Duration // for service to be back (rule f)
	// Rebuild is added to Limit after faults that lose claims: those have to be read
	// back from the log first.
	Rebuild time.Duration
	Skew    time.Duration // of the clock of every second gateway

	Binary string   // a gateway built with -tags torture; "": build it from Root
	Root   string   // "": this repository
	Race   bool     // build with the race detector
	Set    []string // further configuration: path=value
	Only   []string // kinds of faults; empty: all that fit
	// Together begins the faults of Only, or refusals and broken connections, all at
	// once, and ends them with the run. There are no others.
	Together bool
	Refusals int      // most events a second that topics refuse during the fault "refusals"
	Points   []string // failpoints; empty: all that fit
	// StopEarly ends the run at the first record that is in the log twice, or after a
	// later one of its entity.
	StopEarly bool
	Out       io.Writer
	blast     bool   // of Blast: the gateways' own default times
	Results   string // folder for reports of violations; "": .torture of the repository
}

// Defaults returns the options of a run without flags.
func Defaults() Options {
	return Options{
		Guarantee: idempotent, Kafka: "one", Redis: redisSingle, Gateways: 2,
		Duration: time.Minute, Clients: 48, Rate: 400, Batches: 35, Webhooks: 25, Keyless: 15, Small: 15, Large: 1, Lease: 9 * time.Second, Window: time.Hour, Delivery: 2 * time.Second,
		Limit: 30 * time.Second, Rebuild: 30 * time.Second, Refusals: 100, Poison: 1000, Outage: 10 * time.Second, Out: os.Stdout,
	}
}

// The lease has to outlast a slow claim, the delivery timeout, and the time until the
// gateway has noticed it. margin is what a busy machine adds.
const (
	slowClaim = 2 * time.Second
	notice    = 1500 * time.Millisecond
	margin    = 500 * time.Millisecond
	// leaseOver is how much longer than the delivery timeout the shortest lease is that
	// a gateway accepts.
	leaseOver = 3 * time.Second
	// briefest is a standstill that the shortest lease allows.
	briefest = 500 * time.Millisecond
)

// beforeStall is the latest time after its claim at which a record may be sent.
func (o *Options) beforeStall() time.Duration { return slowClaim + o.Delivery + notice + margin }

// tight says that the lease leaves no time for a slow claim and a standstill in one
// event's life. Then claims must not be slow while something stands still: such faults
// are never injected beside those of Redis.
func (o *Options) tight() bool { return o.Lease-o.beforeStall() < briefest }

// brief is the longest that bytes, brokers and gateways may stand still where no
// produce request may outlive the lease. It should exceed the delivery timeout: then
// records that were given up as unknown are still written. A tight lease does not allow
// that.
func (o *Options) brief() time.Duration { return max(o.Lease-o.beforeStall(), briefest) }

// answerLimit is how long a client waits for an answer: longer than a healthy gateway
// needs, so that mostly unhealthy ones exceed it.
func (o *Options) answerLimit() time.Duration { return o.Delivery + 4*time.Second }

// Flags binds the options to a flag set.
func (o *Options) Flags(fs *flag.FlagSet) {
	fs.Uint64Var(&o.Seed, "seed", o.Seed, "schedule of the faults; 0 chooses one")
	fs.StringVar(&o.Guarantee, "guarantee", o.Guarantee, "idempotent or transactional")
	fs.StringVar(&o.Client, "client", o.Client, "kafka.client of the gateways: auto, franz or librdkafka; none: it is not configured")
	fs.StringVar(&o.Kafka, "kafka", o.Kafka, "brokers: one, three or four")
	fs.StringVar(&o.Redis, "redis", o.Redis, "single, replica or cluster")
	fs.StringVar(&o.Outbox, "outbox", o.Outbox, "reader of the relays, poll or wal: gateways relay the outbox of a PostgreSQL, and transactions take the place of requests")
	fs.BoolVar(&o.Subscriptions, "subscriptions", o.Subscriptions, "gateways push events to an endpoint, and a writer takes the place of the clients")
	fs.IntVar(&o.Poison, "poison", o.Poison, "of so many events of a subscription, one can never be delivered")
	fs.DurationVar(&o.Outage, "outage", o.Outage, "the longest trouble of a subscription's endpoint; -rebuild must allow to catch up")
	fs.IntVar(&o.Gateways, "gateways", o.Gateways, "gateways: 2 to 4")
	fs.IntVar(&o.Events, "events", o.Events, "accepted events that the run needs")
	fs.IntVar(&o.Faults, "faults", o.Faults, "faults that the run needs")
	fs.DurationVar(&o.Duration, "duration", o.Duration, "end of the run whatever it has by then; 0: none")
	fs.IntVar(&o.Clients, "clients", o.Clients, "clients that post at the same time")
	fs.IntVar(&o.Rate, "rate", o.Rate, "new keys a second")
	fs.IntVar(&o.Batches, "batches", o.Batches, "percent of clients and rate that post batches")
	fs.IntVar(&o.Webhooks, "webhooks", o.Webhooks, "percent of clients and rate that deliver webhooks")
	fs.IntVar(&o.Keyless, "keyless", o.Keyless, "percent of single events without an entity")
	fs.IntVar(&o.Small, "small", o.Small, "percent of single events whose topic takes 64 KiB at most")
	fs.IntVar(&o.Large, "large", o.Large, "percent of single orders with up to 200 kB")
	fs.DurationVar(&o.Lease, "lease", o.Lease, "idempotency.lease: at least 3s more than -delivery")
	fs.DurationVar(&o.Window, "window", o.Window, "idempotency.ttl: clients use a key for two thirds of it")
	fs.DurationVar(&o.Delivery, "delivery", o.Delivery, "kafka.delivery_timeout")
	fs.DurationVar(&o.Limit, "limit", o.Limit, "for service to be back after a fault")
	fs.DurationVar(&o.Rebuild, "rebuild", o.Rebuild, "added to -limit after faults that lose claims")
	fs.DurationVar(&o.Skew, "skew", o.Skew, "of the clock of every second gateway (where the code asks failpoint.Now)")
	fs.StringVar(&o.Binary, "binary", o.Binary, "gateway built with -tags torture; none: build it")
	fs.StringVar(&o.Root, "root", o.Root, "sources to build the gateway from; none: this repository")
	fs.BoolVar(&o.Race, "race", o.Race, "build the gateway with the race detector")
	fs.BoolVar(&o.Together, "together", o.Together, "the faults of -only (none: refusals,kafka-break-answers) all at once and for the whole run")
	fs.IntVar(&o.Refusals, "refusals", o.Refusals, "most events a second that topics refuse during the fault refusals; with -together, exactly so many")
	fs.BoolVar(&o.StopEarly, "stop-early", o.StopEarly, "end at the first record that is in the log twice or out of order")
	fs.Func("set", "further configuration, `PATH=VALUE`; may be repeated", func(s string) error {
		o.Set = append(o.Set, s)
		return nil
	})
	fs.Func("points", "`NAMES` of failpoints, separated by commas", func(s string) error {
		o.Points = append(o.Points, strings.Split(s, ",")...)
		return nil
	})
	fs.Func("only", "`KINDS` of faults, separated by commas", func(s string) error {
		o.Only = append(o.Only, strings.Split(s, ",")...)
		return nil
	})
}

// validate reports everything that is wrong.
func (o *Options) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(slices.Contains([]string{idempotent, transactional}, o.Guarantee), "guarantee %q is neither idempotent nor transactional", o.Guarantee)
	check(slices.Contains([]string{"", "auto", "franz", "librdkafka"}, o.Client), "client %q is none of auto, franz, librdkafka", o.Client)
	check(o.brokers() > 0, "kafka %q is none of one, three, four", o.Kafka)
	check(slices.Contains([]string{redisSingle, redisReplica, redisCluster}, o.Redis), "redis %q is none of single, replica, cluster", o.Redis)
	check(slices.Contains([]string{"", readPoll, readWAL}, o.Outbox), "outbox %q is neither poll nor wal", o.Outbox)
	check(!o.Together || o.Outbox == "", "the faults of -together need requests: leave out -outbox")
	check(!o.Subscriptions || o.Outbox == "" && !o.Together, "leave out -outbox and -together, or -subscriptions")
	check(o.Outage >= time.Second, "outage %v: at least 1s", o.Outage)
	check(o.Gateways >= 2 && o.Gateways <= 4, "%d gateways: 2 to 4", o.Gateways)
	check(o.Duration > 0 || o.Events > 0 || o.Faults > 0, "the run would have no end: give a duration, events or faults")
	check(o.Batches >= 0 && o.Webhooks >= 0 && o.Batches+o.Webhooks <= 100, "batches %d %%, webhooks %d %%: more than 100 %% or less than 0", o.Batches, o.Webhooks)
	check(o.Keyless >= 0 && o.Small >= 0 && o.Keyless+o.Small <= 100, "keyless %d %%, small %d %%: more than 100 %% or less than 0", o.Keyless, o.Small)
	check(o.Large >= 0 && o.Large <= 100, "large %d %%: more than 100 %% or less than 0", o.Large)
	check(o.Clients > 0 && o.Rate > 0 && o.Refusals > 0 && o.Poison > 0, "clients, rate, refusals and poison must be more than 0")
	check(!o.Together || o.Duration > 0, "faults together last for the duration of the run: give one")
	check(o.Delivery >= time.Second, "delivery timeout %v: at least 1s", o.Delivery)
	check(o.Lease >= o.Delivery+leaseOver, "lease %v: must be at least %v", o.Lease, o.Delivery+leaseOver)
	for _, kind := range o.Only {
		check(slices.ContainsFunc(faultKinds(), func(k faultKind) bool { return k.name == kind }), "no fault %q", kind)
	}
	for _, point := range o.Points {
		check(slices.Contains(o.points(), point), "no failpoint %q under this guarantee", point)
	}
	return errors.Join(errs...)
}

// points are the failpoints that the guarantee's code passes.
func (o *Options) points() []string {
	return slices.DeleteFunc(failpoint.Points(), func(p string) bool {
		onlyTransactional := p == failpoint.Committing || p == failpoint.Committed || p == failpoint.Fenced
		return onlyTransactional && o.Guarantee != transactional || slices.Contains(failpoint.OutboxPoints(), p) && o.Outbox == ""
	})
}

func (o *Options) brokers() int {
	return map[string]int{"one": 1, "three": 3, "four": 4}[o.Kafka]
}

// replicas of each topic's partitions.
func (o *Options) replicas() int { return min(o.brokers(), 3) }

// results creates the folder for the report of a run. Git ignores it.
func (o *Options) results() (string, error) {
	dir := o.Results
	if dir == "" {
		root, err := services.RepoRoot()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(root, ".torture")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", fmt.Errorf("create results folder: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("*\n"), 0o600); err != nil {
			return "", fmt.Errorf("create results folder: %w", err)
		}
	}
	dir = filepath.Join(dir, fmt.Sprintf("%s-seed-%d", time.Now().Format("20060102-150405"), o.Seed))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("create results folder: %w", err)
	}
	return dir, nil
}
