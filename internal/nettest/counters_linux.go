package nettest

import (
	"fmt"
	"strconv"
	"strings"
)

// Counters are the kernel's own of one namespace, by name: "Ip.InHdrErrors", "Tcp.InCsumErrors", "Udp.InCsumErrors" and the like
// from /proc/net/snmp, "TcpExt.TCPBacklogDrop" and "IpExt.InCsumErrors" from /proc/net/netstat, and those of
// /proc/net/snmp6 as they are named there: "Udp6InCsumErrors", "Ip6InHdrErrors".
type Counters map[string]int64

// Counters reads them.
func (n *Namespace) Counters() Counters {
	n.t.Helper()
	c := make(Counters)
	for _, file := range []string{"snmp", "netstat"} {
		if err := c.pairs(string(n.read("/proc/thread-self/net/" + file))); err != nil {
			n.t.Fatalf("/proc/net/%s: %v", file, err)
		}
	}
	for line := range strings.Lines(string(n.read("/proc/thread-self/net/snmp6"))) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			if err := c.set(strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
				n.t.Fatalf("/proc/net/snmp6: %v", err)
			}
		}
	}
	return c
}

// Since is what was added after an earlier reading; counters that stood still are left out.
func (c Counters) Since(before Counters) Counters {
	diff := make(Counters)
	for name, v := range c {
		if d := v - before[name]; d != 0 {
			diff[name] = d
		}
	}
	return diff
}

// BadChecksums counts what was thrown away, in either family, for the checksum or for the IP header. Tcp.InErrs has more causes,
// but none that a sound stack shows.
func (c Counters) BadChecksums() int64 {
	var sum int64
	for _, name := range []string{
		"Ip.InHdrErrors", "IpExt.InCsumErrors", "Icmp.InCsumErrors", "Tcp.InCsumErrors", "Udp.InCsumErrors", "UdpLite.InCsumErrors",
		"Ip6InHdrErrors", "Icmp6InCsumErrors", "Udp6InCsumErrors", "UdpLite6InCsumErrors",
	} {
		sum += c[name]
	}
	return sum
}

// pairs reads lines of names, each followed by a line of values, both behind the same prefix.
func (c Counters) pairs(text string) error {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		if len(names) != len(values) || len(names) == 0 || names[0] != values[0] {
			return fmt.Errorf("line %d does not belong to line %d", i+2, i+1)
		}
		prefix := strings.TrimSuffix(names[0], ":") + "."
		for j := 1; j < len(names); j++ {
			if err := c.set(prefix+names[j], values[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c Counters) set(name, value string) error {
	v, err := strconv.ParseInt(value, 10, 64) // Tcp.MaxConn is -1
	if err != nil {
		u, uerr := strconv.ParseUint(value, 10, 64)
		if uerr != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		v = int64(u)
	}
	c[name] = v
	return nil
}
