package service

import (
	"errors"
	"io/fs"
	"os"
	"sync"
)

// rolling is a log file of bounded size for a service that has no journal: when it is full it becomes path.1, in place of the one
// before, and a new one begins. It may be written by any number of goroutines.
type rolling struct {
	path string
	max  int64 // bytes; a write that is longer is written whole

	mu   sync.Mutex // guards what follows
	file *os.File
	size int64
}

// openRolling goes on with the file that is there.
func openRolling(path string, most int64) (*rolling, error) {
	r := &rolling{path: path, max: most}
	return r, r.open()
}

func (r *rolling) open() error {
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r.file, r.size = f, info.Size()
	return nil
}

// Write implements io.Writer. After a failure the next write tries again: a full disk does not silence a service for good.
func (r *rolling) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file != nil && r.size > 0 && r.size+int64(len(b)) > r.max {
		err := r.file.Close()
		r.file = nil
		if err = errors.Join(err, os.Rename(r.path, r.path+".1")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	if r.file == nil {
		if err := r.open(); err != nil {
			return 0, err
		}
	}
	n, err := r.file.Write(b)
	r.size += int64(n)
	return n, err
}

// Close ends the file.
func (r *rolling) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}
