package check

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
)

// Limits of an archive: above those of a schemas folder, and low enough that a wrong
// ref does not fill the disk.
const (
	maxArchiveEntries = 50_000
	maxArchiveBytes   = 512 << 20
)

// unpack unpacks a tar archive into an existing folder. All access goes through
// an os.Root: no entry is written outside, not even through a symbolic link that an
// earlier entry has made. Links are only copied: schema.Load checks whether they stay
// inside.
func unpack(archive io.Reader, target string) (err error) {
	root, err := os.OpenRoot(target)
	if err != nil {
		return fmt.Errorf("open %s: %w", target, err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	entries, left := 0, int64(maxArchiveBytes)
	for r := tar.NewReader(archive); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
		entries++
		left -= header.Size
		if entries > maxArchiveEntries || left < 0 {
			return fmt.Errorf("more than %d files or %d MiB; is it the right folder?", maxArchiveEntries, maxArchiveBytes>>20)
		}
		if err := unpackEntry(root, header, r); err != nil {
			return fmt.Errorf("write %s: %w", header.Name, err)
		}
	}
}

func unpackEntry(root *os.Root, header *tar.Header, content io.Reader) error {
	name := path.Clean(header.Name)
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o700)
	case tar.TypeSymlink:
		if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
			return err
		}
		return root.Symlink(header.Linkname, name)
	case tar.TypeReg:
		if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
			return err
		}
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Close())
	}
	return nil // submodules and git's own headers contain no schemas
}
