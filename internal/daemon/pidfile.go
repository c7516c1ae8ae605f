package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// PIDFile is a file with the number of this process.
type PIDFile struct{ path string }

// WritePIDFile writes one, in one step, so that nobody reads half a number. A file that names another process which is alive is an
// error; one that was left behind is replaced.
func WritePIDFile(path string) (*PIDFile, error) {
	if pid, err := readPID(path); err == nil && pid != os.Getpid() && alive(pid) {
		return nil, fmt.Errorf("pid file %s: process %d is running; end it, or name another file", path, pid)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, fmt.Errorf("pid file: %w", err)
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return nil, fmt.Errorf("pid file: %w", errors.Join(err, ignoreAbsent(os.Remove(f.Name()))))
	}
	return &PIDFile{path}, nil
}

// Remove removes the file, if it still is this process's.
func (p *PIDFile) Remove() error {
	if pid, err := readPID(p.path); err != nil || pid != os.Getpid() {
		return ignoreAbsent(err)
	}
	return ignoreAbsent(os.Remove(p.path))
}

func readPID(path string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
