package services

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

// KafkaCluster is a running cluster. Nodes[i] has the node id i+1; each may be
// paused, killed and restarted by itself.
type KafkaCluster struct {
	Nodes []*Kafka
}

// StartKafkaCluster starts n nodes, each in its own directory under cfg.Dir and
// each both broker and controller, and returns when all of them answer. Three
// nodes replicate topics three times by default and acknowledge with two in
// sync. cfg's ports and cluster fields must be zero.
//
// A node that restarts is ready only while a majority of the nodes runs: start
// several missing nodes side by side, not one after the other.
func StartKafkaCluster(ctx context.Context, n int, cfg KafkaConfig) (*KafkaCluster, error) {
	if n < 1 || cfg.Port != 0 || cfg.ControllerPort != 0 || cfg.NodeID != 0 || cfg.ClusterID != "" || cfg.Voters != nil {
		return nil, errors.New("start kafka cluster: needs one node or more and chooses ports, ids and voters itself")
	}
	return withPortRetry(false, func() (*KafkaCluster, error) {
		cfgs, err := clusterConfigs(n, cfg)
		if err != nil {
			return nil, err
		}
		c := &KafkaCluster{Nodes: make([]*Kafka, n)}
		// One node's failure ends the start of the others, which would wait for it.
		g, ctx := errgroup.WithContext(ctx)
		for i := range cfgs {
			g.Go(func() error {
				k, err := newKafka(ctx, cfgs[i])
				c.Nodes[i] = k
				if err != nil {
					return err
				}
				return k.Restart(ctx)
			})
		}
		if err := g.Wait(); err != nil {
			return nil, errors.Join(err, c.each((*Kafka).Kill))
		}
		return c, nil
	})
}

// clusterConfigs gives every node its id, its ports and the addresses of all.
func clusterConfigs(n int, base KafkaConfig) ([]KafkaConfig, error) {
	cfgs := make([]KafkaConfig, n)
	voters := make(map[int]string, n)
	first := base
	first.Dir = filepath.Join(base.Dir, "node-1")
	id, err := first.storedClusterID()
	if err != nil {
		return nil, err
	}
	if id == "" {
		id = newClusterID()
	}
	for i := range cfgs {
		c := base
		c.NodeID, c.ClusterID, c.Voters = i+1, id, voters
		c.Dir = filepath.Join(base.Dir, fmt.Sprintf("node-%d", c.NodeID))
		c.Properties = maps.Clone(base.Properties)
		if c.Port, err = freePort(); err != nil {
			return nil, err
		}
		if c.ControllerPort, err = freePort(); err != nil {
			return nil, err
		}
		voters[c.NodeID] = addr(c.ControllerPort)
		cfgs[i] = c
	}
	return cfgs, nil
}

// Addr returns the bootstrap list: host:port of every node, separated by commas.
func (c *KafkaCluster) Addr() string { return c.addrs((*Kafka).Addr) }

// Proxied returns what every node's listener of that name advertises, separated by commas.
func (c *KafkaCluster) Proxied(name string) string {
	return c.addrs(func(k *Kafka) string { return k.Proxied(name) })
}

func (c *KafkaCluster) addrs(of func(*Kafka) string) string {
	addrs := make([]string, len(c.Nodes))
	for i, k := range c.Nodes {
		addrs[i] = of(k)
	}
	return strings.Join(addrs, ",")
}

// Stop stops every node. It does not wait for an orderly end: the last of the
// nodes has no majority left to sign off with.
func (c *KafkaCluster) Stop() error { return c.each((*Kafka).Kill) }

// each calls do for every node that exists, side by side.
func (c *KafkaCluster) each(do func(*Kafka) error) error {
	errs := make([]error, len(c.Nodes))
	var g errgroup.Group
	for i, k := range c.Nodes {
		if k != nil {
			g.Go(func() error { errs[i] = do(k); return nil })
		}
	}
	_ = g.Wait() // the errors are in errs
	return errors.Join(errs...)
}
