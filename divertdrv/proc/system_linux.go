package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

// linux looks sockets up by netlink's sock_diag, and their owners below /proc.
type linux struct {
	conn *netlink.Conn
	root string    // /proc
	boot time.Time // when the system started
}

// userHz is the unit of time in /proc/PID/stat, which is the same on every architecture that Go runs on (USER_HZ, proc(5)).
const userHz = 100

// Local is this system, with the sockets of the network namespace that the caller is in. Without CAP_SYS_PTRACE the owners of
// others' sockets are not to be seen. Close it when no Table uses it any more.
func Local() (System, func() error, error) {
	conn, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, -1)
	if err != nil {
		return nil, nil, fmt.Errorf("look sockets up: %w", err)
	}
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	l := &linux{conn: conn, root: "/proc", boot: time.Now().Add(-time.Duration(up.Nano()))}
	return l, conn.Close, nil
}

func (l *linux) Sockets() ([]Socket, error) {
	rows, err := l.diag()
	if err != nil {
		return nil, err
	}
	inodes := map[uint32][]uint32{}
	for _, r := range rows {
		inodes[r.inode] = nil
	}
	if err := owners(l.root, inodes); err != nil {
		return nil, err
	}
	sockets := make([]Socket, 0, len(rows))
	for _, r := range rows {
		if ids := inodes[r.inode]; len(ids) > 0 {
			sockets = append(sockets, Socket{r.key, ids})
		}
	}
	return sockets, nil
}

// owners finds who has sockets open, by the links in /proc/PID/fd. Processes that go meanwhile, or are not ours to see, are left
// out.
func owners(root string, inodes map[uint32][]uint32) error {
	all, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, d := range all {
		id, err := strconv.ParseUint(d.Name(), 10, 32)
		if err != nil {
			continue // not a process
		}
		fds := filepath.Join(root, d.Name(), "fd")
		f, err := os.Open(fds)
		if err != nil {
			continue
		}
		names, _ := f.Readdirnames(-1) // those that were read before an error are owners too
		_ = f.Close()
		for _, n := range names {
			link, err := os.Readlink(fds + "/" + n)
			if err != nil || !strings.HasPrefix(link, "socket:[") {
				continue
			}
			inode, err := strconv.ParseUint(strings.TrimSuffix(link[len("socket:["):], "]"), 10, 32)
			if err != nil {
				continue
			}
			if ids, wanted := inodes[uint32(inode)]; wanted && (len(ids) == 0 || ids[len(ids)-1] != uint32(id)) {
				inodes[uint32(inode)] = append(ids, uint32(id))
			}
		}
	}
	return nil
}

func (l *linux) Process(id uint32) (Process, error) {
	dir := filepath.Join(l.root, strconv.FormatUint(uint64(id), 10))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return Process{}, err
	}
	name, ticks, err := parseStat(stat)
	if err != nil {
		return Process{}, fmt.Errorf("%s/stat: %w", dir, err)
	}
	p := Process{ID: id, Name: name, Start: l.boot.Add(time.Duration(ticks) * (time.Second / userHz))}
	if p.Path, err = os.Readlink(filepath.Join(dir, "exe")); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return Process{}, err
	}
	p.Path = strings.TrimSuffix(p.Path, " (deleted)")
	return p, nil
}

// parseStat reads the name and the start time, in ticks since the system's start, of /proc/PID/stat. The name is between the first
// and the last parenthesis, since it may have some itself.
func parseStat(b []byte) (name string, start uint64, err error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return "", 0, errors.New("no name between parentheses")
	}
	fields := bytes.Fields(b[end+1:])
	const startTime = 22 - 3 // the third field is the first behind the name
	if len(fields) <= startTime {
		return "", 0, fmt.Errorf("%d fields behind the name, want %d", len(fields), startTime+1)
	}
	start, err = strconv.ParseUint(string(fields[startTime]), 10, 63)
	return string(b[open+1 : end]), start, err
}
