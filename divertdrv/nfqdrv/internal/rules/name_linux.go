package rules

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

// A table that the kernel does not remove with its owner is named so that others can tell when its maker is dead, and are
// in the same pid namespace to tell:
//
//	weir-<pid>-<n>                                      owned
//	weir-<open|closed>-<pid namespace>-<pid>-<start>-<n>  not owned; start: of the process, in clock ticks since boot
const prefix = "weir-"

// What a table that is not owned does after its maker is dead.
const (
	open   = "open"   // it is there because the kernel knows no owners, and is to go
	closed = "closed" // it is there to go on dropping, until a live one took its place
)

var tables atomic.Uint64 // numbers those of this process

func newName(owned, failClosed bool) string {
	pid, n := os.Getpid(), tables.Add(1)
	if owned {
		return fmt.Sprintf("%s%d-%d", prefix, pid, n)
	}
	kind := open
	if failClosed {
		kind = closed
	}
	start, _ := started(pid)
	return fmt.Sprintf("%s%s-%d-%d-%d-%d", prefix, kind, pidNamespace(), pid, start, n)
}

// orphan reports whether the name is of a table of the kind that was not owned, and whose maker is dead.
func orphan(name, kind string) bool {
	rest, ok := strings.CutPrefix(name, prefix+kind+"-")
	fields := strings.Split(rest, "-")
	if !ok || len(fields) != 4 {
		return false
	}
	var n [4]uint64
	for i, f := range fields {
		var err error
		if n[i], err = strconv.ParseUint(f, 10, 63); err != nil {
			return false
		}
	}
	if n[0] != pidNamespace() {
		return false
	}
	start, alive := started(int(n[1]))
	return !alive || start != n[2]
}

// started tells when a process began, and whether there is one; if /proc does not tell, it is alive.
func started(pid int) (ticks uint64, alive bool) {
	if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return 0, false
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, !errors.Is(err, os.ErrNotExist)
	}
	// The name, in parentheses, may hold anything; field 22 is the 20th after it (proc(5)).
	_, after, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
	fields := strings.Fields(after)
	if len(fields) < 20 || fields[0] == "Z" {
		return 0, false
	}
	ticks, err = strconv.ParseUint(fields[19], 10, 63)
	return ticks, err == nil
}

func pidNamespace() uint64 {
	var st unix.Stat_t
	if unix.Stat("/proc/self/ns/pid", &st) != nil {
		return 0
	}
	return st.Ino
}

// Sweep removes what processes of this pid namespace left that were killed, and could not be the kernel's to remove: FailClosed
// tables, and those of kernels before 5.12. It returns how many there were. namespace -1 is the caller's.
func Sweep(namespace int) (n int, err error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, namespace)
	if err != nil {
		return 0, failed("open a netfilter socket", err, "CONFIG_NETFILTER_NETLINK")
	}
	defer c.Close()
	for _, kind := range []string{open, closed} {
		swept, err := sweep(c, kind)
		n += swept
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// sweep removes the tables of a kind whose makers are dead.
func sweep(c *netlink.Conn, kind string) (n int, err error) {
	names, err := list(c)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if !orphan(name, kind) {
			continue
		}
		b := newBatch(0)
		b.deleteTable(name)
		if err := b.commit(c); err != nil && !errors.Is(err, unix.ENOENT) { // somebody else swept it
			return n, failed("sweep the table "+name, err, "CONFIG_NF_TABLES")
		}
		n++
	}
	return n, nil
}

// list names the tables of family inet.
func list(c *netlink.Conn) (names []string, err error) {
	err = dump(c, nft(unix.NFT_MSG_GETTABLE, 0, func(*netlink.Attrs) {}), func() { names = nil }, func(m netlink.Message) error {
		return each(m, func(typ uint16, v []byte) error {
			if typ == unix.NFTA_TABLE_NAME {
				names = append(names, netlink.Text(v))
			}
			return nil
		})
	})
	return names, failed("list tables", err, "CONFIG_NF_TABLES")
}
