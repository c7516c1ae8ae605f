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

// deviceRow is what the kernel counted for a device.
type deviceRow struct{ rx, dropped uint64 }

// device reads /proc/net/dev.
func device(ns int, name string) (d deviceRow, err error) {
	b, err := readIn(ns, "/proc/thread-self/net/dev")
	if err != nil {
		return d, err
	}
	for line := range bytes.Lines(b) {
		dev, rest, ok := strings.Cut(strings.TrimSpace(string(line)), ":")
		// received: bytes packets errors dropped fifo frame compressed multicast; then the same of what was sent
		if f := strings.Fields(rest); ok && dev == name && len(f) >= 16 {
			return deviceRow{rx: number(f[1]), dropped: number(f[3]) + number(f[11])}, nil
		}
	}
	return d, fmt.Errorf("no device %s in /proc/net/dev", name)
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

// routerDrops adds up what the router's IP threw away.
func (l *lab) routerDrops() (n uint64, err error) {
	b, err := readIn(l.router, "/proc/thread-self/net/snmp")
	if err != nil {
		return 0, err
	}
	var names []string
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		switch {
		case len(f) == 0 || f[0] != "Ip:":
		case names == nil:
			names = f
		default:
			for i := range min(len(names), len(f)) {
				switch names[i] {
				case "InHdrErrors", "InAddrErrors", "InDiscards", "OutDiscards", "OutNoRoutes":
					n += number(f[i])
				}
			}
		}
	}
	return n, nil
}
