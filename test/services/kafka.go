package services

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// KafkaConfig describes one combined broker and controller. Only Dir is required.
type KafkaConfig struct {
	// Dir gets the data, the configuration and server.log. It is created if
	// missing; data in it from an earlier start is kept and used.
	Dir            string
	Port           int               // of the PLAINTEXT listener; 0: a free one
	ControllerPort int               // of the CONTROLLER listener; 0: a free one
	Properties     map[string]string // server.properties to add or replace
	JVMArgs        []string          // nil: -Xms256m -Xmx512m
	// Proxied are further listeners, by name in capitals, for clients that come through a
	// proxy. Each listens on a free port and advertises what its function, which gets that
	// port's address, returns: clients connect to what a broker advertises. The nodes of a
	// cluster call it side by side, and again after a port was taken.
	Proxied map[string]func(addr string) (advertised string, err error)
	// Detached servers outlive this process; others die with it.
	Detached bool

	// For a cluster; see StartKafkaCluster, which fills these in.

	NodeID    int            // 0: 1
	ClusterID string         // "": a random one, or the one that Dir's data has
	Voters    map[int]string // controller address by node id; nil: this node alone

	listeners map[string]listener // of Proxied
	onStart   func(procID) error
}

// listener is where a proxied listener is, and where clients find it.
type listener struct{ addr, advertised string }

// Kafka is a running node of Apache Kafka.
type Kafka struct {
	server
	cfg KafkaConfig // complete: no zero values left
}

// StartKafka starts one node and returns when it answers. A node with Voters
// answers only while a majority of them runs.
func StartKafka(ctx context.Context, cfg KafkaConfig) (*Kafka, error) {
	return withPortRetry(cfg.Port != 0 && cfg.ControllerPort != 0, func() (*Kafka, error) {
		k, err := newKafka(ctx, cfg)
		if err != nil {
			return nil, err
		}
		if err := k.Restart(ctx); err != nil {
			return nil, err
		}
		return k, nil
	})
}

// newKafka writes the configuration, and formats the storage unless it is formatted. It
// does not start the node.
func newKafka(ctx context.Context, cfg KafkaConfig) (*Kafka, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	java, err := lookup("java")
	if err != nil {
		return nil, err
	}
	jars, err := KafkaJars(ctx)
	if err != nil {
		return nil, err
	}
	if err := cfg.writeFiles(); err != nil {
		return nil, err
	}
	if err := cfg.format(ctx, java, jars); err != nil {
		return nil, err
	}
	args := slices.Concat(cfg.JVMArgs, []string{
		"-Djava.awt.headless=true",
		"-Dlog4j2.configurationFile=" + cfg.path("log4j2.xml"),
		"-cp", filepath.Join(jars, "*"),
		"kafka.Kafka", cfg.path("server.properties"),
	})
	k := &Kafka{cfg: cfg}
	k.cmd = command{
		name: fmt.Sprintf("kafka-%d", cfg.NodeID), path: java, args: args, dir: cfg.Dir, logPath: cfg.path("server.log"),
		deathSignal: syscall.SIGKILL, detached: cfg.Detached, onStart: cfg.onStart,
	}
	k.stopSignal, k.killSignal = syscall.SIGTERM, syscall.SIGKILL
	k.probe = func(ctx context.Context, _ int) error {
		return probeKafka(ctx, k.Addr(), cfg.ClusterID, cfg.NodeID)
	}
	return k, nil
}

// Addr returns host:port of the node's client listener. It stays the same for
// the node's life.
func (k *Kafka) Addr() string { return addr(k.cfg.Port) }

// Proxied returns host:port that the listener of that name advertises.
func (k *Kafka) Proxied(name string) string { return k.cfg.listeners[name].advertised }

// NodeID returns the node's id in its cluster.
func (k *Kafka) NodeID() int { return k.cfg.NodeID }

// probeKafka asks the broker at addr for its metadata. The broker is ready if
// it belongs to the cluster, knows a controller and is itself unfenced: only
// then does it list itself. An empty clusterID accepts any cluster.
func probeKafka(ctx context.Context, addr, clusterID string, nodeID int) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return fmt.Errorf("make kafka client: %w", err)
	}
	defer cl.Close()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // none; nil would mean all
	resp, err := req.RequestWith(ctx, cl.SeedBrokers()[0])
	if err != nil {
		return fmt.Errorf("ask %s for metadata: %w", addr, err)
	}
	if got := resp.ClusterID; clusterID != "" && (got == nil || *got != clusterID) {
		return fmt.Errorf("broker at %s belongs to another cluster: %w", addr, errPortTaken)
	}
	listed := slices.ContainsFunc(resp.Brokers, func(b kmsg.MetadataResponseBroker) bool { return int(b.NodeID) == nodeID })
	if resp.ControllerID < 0 || !listed {
		return fmt.Errorf("broker at %s has not joined its cluster yet", addr)
	}
	return nil
}

func (c KafkaConfig) path(name string) string { return filepath.Join(c.Dir, name) }

// storedClusterID returns the cluster id of data in Dir, or "" if there are none.
func (c KafkaConfig) storedClusterID() (string, error) {
	raw, err := os.ReadFile(c.path("data/meta.properties"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read kafka data: %w", err)
	}
	for line := range strings.Lines(string(raw)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "cluster.id="); ok {
			return id, nil
		}
	}
	return "", fmt.Errorf("read kafka data: no cluster.id in %s", c.path("data/meta.properties"))
}
