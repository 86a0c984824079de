package torture

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

// kafka is the brokers and the proxies in front of them. Kafka clients connect to the
// addresses that brokers advertise, so each broker has a listener per gateway,
// which advertises the address of a proxy that only this gateway uses. The
// harness and the checker use the listener PLAINTEXT, past all proxies.
type kafka struct {
	nodes   []*services.Kafka
	proxies [][]*proxy // by gateway, then by broker
	links   map[link]*proxy
	client  *kgo.Client
	admin   *kadm.Client
	added   int // partitions that were added
}

// link is what a node uses to reach another node's controller. Only Blast has
// proxies there.
type link struct{ from, to int } // node ids

const (
	firstPartitions = 6
	adminTimeout    = 20 * time.Second
)

// startKafka starts the brokers side by side.
func startKafka(ctx context.Context, o *Options, dir string) (*kafka, error) {
	k := &kafka{nodes: make([]*services.Kafka, o.brokers()), proxies: make([][]*proxy, o.Gateways)}
	cfgs, err := k.configure(o, dir)
	if err != nil {
		return k, err
	}
	g, gctx := errgroup.WithContext(ctx)
	for i := range cfgs {
		g.Go(func() (err error) {
			k.nodes[i], err = services.StartKafka(gctx, cfgs[i])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return k, err
	}
	if k.client, err = kgo.NewClient(kgo.SeedBrokers(k.direct()...)); err != nil {
		return k, fmt.Errorf("make kafka client: %w", err)
	}
	k.admin = kadm.NewClient(k.client)
	return k, nil
}

// createTopics makes the topics of all types.
func (k *kafka) createTopics(ctx context.Context, o *Options) error {
	var g errgroup.Group
	for topic, limit := range topics() {
		g.Go(func() error { return k.createTopic(ctx, o, topic, limit) })
	}
	g.Go(func() error { return k.allowAll(ctx, deniedType) })
	return g.Wait()
}

// configure opens the proxies and writes each broker's listeners.
func (k *kafka) configure(o *Options, dir string) ([]services.KafkaConfig, error) {
	n := o.brokers()
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)
	raw[0] &= 0x7f           // no leading "-", which StorageTool would take for an option
	id := base64.RawURLEncoding.EncodeToString(raw[:])
	voters := map[int]string{}
	cfgs := make([]services.KafkaConfig, n)
	for i := range cfgs {
		port, err := services.FreePort()
		controller, cerr := services.FreePort()
		if err := errors.Join(err, cerr); err != nil {
			return nil, err
		}
		voters[i+1] = loopback(controller)
		heap := "-Xmx384m"
		if n == 1 {
			heap = "-Xmx512m"
		}
		cfgs[i] = services.KafkaConfig{
			Dir: filepath.Join(dir, fmt.Sprintf("kafka-%d", i+1)), Port: port, ControllerPort: controller,
			NodeID: i + 1, ClusterID: id, Voters: voters, JVMArgs: []string{"-Xms256m", heap},
			Properties: brokerProperties(o),
		}
		if err := k.addListeners(&cfgs[i], o.Gateways); err != nil {
			return nil, err
		}
	}
	if !o.blast {
		return cfgs, nil
	}
	return cfgs, k.addLinks(cfgs)
}

// addLinks puts a proxy between each node and every other node's controller.
func (k *kafka) addLinks(cfgs []services.KafkaConfig) error {
	k.links = map[link]*proxy{}
	for i := range cfgs {
		own := maps.Clone(cfgs[i].Voters)
		for id, addr := range cfgs[i].Voters {
			if id == cfgs[i].NodeID {
				continue
			}
			p, err := newProxy(addr)
			if err != nil {
				return err
			}
			k.links[link{cfgs[i].NodeID, id}], own[id] = p, p.addr()
		}
		cfgs[i].Voters = own
	}
	return nil
}

func brokerProperties(o *Options) map[string]string {
	p := map[string]string{
		// Transactions of a killed gateway end soon after their timeout.
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
		"transaction.max.timeout.ms":                                  fmt.Sprint(max(15*time.Minute, o.Lease).Milliseconds()),
		"log.retention.ms":                                            "-1", // the checker reads everything

		// Everything is allowed that no rule is about, so that a rule can take the
		// permission to write away. Controllers cannot know the rules before they have
		// elected a leader: they have names of their own, and may do everything.
		"authorizer.class.name":                            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"allow.everyone.if.no.acl.found":                   "true",
		"super.users":                                      "User:controller",
		"sasl.mechanism.controller.protocol":               "PLAIN",
		"listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
		"listener.name.controller.plain.sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule required " +
			`username="controller" password="controller" user_controller="controller";`,
	}
	if o.blast { // Kafka's own defaults
		p["broker.session.timeout.ms"], p["broker.heartbeat.interval.ms"] = "9000", "2000"
	} else {
		p["replica.lag.time.max.ms"] = "2000" // the recovery read waits for it on quiet partitions
	}
	return p
}

// addListeners gives a broker one listener per gateway, each behind a proxy.
func (k *kafka) addListeners(c *services.KafkaConfig, gateways int) error {
	listeners := []string{"PLAINTEXT://" + loopback(c.Port), "CONTROLLER://" + loopback(c.ControllerPort)}
	advertised := []string{"PLAINTEXT://" + loopback(c.Port)}
	protocols := []string{"PLAINTEXT:PLAINTEXT", "CONTROLLER:SASL_PLAINTEXT"}
	for g := range gateways {
		port, err := services.FreePort()
		if err != nil {
			return err
		}
		p, err := newProxy(loopback(port))
		if err != nil {
			return err
		}
		k.proxies[g] = append(k.proxies[g], p)
		name := fmt.Sprintf("GATEWAY%d", g)
		listeners = append(listeners, name+"://"+loopback(port))
		advertised = append(advertised, name+"://"+p.addr())
		protocols = append(protocols, name+":PLAINTEXT")
	}
	maps.Copy(c.Properties, map[string]string{
		"listeners": strings.Join(listeners, ","), "advertised.listeners": strings.Join(advertised, ","),
		"listener.security.protocol.map": strings.Join(protocols, ","),
	})
	return nil
}

// direct returns the addresses past the proxies.
func (k *kafka) direct() []string {
	addrs := make([]string, len(k.nodes))
	for i, n := range k.nodes {
		addrs[i] = n.Addr()
	}
	return addrs
}

// through returns the addresses that one gateway is given.
func (k *kafka) through(gateway int) []string {
	addrs := make([]string, len(k.proxies[gateway]))
	for i, p := range k.proxies[gateway] {
		addrs[i] = p.addr()
	}
	return addrs
}

func (k *kafka) createTopic(ctx context.Context, o *Options, topic string, limit int) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	// A topic that is compacted for a while must lose nothing: the checker reads it.
	configs := map[string]*string{"min.compaction.lag.ms": kadm.StringPtr(fmt.Sprint(24 * time.Hour.Milliseconds()))}
	if limit > 0 {
		configs["max.message.bytes"] = kadm.StringPtr(fmt.Sprint(limit))
	}
	_, err := k.admin.CreateTopic(ctx, firstPartitions, int16(o.replicas()), configs, topic)
	for err == nil {
		var ends kadm.ListedOffsets
		if ends, err = k.admin.ListEndOffsets(ctx, topic); err == nil && ends.Error() == nil {
			return nil // every partition has a leader
		}
		if !backoff.Sleep(ctx, 100*time.Millisecond) {
			err = errors.Join(err, ends.Error())
		}
	}
	return fmt.Errorf("create topic: %w", err)
}

// leader returns the index of the broker that leads a partition.
func (k *kafka) leader(ctx context.Context, partition int32) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	md, err := k.admin.Metadata(ctx, ordersTopic)
	if err != nil {
		return 0, fmt.Errorf("find leader: %w", err)
	}
	leader := int(md.Topics[ordersTopic].Partitions[partition].Leader)
	if leader < 1 || leader > len(k.nodes) {
		return 0, nil // none at the moment: any broker will do
	}
	return leader - 1, nil
}

// addPartitions adds partitions to the topic of orders.
func (k *kafka) addPartitions(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	k.added += n
	responses, err := k.admin.UpdatePartitions(ctx, firstPartitions+k.added, ordersTopic)
	if err == nil {
		err = responses.Error()
	}
	if err != nil {
		return fmt.Errorf("add partitions: %w", err)
	}
	return nil
}

func (k *kafka) close() {
	if k.client != nil {
		k.client.Close()
	}
	for _, n := range k.nodes {
		if n != nil {
			_ = n.Kill()
		}
	}
	for _, ps := range append(k.proxies, slices.Collect(maps.Values(k.links))) {
		for _, p := range ps {
			p.close()
		}
	}
}
