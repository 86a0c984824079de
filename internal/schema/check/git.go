package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// gitTimeout bounds all git commands of a check; a partial clone may have to
// fetch the old files.
const gitTimeout = 2 * time.Minute

// checkOut unpacks dir as it was at a git ref into target. It reports false if
// the ref has no such folder.
func checkOut(ctx context.Context, dir, ref, target string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	found, err := locate(ctx, dir, ref, target)
	if ctx.Err() != nil { // git was killed: its output means nothing
		return false, fmt.Errorf("ask git about %s: %w", ref, ctx.Err())
	}
	return found, err
}

// locate finds the repository, the folder's place in it and the commit.
func locate(ctx context.Context, dir, ref, target string) (bool, error) {
	if strings.HasPrefix(ref, "-") {
		return false, fmt.Errorf("--against %s: there is no such folder, and no branch, tag or commit starts with \"-\"; name another one", ref)
	}
	if _, err := exec.LookPath("git"); err != nil {
		return false, fmt.Errorf("--against %s: there is no such folder, and git is not installed to look for a commit of that name; "+
			"name an existing folder, or install git", ref)
	}
	top, err := git(ctx, dir, "rev-parse", "--show-toplevel")
	if err != nil {
		return false, fmt.Errorf("--against %s: there is no such folder, and %s is in no git repository that can be read; "+
			"name an existing folder, or run this inside a clone (%w)", ref, dir, err)
	}
	prefix, err := git(ctx, dir, "rev-parse", "--show-prefix")
	if err != nil {
		return false, fmt.Errorf("find %s in its git repository: %w", dir, err)
	}
	commit, err := git(ctx, top, "rev-parse", "--verify", ref+"^{commit}")
	if err != nil {
		return false, fmt.Errorf("--against %s: there is no such folder, and git knows no such commit; "+
			"fetch it first (a shallow clone lacks it: git fetch --depth=1 origin BRANCH, then --against FETCH_HEAD) (%w)", ref, err)
	}
	return unpackFrom(ctx, top, commit, strings.TrimSuffix(prefix, "/"), target)
}

// unpackFrom unpacks the folder at prefix, "" for the whole commit.
func unpackFrom(ctx context.Context, top, commit, prefix, target string) (bool, error) {
	tree := commit + ":" + prefix
	kind, err := git(ctx, top, "cat-file", "-t", tree)
	switch {
	case err != nil:
		return false, nil // the commit exists, so the folder does not
	case kind != "tree":
		return false, fmt.Errorf("%s is a file or a symbolic link at commit %.12s; unpack the folder meant and name it with --against", prefix, commit)
	}
	cmd := gitCommand(ctx, top, "archive", "--format=tar", tree)
	var said bytes.Buffer
	cmd.Stderr = &said
	archive, err := cmd.StdoutPipe()
	if err != nil {
		return false, fmt.Errorf("start git: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("start git: %w", err)
	}
	unpacked := unpack(archive, target)
	_, _ = io.Copy(io.Discard, archive) // so that git can end even if unpack failed
	if err := cmd.Wait(); err != nil {
		return false, fmt.Errorf("read %s with git archive: %w", tree, saying(err, said.String()))
	}
	if unpacked != nil {
		return false, fmt.Errorf("unpack %s: %w", tree, unpacked)
	}
	return true, nil
}

// git runs a command and returns what it printed, without the last line break.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := gitCommand(ctx, dir, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", saying(err, said.String())
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// gitCommand runs git as if it were called in dir. Inside a git hook, the environment
// names the repository relative to another directory.
func gitCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...) //nolint:gosec // no shell, and the only free text is a ref that is not an option
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		switch name {
		case "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX":
		default:
			cmd.Env = append(cmd.Env, variable)
		}
	}
	return cmd
}

// saying is an error with the first line of git's message.
func saying(err error, said string) error {
	if said = strings.TrimSpace(said); said == "" {
		return err
	}
	line, _, _ := strings.Cut(said, "\n")
	return errors.New("git says: " + line)
}
