package services

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// complete returns the configuration with every default filled in.
func (c KafkaConfig) complete() (KafkaConfig, error) {
	if c.Dir == "" {
		return c, errors.New("start kafka: Dir is empty")
	}
	var err error
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return c, fmt.Errorf("start kafka: %w", err)
	}
	if c.Port, err = portOr(c.Port); err != nil {
		return c, err
	}
	if c.ControllerPort, err = portOr(c.ControllerPort); err != nil {
		return c, err
	}
	stored, err := c.storedClusterID()
	if err != nil {
		return c, err
	}
	if c.ClusterID == "" {
		c.ClusterID = cmp.Or(stored, newClusterID())
	}
	if stored != "" && stored != c.ClusterID {
		return c, fmt.Errorf("start kafka: data in %s belong to cluster %s, not %s", c.Dir, stored, c.ClusterID)
	}
	c.NodeID = cmp.Or(c.NodeID, 1)
	if c.Voters == nil {
		c.Voters = map[int]string{c.NodeID: addr(c.ControllerPort)}
	}
	c.listeners = make(map[string]listener, len(c.Proxied))
	for name, advertise := range c.Proxied {
		port, err := freePort()
		if err != nil {
			return c, err
		}
		l := listener{addr: addr(port)}
		if l.advertised, err = advertise(l.addr); err != nil {
			return c, fmt.Errorf("advertise listener %s: %w", name, err)
		}
		c.listeners[name] = l
	}
	if c.JVMArgs == nil {
		c.JVMArgs = []string{"-Xms256m", "-Xmx512m"}
	}
	return c, nil
}

// newClusterID returns a random id in Kafka's form: 16 bytes in unpadded base64url.
func newClusterID() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails, see crypto/rand
	raw[0] &= 0x7f           // no leading "-", which StorageTool would take for an option
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// properties returns the node's server.properties.
func (c KafkaConfig) properties() map[string]string {
	var voters []string
	for _, id := range slices.Sorted(maps.Keys(c.Voters)) {
		voters = append(voters, fmt.Sprintf("%d@%s", id, c.Voters[id]))
	}
	copies := strconv.Itoa(min(len(voters), 3))
	minISR := strconv.Itoa(min(len(voters), 2))
	p := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        strconv.Itoa(c.NodeID),
		"controller.quorum.voters":       strings.Join(voters, ","),
		"listeners":                      "PLAINTEXT://" + addr(c.Port) + ",CONTROLLER://" + addr(c.ControllerPort),
		"advertised.listeners":           "PLAINTEXT://" + addr(c.Port),
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name":     "PLAINTEXT",
		"controller.listener.names":      "CONTROLLER",
		"log.dirs":                       c.path("data"),

		"auto.create.topics.enable":  "false",
		"default.replication.factor": copies,
		"min.insync.replicas":        minISR,

		"offsets.topic.replication.factor":                 copies,
		"transaction.state.log.replication.factor":         copies,
		"transaction.state.log.min.isr":                    minISR,
		"share.coordinator.state.topic.replication.factor": copies,
		"share.coordinator.state.topic.min.isr":            minISR,
		// With 50 partitions each, their first use would be slow.
		"offsets.topic.num.partitions":         "8",
		"transaction.state.log.num.partitions": "8",
		"group.initial.rebalance.delay.ms":     "0",
		// A killed broker cannot return, and its partitions get no other leader, until
		// its session ends: with the default of 9 s a restart takes 13 s.
		"broker.session.timeout.ms":    "4000",
		"broker.heartbeat.interval.ms": "500",
		// The default of 128 MiB is a quarter of the heap.
		"log.cleaner.dedupe.buffer.size": strconv.Itoa(16 << 20),
	}
	for _, name := range slices.Sorted(maps.Keys(c.listeners)) {
		p["listeners"] += "," + name + "://" + c.listeners[name].addr
		p["advertised.listeners"] += "," + name + "://" + c.listeners[name].advertised
		p["listener.security.protocol.map"] += "," + name + ":PLAINTEXT"
	}
	maps.Copy(p, c.Properties)
	return p
}

// writeFiles writes server.properties and log4j2.xml.
func (c KafkaConfig) writeFiles() error {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return fmt.Errorf("create kafka directory: %w", err)
	}
	props := c.properties()
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(props)) {
		fmt.Fprintf(&b, "%s=%s\n", key, props[key])
	}
	if err := os.WriteFile(c.path("server.properties"), []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write kafka configuration: %w", err)
	}
	if err := os.WriteFile(c.path("log4j2.xml"), kafkaLog4j, 0o644); err != nil {
		return fmt.Errorf("write kafka configuration: %w", err)
	}
	return nil
}

// format prepares an empty data directory (KRaft requires it), and leaves one
// with data alone.
func (c KafkaConfig) format(ctx context.Context, java, jars string) error {
	ctx, cancel := context.WithTimeout(ctx, StartTimeout)
	defer cancel()
	// Serial collector and first compiler only: this JVM lives for a second.
	cmd := exec.CommandContext(ctx, java, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dlog4j2.configurationFile="+c.path("log4j2.xml"), "-cp", filepath.Join(jars, "*"),
		"kafka.tools.StorageTool", "format", "--ignore-formatted",
		"--cluster-id", c.ClusterID, "--config", c.path("server.properties"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("format kafka storage in %s: %w\n%s", c.Dir, err, out)
	}
	return nil
}
