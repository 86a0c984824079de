package services

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// OldKafkaVersion is the last version whose brokers do not report what a user may do
// with a topic: KIP-430 came with 2.3.
const OldKafkaVersion = "2.2.2"

//go:embed kafka-old/pom.xml
var oldKafkaPOM []byte

// OldKafka is one broker of [OldKafkaVersion] with its ZooKeeper. Both are small
// and start in about five seconds.
type OldKafka struct {
	broker, zookeeper server
	port              int
}

// StartOldKafka starts both in dir, which is created if missing, and returns when
// the broker answers.
func StartOldKafka(ctx context.Context, dir string) (*OldKafka, error) {
	return withPortRetry(false, func() (*OldKafka, error) {
		k, err := newOldKafka(ctx, dir)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(k.zookeeper.Restart(ctx), k.broker.Restart(ctx)); err != nil {
			return nil, errors.Join(err, k.Kill())
		}
		return k, nil
	})
}

func newOldKafka(ctx context.Context, dir string) (*OldKafka, error) {
	java, err := lookup("java")
	if err != nil {
		return nil, err
	}
	jars, err := jarsOf(ctx, OldKafkaVersion, oldKafkaPOM)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("start old kafka: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create kafka directory: %w", err)
	}
	keeperPort, err := freePort()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	k := &OldKafka{port: port}
	jvm := oldJVM{java: java, jars: jars, dir: dir}
	err = errors.Join(
		jvm.fill(&k.zookeeper, "zookeeper", []string{
			"tickTime=500", "dataDir=" + filepath.Join(dir, "zookeeper"), "clientPortAddress=" + loopback, fmt.Sprintf("clientPort=%d", keeperPort),
		}, "-Xmx64m", "-Dzookeeper.jmx.log4j.disable=true", "-Dzookeeper.admin.enableServer=false", "org.apache.zookeeper.server.quorum.QuorumPeerMain"),
		jvm.fill(&k.broker, "kafka-old", []string{
			"broker.id=1", "listeners=PLAINTEXT://" + addr(port), "zookeeper.connect=" + addr(keeperPort), "log.dirs=" + filepath.Join(dir, "data"),
			"auto.create.topics.enable=false", "offsets.topic.replication.factor=1", "transaction.state.log.replication.factor=1",
			"transaction.state.log.min.isr=1", "transaction.state.log.num.partitions=4",
			"log.cleaner.dedupe.buffer.size=" + strconv.Itoa(16<<20), // the default of 128 MiB does not fit
		}, "-Xmx192m", "kafka.Kafka"),
	)
	k.zookeeper.probe = func(ctx context.Context, _ int) error { return probePort(ctx, addr(keeperPort)) }
	k.broker.probe = func(ctx context.Context, _ int) error { return probeKafka(ctx, addr(port), "", 1) }
	return k, err
}

// oldJVM is how a server of the old jars is run.
type oldJVM struct{ java, jars, dir string }

// fill writes a server's configuration and says how to run it.
func (j oldJVM) fill(s *server, name string, config []string, args ...string) error {
	file := filepath.Join(j.dir, name+".properties")
	if err := os.WriteFile(file, []byte(strings.Join(config, "\n")+"\n"), 0o644); err != nil {
		return fmt.Errorf("write configuration of %s: %w", name, err)
	}
	s.cmd = command{
		name: name, path: j.java, dir: j.dir, logPath: filepath.Join(j.dir, name+".log"), deathSignal: syscall.SIGKILL,
		args: slices.Concat([]string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(j.jars, "*")}, args, []string{file}),
	}
	s.stopSignal, s.killSignal = syscall.SIGTERM, syscall.SIGKILL
	return nil
}

// Addr returns host:port of the broker.
func (k *OldKafka) Addr() string { return addr(k.port) }

// Kill ends both.
func (k *OldKafka) Kill() error { return errors.Join(k.broker.Kill(), k.zookeeper.Kill()) }

// probePort only connects. The broker's answer shows whether it is the right ZooKeeper.
func probePort(ctx context.Context, addr string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("connect to zookeeper: %w", err)
	}
	return conn.Close()
}
