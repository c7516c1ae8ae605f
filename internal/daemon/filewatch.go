package daemon

import (
	"context"
	"os"
	"time"

	"go.uber.org/zap"
)

// stamp is what shows that a file was written. Asking for it every so often also sees a file that was replaced, on any file system,
// which notifications of the kernel do not.
type stamp struct {
	size int64
	time time.Time
	file os.FileInfo // of the same file, by os.SameFile
	gone bool
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{gone: true}
	}
	return stamp{size: info.Size(), time: info.ModTime(), file: info}
}

func (a stamp) same(b stamp) bool {
	if a.gone || b.gone {
		return a.gone == b.gone
	}
	return a.size == b.size && a.time.Equal(b.time) && os.SameFile(a.file, b.file)
}

// stamps are those of a policy's files.
type stamps map[string]stamp

func stampsOf(paths []string) stamps {
	all := stamps{}
	for _, path := range paths {
		all[path] = stampOf(path)
	}
	return all
}

// equal says whether no file was written between two looks; files that only one of them has do not count.
func (s stamps) equal(to stamps) bool {
	for path, x := range s {
		if y, ok := to[path]; ok && !x.same(y) {
			return false
		}
	}
	return true
}

// gone is a file that is not there; empty: all are.
func (s stamps) gone() string {
	for path, x := range s {
		if x.gone {
			return path
		}
	}
	return ""
}

// watchFiles reloads when a file of the policy was written since the policy was last read, by whoever asked for that. It waits until
// all of them stay as they are from one look to the next, so that a file that is being written is not read. A file that is gone is
// waited for.
func (r *running) watchFiles(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	before, told := *r.s.read.Load(), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := stampsOf(r.s.plan.Load().Files)
		calm := now.equal(before)
		before = now
		gone := now.gone()
		if gone != "" && !told {
			r.log.tell(evWatchFailed, zap.String(keyFile, gone))
		}
		if told = gone != ""; !told && calm && !now.equal(*r.s.read.Load()) {
			r.reload(ctx, ByFile)
		}
	}
}
