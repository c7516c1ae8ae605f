package nfqueue

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// queueRow is what the kernel says of the queues in the router's namespace.
type queueRow struct {
	bound                 bool
	waiting, full, memory uint64
}

// queue reads /proc/net/netfilter/nfnetlink_queue. Where there is no such file, or no queue, all is 0.
func (l *lab) queue() (q queueRow, err error) {
	b, err := readIn(l.router, "/proc/thread-self/net/netfilter/nfnetlink_queue")
	if os.IsNotExist(err) {
		return q, nil
	}
	for line := range bytes.Lines(b) {
		// number, port, waiting, copy mode, copy range, lost for length, lost for memory, last id, 1
		f := strings.Fields(string(line))
		if len(f) >= 8 {
			q.bound = true
			q.waiting += number(f[2])
			q.full += number(f[5])
			q.memory += number(f[6])
		}
	}
	return q, err
}

// deviceDrops reads in /proc/net/dev what a device dropped, either way.
func deviceDrops(ns int, name string) (n uint64, err error) {
	b, err := readIn(ns, "/proc/thread-self/net/dev")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		dev, rest, ok := strings.Cut(strings.TrimSpace(string(line)), ":")
		// received: bytes packets errors dropped fifo frame compressed multicast; then the same of what was sent
		if f := strings.Fields(rest); ok && dev == name && len(f) >= 16 {
			return number(f[3]) + number(f[11]), nil
		}
	}
	return 0, fmt.Errorf("no device %s in /proc/net/dev", name)
}

// backlogDrops reads /proc/net/softnet_stat, whose second column is what no processor's backlog had room for, in hexadecimal.
func backlogDrops() (n uint64, err error) {
	b, err := os.ReadFile("/proc/net/softnet_stat")
	for line := range bytes.Lines(b) {
		if f := strings.Fields(string(line)); len(f) > 1 {
			v, err := strconv.ParseUint(f[1], 16, 64)
			if err != nil {
				return n, fmt.Errorf("/proc/net/softnet_stat: %w", err)
			}
			n += v
		}
	}
	return n, err
}

// ipCounters reads the counters of IPv4 in /proc/net/snmp.
func ipCounters(ns int) (map[string]uint64, error) {
	b, err := readIn(ns, "/proc/thread-self/net/snmp")
	if err != nil {
		return nil, err
	}
	var names []string
	all := map[string]uint64{}
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		switch {
		case len(f) == 0 || f[0] != "Ip:":
		case names == nil:
			names = f
		default:
			for i := range min(len(names), len(f)) {
				all[names[i]] = number(f[i])
			}
		}
	}
	return all, nil
}

// routerDrops adds up what the router's IP threw away.
func (l *lab) routerDrops() (n uint64, err error) {
	c, err := ipCounters(l.router)
	for _, name := range []string{"InHdrErrors", "InAddrErrors", "InDiscards", "OutDiscards", "OutNoRoutes"} {
		n += c[name]
	}
	return n, err
}
