package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// software maps each program that is run here to the Debian 12 package that has it.
var software = []struct{ program, debian string }{
	{"java", "openjdk-17-jre-headless"},
	{"mvn", "maven"},
	{"redis-server", "redis-server"},
	{"postgres", "postgresql-15"},
}

// lookup finds a program on PATH, and PostgreSQL's also where Debian keeps it.
func lookup(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	if path, err := exec.LookPath(filepath.Join("/usr/lib/postgresql/15/bin", program)); err == nil {
		return path, nil
	}
	pkg := "postgresql-15" // the other programs looked for are all PostgreSQL's
	for _, s := range software {
		if s.program == program {
			pkg = s.debian
		}
	}
	return "", fmt.Errorf("find %s: not on PATH; install it (Debian: apt-get install %s)", program, pkg)
}

// EnsureInstalled installs those of Java, Maven, Redis and PostgreSQL that are missing,
// if this is Debian or similar and the user is root. Otherwise its error names the
// packages. Progress goes to out.
func EnsureInstalled(ctx context.Context, out io.Writer) error {
	var missing []string
	for _, s := range software {
		if _, err := lookup(s.program); err != nil {
			missing = append(missing, s.debian)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("missing software: install the packages %s (as root: apt-get install %[1]s), then try again", strings.Join(missing, " "))
	}
	fmt.Fprintf(out, "installing %s\n", strings.Join(missing, " "))
	return withoutServiceStart(func() error {
		if err := runApt(ctx, apt, "update", "-q"); err != nil {
			return err
		}
		return runApt(ctx, apt, slices.Concat([]string{"install", "-q", "-y", "--no-install-recommends"}, missing)...)
	})
}

func runApt(ctx context.Context, apt string, args ...string) error {
	cmd := exec.CommandContext(ctx, apt, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run apt-get %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// policyFile is asked by Debian's package scripts whether they may start a
// service; exit status 101 forbids it (invoke-rc.d(8)).
const policyFile = "/usr/sbin/policy-rc.d"

// withoutServiceStart runs do while packages may not start services, and restores the
// policy after it.
func withoutServiceStart(do func() error) (err error) {
	saved := policyFile + ".eventgateway"
	// A policy that an interrupted run has set aside is still the one to restore.
	if _, err := os.Lstat(saved); errors.Is(err, os.ErrNotExist) {
		if err := os.Rename(policyFile, saved); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("set service policy aside: %w", err)
		}
	}
	defer func() {
		restore := os.Rename(saved, policyFile)
		if errors.Is(restore, os.ErrNotExist) { // there was none
			restore = os.Remove(policyFile)
		}
		if restore != nil {
			err = errors.Join(err, fmt.Errorf("restore service policy: %w", restore))
		}
	}()
	if err := os.WriteFile(policyFile, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil {
		return fmt.Errorf("write service policy: %w", err)
	}
	return do()
}
