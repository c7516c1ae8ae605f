package rules

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

// Counter is what a rule with Count matched since it was set.
type Counter struct{ Packets, Bytes uint64 }

// counted lists the rules that count in the order in which the kernel tells them: chain by chain.
func counted(rules []Rule, hooks []Hook) (at []int) {
	for _, h := range hooks {
		for i, r := range rules {
			if r.Hook == h && r.Count {
				at = append(at, i)
			}
		}
	}
	return at
}

// Counters tells what each rule matched, in the order of Set; zeros for rules that do not count.
func (t *Table) Counters() ([]Counter, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return nil, ErrClosed
	}
	var told []Counter
	for _, h := range t.cfg.Hooks {
		before := len(told)
		m := nft(unix.NFT_MSG_GETRULE, 0, func(a *netlink.Attrs) {
			a.String(unix.NFTA_RULE_TABLE, t.name)
			a.String(unix.NFTA_RULE_CHAIN, h.String())
		})
		err := dump(t.conn, m, func() { told = told[:before] }, func(m netlink.Message) error {
			return each(m, func(typ uint16, v []byte) error {
				if typ != unix.NFTA_RULE_EXPRESSIONS {
					return nil
				}
				return netlink.Each(v, func(_ uint16, v []byte) error { return readCounter(v, &told) })
			})
		})
		if err != nil {
			return nil, failed("read the counters of "+t.name, err, "CONFIG_NF_TABLES")
		}
	}
	if len(told) != len(t.counts) {
		return nil, fmt.Errorf("rules: table %s has %d counters, not %d: somebody changed it", t.name, len(told), len(t.counts))
	}
	all := make([]Counter, t.rules)
	for i, at := range t.counts {
		all[at] = told[i]
	}
	return all, nil
}

// readCounter appends what an expression counted, if it is a counter.
func readCounter(expr []byte, told *[]Counter) error {
	name := ""
	return netlink.Each(expr, func(typ uint16, v []byte) error {
		switch {
		case typ == unix.NFTA_EXPR_NAME:
			name = netlink.Text(v)
		case typ == unix.NFTA_EXPR_DATA && name == "counter":
			var c Counter
			err := netlink.Each(v, func(typ uint16, v []byte) error {
				switch {
				case typ == unix.NFTA_COUNTER_PACKETS && len(v) == 8:
					c.Packets = binary.BigEndian.Uint64(v)
				case typ == unix.NFTA_COUNTER_BYTES && len(v) == 8:
					c.Bytes = binary.BigEndian.Uint64(v)
				}
				return nil
			})
			*told = append(*told, c)
			return err
		}
		return nil
	})
}
