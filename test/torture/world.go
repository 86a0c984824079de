package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

// world is everything of a run: the servers and gateways that faults break, and the
// clients' side.
type world struct {
	opts     *Options
	dir      string
	kafka    *kafka
	store    *store
	shop     *shop   // nil: no outbox
	push     *pushes // nil: no subscriptions
	gateways []*gateway
	hooks    hooks
	posters  []*poster
	history  *history
	refused  refusedKeys
	probes   atomic.Int64

	outMu sync.Mutex
	out   io.Writer
}

func (w *world) printf(format string, args ...any) {
	w.outMu.Lock()
	defer w.outMu.Unlock()
	fmt.Fprintf(w.out, format+"\n", args...)
}

// build builds the gateway with its failpoints.
func build(ctx context.Context, o *Options, dir string) (string, error) {
	if o.Binary != "" {
		return filepath.Abs(o.Binary)
	}
	root := o.Root
	if root == "" {
		var err error
		if root, err = services.RepoRoot(); err != nil {
			return "", err
		}
	}
	binary := filepath.Join(dir, "gateway")
	args := []string{"build", "-tags", "torture", "-o", binary}
	if o.Race {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/gateway")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build gateway in %s: %w\n%s", root, err, out)
	}
	return binary, nil
}

// startWorld starts everything. After an error, the world holds what was started until
// then, for close.
func startWorld(ctx context.Context, o *Options, dir string) (*world, error) {
	w := &world{opts: o, dir: dir, out: o.Out}
	binary, err := build(ctx, o, dir)
	if err != nil {
		return w, err
	}
	w.printf("starting %d Kafka broker(s), Redis (%s) and %d gateways; logs are in %s", o.brokers(), o.Redis, o.Gateways, dir)
	if w.hooks, err = newHooks(); err != nil {
		return w, err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { w.kafka, err = startKafka(gctx, o, dir); return err })
	g.Go(func() (err error) { w.store, err = startStore(gctx, o, dir); return err })
	if o.Outbox != "" {
		g.Go(func() (err error) { w.shop, err = startShop(gctx, o, dir); return err })
	}
	if err := g.Wait(); err != nil {
		return w, err
	}
	if err := w.kafka.createTopics(ctx, o); err != nil {
		return w, err
	}
	if err := writeSchemas(filepath.Join(dir, "schemas"), o.blast); err != nil {
		return w, err
	}
	if err := errors.Join(w.makeOutbox(ctx, binary), w.startPushes(ctx)); err != nil {
		return w, err
	}
	for i := range o.Gateways {
		if err := w.startGateway(i, binary); err != nil {
			return w, err
		}
	}
	for _, g := range w.gateways {
		if err := g.waitReady(ctx); err != nil {
			return w, err
		}
	}
	w.history = newHistory()
	if first := w.awaitService(ctx, "the start", o.Limit+o.Rebuild); !first.back {
		return w, fmt.Errorf("start gateways: no service within %v; answers so far: %v", 2*first.limit, w.history.answers)
	}
	return w, nil
}

func (w *world) startGateway(i int, binary string) error {
	public, err := services.FreePort()
	admin, aerr := services.FreePort()
	if err := errors.Join(err, aerr); err != nil {
		return err
	}
	g := &gateway{
		index: i, addr: loopback(public), admin: loopback(admin), binary: binary,
		config:    filepath.Join(w.dir, fmt.Sprintf("gateway-%d.yaml", i)),
		stopLimit: w.opts.Delivery + 20*time.Second, verbs: []string{"serve"},
	}
	if w.shop != nil {
		g.verbs = []string{"outbox", "run"}
	}
	if i%2 == 1 {
		g.skew = w.opts.Skew
	}
	if err := w.writeConfig(g); err != nil {
		return err
	}
	if err := startGateway(g, filepath.Join(w.dir, fmt.Sprintf("gateway-%d.log", i))); err != nil {
		return err
	}
	w.gateways = append(w.gateways, g)
	w.posters = append(w.posters, newPoster(i, g.addr, w.hooks, w.opts.answerLimit()))
	return nil
}

func (w *world) writeConfig(g *gateway) error {
	cfg, err := w.config(g)
	if err != nil {
		return err
	}
	raw, err := yaml.Marshal(cfg)
	if err == nil {
		err = os.WriteFile(g.config, raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// makeOutbox makes the tables of the outbox.
func (w *world) makeOutbox(ctx context.Context, binary string) error {
	if w.shop == nil {
		return nil
	}
	g := &gateway{addr: loopback(0), admin: loopback(0), config: filepath.Join(w.dir, "schema.yaml")}
	if err := w.writeConfig(g); err != nil {
		return err
	}
	return w.shop.createTables(ctx, binary, g.config)
}

// config is a gateway's configuration file.
func (w *world) config(g *gateway) (map[string]any, error) {
	o := w.opts
	cfg := map[string]any{
		"auth": "none", "http": map[string]any{"listen": g.addr}, "admin": map[string]any{"listen": g.admin},
		"kafka": map[string]any{
			"brokers": w.kafka.through(g.index), "guarantee": o.Guarantee,
		},
		"redis":       map[string]any{"addresses": w.store.addresses(g.index)},
		"schemas":     map[string]any{"dir": filepath.Join(w.dir, "schemas"), "watch": false},
		"idempotency": map[string]any{"ttl": o.Window.String()},
	}
	if !o.blast {
		cfg["webhooks"] = hookSettings()
		cfg["kafka"].(map[string]any)["delivery_timeout"] = o.Delivery.String()
		cfg["idempotency"].(map[string]any)["lease"] = o.Lease.String()
	}
	if w.shop != nil {
		cfg["outbox"] = w.shop.settings(o, g.index)
	}
	if w.push != nil {
		cfg["subscriptions"] = w.push.settings()
	}
	if o.Client != "" {
		cfg["kafka"].(map[string]any)["client"] = o.Client
	}
	if o.Guarantee == transactional {
		cfg["kafka"].(map[string]any)["transaction_timeout"] = (o.Delivery + time.Second).String()
	}
	for _, set := range o.Set {
		path, text, ok := strings.Cut(set, "=")
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil || !ok {
			return nil, fmt.Errorf("set %q: not PATH=VALUE", set)
		}
		at, names := cfg, strings.Split(path, ".")
		for _, name := range names[:len(names)-1] {
			inner, ok := at[name].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[name] = inner
			}
			at = inner
		}
		at[names[len(names)-1]] = value
	}
	return cfg, nil
}

// healAll makes sure that no fault is left; the scheduler has healed its own.
func (w *world) healAll() {
	for _, ps := range append(w.kafka.proxies, w.store.proxies...) {
		for _, p := range ps {
			p.heal()
		}
	}
	if w.shop != nil {
		for _, p := range w.shop.proxies {
			p.heal()
		}
	}
	if w.push != nil {
		w.push.endpoint.calm()
	}
	for _, g := range w.gateways {
		g.resume()
		g.allowRestart()
	}
}

// stopGateways stops the gateways side by side, in order, and returns what they did
// wrong besides their answers.
func (w *world) stopGateways() []Violation {
	var wg sync.WaitGroup
	for _, g := range w.gateways {
		wg.Go(g.stop)
	}
	wg.Wait()
	var found []Violation
	for _, g := range w.gateways {
		for _, text := range g.unexpected() {
			found = append(found, Violation{Rule: "g", Text: text})
		}
	}
	return found
}

// close ends everything that runs. The world may be incomplete.
func (w *world) close() {
	for _, g := range w.gateways {
		g.mu.Lock()
		g.stopping, g.expected = true, true
		g.mu.Unlock()
		g.process().signal(9)
		<-g.watched
	}
	if w.push != nil {
		w.push.close()
	}
	if w.kafka != nil {
		w.kafka.close()
	}
	if w.store != nil {
		w.store.close()
	}
	if w.shop != nil {
		w.shop.close()
	}
}

// dump saves the stacks of every gateway at the moment when service is missing.
func (w *world) dump() {
	for _, g := range w.gateways {
		path := filepath.Join(w.dir, fmt.Sprintf("gateway-%d-goroutines-at-%.0fs.txt", g.index, w.history.since().Seconds()))
		if err := os.WriteFile(path, g.goroutines(), 0o600); err != nil {
			w.printf("dump gateway %d: %v", g.index, err)
		}
	}
}

// progress prints a line every ten seconds until ctx ends.
func (w *world) progress(ctx context.Context, t *tail) {
	const interval = 10 * time.Second
	for backoff.Sleep(ctx, interval) {
		accepted, keys := w.history.totals()
		w.printf("%6.0fs  %d keys, %d accepted, %d records, %d of them duplicates",
			w.history.since().Seconds(), keys, accepted, t.records.Load(), t.duplicates.Load())
	}
}
