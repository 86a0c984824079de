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

// ConsumerGroups runs Kafka's own kafka-consumer-groups with these arguments, besides the
// broker's address, and returns what it prints.
func ConsumerGroups(ctx context.Context, broker string, args ...string) (string, error) {
	java, err := lookup("java")
	if err != nil {
		return "", err
	}
	server, err := KafkaJars(ctx)
	if err != nil {
		return "", err
	}
	tools, err := jarsOf(ctx, "tools-"+KafkaVersion, kafkaToolsPOM)
	if err != nil {
		return "", err
	}
	classes := filepath.Join(server, "*") + ":" + filepath.Join(tools, "*")
	all := append([]string{
		"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", classes,
		"org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", broker,
	}, args...)
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, java, all...)
	cmd.WaitDelay, cmd.Stderr = probeTimeout, &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("run kafka-consumer-groups: %w\n%s%s", err, out, stderr.String())
	}
	return string(out), nil
}
