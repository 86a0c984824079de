package services

import (
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed kafka-tools/pom.xml
var kafkaToolsPOM []byte

// KafkaTool is a command that runs one of Kafka's own tools, for example
// org.apache.kafka.tools.consumer.ConsoleConsumer. It is killed when ctx ends.
func KafkaTool(ctx context.Context, class string, args ...string) (*exec.Cmd, error) {
	java, err := lookup("java")
	if err != nil {
		return nil, err
	}
	server, err := KafkaJars(ctx)
	if err != nil {
		return nil, err
	}
	tools, err := jarsOf(ctx, "tools-"+KafkaVersion, kafkaToolsPOM)
	if err != nil {
		return nil, err
	}
	classes := filepath.Join(server, "*") + ":" + filepath.Join(tools, "*")
	all := append([]string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", classes, class}, args...)
	cmd := exec.CommandContext(ctx, java, all...)
	cmd.WaitDelay = probeTimeout
	return cmd, nil
}

// ConsumerGroups runs Kafka's own kafka-consumer-groups with these arguments, besides the
// broker's address, and returns what it prints.
func ConsumerGroups(ctx context.Context, broker string, args ...string) (string, error) {
	cmd, err := KafkaTool(ctx, "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", append([]string{"--bootstrap-server", broker}, args...)...)
	if err != nil {
		return "", err
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("run kafka-consumer-groups: %w\n%s%s", err, out, stderr.String())
	}
	return string(out), nil
}
