package rules

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

// Claim is a rule of anybody's that sends packets to queues, whether somebody listens there or not.
type Claim struct {
	Family       uint8 // unix.NFPROTO_
	Table, Chain string
	First, Last  uint16
}

func (c Claim) String() string {
	return fmt.Sprintf("queues %d-%d: family %d, table %s, chain %s", c.First, c.Last, c.Family, c.Table, c.Chain)
}

// Claims lists the queues that rules in nf_tables name, of all programs (iptables-nft too; rules of iptables-legacy are not there
// to be seen). Whoever binds such a number gets packets that were meant for another: as those of a FailClosed table whose
// process is dead. namespace -1 is the caller's.
func Claims(namespace int) (all []Claim, err error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, namespace)
	if err != nil {
		return nil, failed("open a netfilter socket", err, "CONFIG_NETFILTER_NETLINK")
	}
	defer c.Close()
	m := netlink.Message{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE, Body: nfgen(unix.NFPROTO_UNSPEC, 0)}
	err = dump(c, m, func() { all = nil }, func(m netlink.Message) error { return readClaims(m, &all) })
	return all, failed("list rules", err, "CONFIG_NF_TABLES")
}

// readClaims appends what a rule claims.
func readClaims(m netlink.Message, all *[]Claim) error {
	var c Claim
	return each(m, func(typ uint16, v []byte) error {
		switch typ {
		case unix.NFTA_RULE_TABLE:
			c.Table = netlink.Text(v)
		case unix.NFTA_RULE_CHAIN:
			c.Chain = netlink.Text(v)
		case unix.NFTA_RULE_EXPRESSIONS: // after both
			return netlink.Each(v, func(_ uint16, v []byte) error {
				first, count, err := queues(v)
				if count > 0 {
					c.Family, c.First, c.Last = m.Body[0], first, first+count-1
					*all = append(*all, c)
				}
				return err
			})
		}
		return nil
	})
}

// queues reads which queues an expression names; count 0: none.
func queues(expr []byte) (first, count uint16, err error) {
	name := ""
	err = netlink.Each(expr, func(typ uint16, v []byte) error {
		switch {
		case typ == unix.NFTA_EXPR_NAME:
			name = netlink.Text(v)
		case typ == unix.NFTA_EXPR_DATA && name == "queue":
			return netlink.Each(v, func(typ uint16, v []byte) error {
				switch {
				case typ == unix.NFTA_QUEUE_NUM && len(v) == 2:
					first = binary.BigEndian.Uint16(v)
				case typ == unix.NFTA_QUEUE_TOTAL && len(v) == 2:
					count = binary.BigEndian.Uint16(v)
				}
				return nil
			})
		case typ == unix.NFTA_EXPR_DATA && name == "target":
			first, count, err = targetQueues(v)
			return err
		}
		return nil
	})
	return first, count, err
}

// targetQueues reads xtables' NFQUEUE target: revision 0 has the number, later ones the count too.
func targetQueues(data []byte) (first, count uint16, err error) {
	name := ""
	err = netlink.Each(data, func(typ uint16, v []byte) error {
		switch {
		case typ == unix.NFTA_TARGET_NAME:
			name = netlink.Text(v)
		case typ == unix.NFTA_TARGET_INFO && name == "NFQUEUE" && len(v) >= 2:
			first, count = binary.NativeEndian.Uint16(v), 1
			if len(v) >= 4 {
				count = max(binary.NativeEndian.Uint16(v[2:]), 1)
			}
		}
		return nil
	})
	return first, count, err
}
