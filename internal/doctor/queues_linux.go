package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const proc = "/proc"

// queues says who holds which packet queue of this namespace, and what was lost there.
func queues() []Finding { return queuesIn(proc) }

func queuesIn(root string) []Finding {
	table, err := os.ReadFile(filepath.Join(root, "thread-self/net/netfilter/nfnetlink_queue"))
	if errors.Is(err, os.ErrNotExist) {
		return []Finding{{
			Name: "packet queues", State: Warn, Detail: "the kernel has no nfnetlink_queue, or not loaded",
			Cost: "nothing can be diverted", Remedy: "modprobe nfnetlink_queue",
		}}
	}
	if err != nil {
		return []Finding{{Name: "packet queues", State: Warn, Detail: err.Error()}}
	}
	owners := netlinkOwners(root)
	found := []Finding{}
	for line := range bytes.Lines(table) {
		if q, ok := parseQueue(string(line)); ok {
			found = append(found, q.finding(owners))
		}
	}
	if len(found) == 0 {
		return []Finding{{Name: "packet queues", State: Info, Detail: "nobody holds one"}}
	}
	return found
}

// packetQueue is a line of /proc/net/netfilter/nfnetlink_queue.
type packetQueue struct {
	number, port           uint32
	waiting, full, noSpace uint64
}

func parseQueue(line string) (q packetQueue, ok bool) {
	f := strings.Fields(line)
	if len(f) < 7 {
		return q, false
	}
	var n [7]uint64
	for i := range n {
		v, err := strconv.ParseInt(f[i], 10, 64) // the port is printed with a sign
		if err != nil {
			return q, false
		}
		n[i] = uint64(v)
	}
	return packetQueue{number: uint32(n[0]), port: uint32(n[1]), waiting: n[2], full: n[5], noSpace: n[6]}, true
}

func (q packetQueue) finding(owners map[uint32]string) Finding {
	who := owners[q.port]
	if who == "" {
		who = fmt.Sprintf("a process that cannot be seen from here (netlink port %d)", q.port)
	}
	f := Finding{
		Name: fmt.Sprintf("queue %d", q.number), State: Info,
		Detail: fmt.Sprintf("held by %s; %d waiting, lost %d (full) and %d (no memory)", who, q.waiting, q.full, q.noSpace),
	}
	if q.full+q.noSpace > 0 {
		f.State = Warn
		f.Cost = "packets were lost because their reader was too slow"
		f.Remedy = "a narrower filter, a longer queue, or a faster reader"
	}
	return f
}

// netlinkOwners finds the processes behind netfilter's netlink ports: /proc/net/netlink names the sockets' inodes, and
// /proc/PID/fd who has them. A process that may not look into others finds its own.
func netlinkOwners(root string) map[uint32]string {
	table, err := os.ReadFile(filepath.Join(root, "thread-self/net/netlink"))
	if err != nil {
		return nil
	}
	ports := map[string]uint32{} // by the socket's name among descriptors
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) < 10 || f[1] != strconv.Itoa(unix.NETLINK_NETFILTER) {
			continue
		}
		if port, err := strconv.ParseUint(f[2], 10, 32); err == nil {
			ports["socket:["+f[9]+"]"] = uint32(port)
		}
	}
	owners := map[uint32]string{}
	fds, _ := filepath.Glob(filepath.Join(root, "[0-9]*/fd/*")) // the pattern is right
	for _, fd := range fds {
		name, err := os.Readlink(fd)
		if err != nil {
			continue // gone, or not ours to see
		}
		if port, ok := ports[name]; ok {
			dir := filepath.Dir(filepath.Dir(fd))
			comm, _ := os.ReadFile(filepath.Join(dir, "comm")) // gone: the number alone
			owners[port] = strings.TrimSpace(fmt.Sprintf("%s %s", bytes.TrimSpace(comm), "(pid "+filepath.Base(dir)+")"))
		}
	}
	return owners
}
