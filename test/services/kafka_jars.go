package services

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// KafkaVersion is the version of the broker and of the Java client beside it.
const KafkaVersion = "4.1.2"

//go:embed kafka/pom.xml
var kafkaPOM []byte

//go:embed kafka/log4j2.xml
var kafkaLog4j []byte

// KafkaJars returns the directory with the jars of Apache Kafka.
func KafkaJars(ctx context.Context) (string, error) { return jarsOf(ctx, KafkaVersion, kafkaPOM) }

// jarsOf returns the directory with a pom.xml's jars, which is
// .cache/kafka-<version>/libs in the repository. The first call has Maven fetch
// them; a changed pom.xml has it fetch them again.
func jarsOf(ctx context.Context, version string, project []byte) (string, error) {
	root, err := RepoRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, ".cache", "kafka-"+version)
	if !jarsCurrent(dir, project) {
		err = withFileLock(dir+".lock", func() error {
			if jarsCurrent(dir, project) { // another process fetched them meanwhile
				return nil
			}
			return fetchJars(ctx, dir, project)
		})
	}
	return filepath.Join(dir, "libs"), err
}

// jarsCurrent reports whether dir holds the jars of exactly this pom.xml.
func jarsCurrent(dir string, project []byte) bool {
	have, err := os.ReadFile(filepath.Join(dir, "pom.xml"))
	return err == nil && bytes.Equal(have, project)
}

// fetchJars fills a directory beside dir and renames it, so that dir is never
// half full.
func fetchJars(ctx context.Context, dir string, project []byte) error {
	mvn, err := lookup("mvn")
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".tmp*")
	if err != nil {
		return fmt.Errorf("create jar directory: %w", err)
	}
	defer os.RemoveAll(tmp) // gone already after the rename
	if err := os.Chmod(tmp, 0o755); err != nil {
		return fmt.Errorf("create jar directory: %w", err)
	}
	pom := filepath.Join(tmp, "pom.xml")
	if err := os.WriteFile(pom, project, 0o644); err != nil {
		return fmt.Errorf("write pom: %w", err)
	}
	cmd := exec.CommandContext(ctx, mvn, "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DoutputDirectory="+filepath.Join(tmp, "libs"))
	cmd.Dir = tmp
	cmd.WaitDelay = probeTimeout
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fetch jars for %s with Maven (it needs access to Maven Central or a mirror in ~/.m2/settings.xml): %w\n%s", filepath.Base(dir), err, out)
	}
	if err := errors.Join(os.RemoveAll(dir), os.Rename(tmp, dir)); err != nil {
		return fmt.Errorf("put jars in place: %w", err)
	}
	return nil
}
