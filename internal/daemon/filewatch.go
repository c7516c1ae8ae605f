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

// watchFiles reloads when a file of the policy was written. It waits until all of them stay as they are from one look to the next,
// so that a file that is being written is not read. A file that is gone is waited for.
func (r *running) watchFiles(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	applied, before := r.stamps(), r.stamps()
	told := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := r.stamps()
		calm := equal(now, before)
		before = now
		gone := missing(now)
		if gone != "" && !told {
			r.log.tell(evWatchFailed, zap.String(keyFile, gone))
		}
		if told = gone != ""; told || !calm || equal(now, applied) {
			continue
		}
		r.reload(ctx, ByFile)
		applied = now
		if files := r.stamps(); len(files) != len(now) { // the new policy is made of other files
			applied, before = files, files
		}
	}
}

func (r *running) stamps() map[string]stamp {
	all := map[string]stamp{}
	for _, path := range r.s.plan.Load().Files {
		all[path] = stampOf(path)
	}
	return all
}

func equal(a, b map[string]stamp) bool {
	for path, x := range a {
		if y, ok := b[path]; ok && !x.same(y) {
			return false
		}
	}
	return true
}

// missing is a file that is not there; empty: all are.
func missing(all map[string]stamp) string {
	for path, x := range all {
		if x.gone {
			return path
		}
	}
	return ""
}
