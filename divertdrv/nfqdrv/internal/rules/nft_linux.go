package rules

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

// What linux/netfilter/nf_tables.h has and x/sys has not.
const (
	tableOwner  = 0x2 // NFT_TABLE_F_OWNER, since 5.12
	tableHandle = 0x4 // NFTA_TABLE_HANDLE
	tableOwned  = 0x7 // NFTA_TABLE_OWNER
)

const (
	acked  = unix.NLM_F_ACK
	create = unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_EXCL
	add    = unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_APPEND
)

// nfgen is a struct nfgenmsg: family, version, resource in network order.
func nfgen(family uint8, resource uint16) netlink.Attrs {
	return netlink.Attrs{family, 0, byte(resource >> 8), byte(resource)}
}

// nft is a message about something in family inet.
func nft(typ, flags uint16, attrs func(a *netlink.Attrs)) netlink.Message {
	a := nfgen(unix.NFPROTO_INET, 0)
	attrs(&a)
	return netlink.Message{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | typ, Flags: flags, Body: a}
}

// batch is a transaction under construction: all of it happens, or nothing.
type batch []netlink.Message

// newBatch begins one; generation other than 0 is what the rules of the namespace must still have.
func newBatch(generation uint32) batch {
	a := nfgen(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)
	if generation != 0 {
		a.BE32(unix.NFNL_BATCH_GENID, generation)
	}
	return batch{{Type: unix.NFNL_MSG_BATCH_BEGIN, Body: a}}
}

func (b *batch) add(typ, flags uint16, attrs func(a *netlink.Attrs)) {
	*b = append(*b, nft(typ, flags, attrs))
}

// commit does the transaction.
func (b batch) commit(c *netlink.Conn) error {
	end := netlink.Message{Type: unix.NFNL_MSG_BATCH_END, Body: nfgen(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)}
	return c.Do(append(b, end)...)
}

// check asks the kernel whether it would do the transaction: one without an end is judged in full and then undone.
func (b batch) check(c *netlink.Conn) error { return c.Do(b...) }

func (b *batch) newTable(name string, flags uint32) {
	b.add(unix.NFT_MSG_NEWTABLE, create, func(a *netlink.Attrs) {
		a.String(unix.NFTA_TABLE_NAME, name)
		a.BE32(unix.NFTA_TABLE_FLAGS, flags)
	})
}

func (b *batch) deleteTable(name string) {
	b.add(unix.NFT_MSG_DELTABLE, acked, func(a *netlink.Attrs) { a.String(unix.NFTA_TABLE_NAME, name) })
}

// newChain makes a base chain, which accepts what its rules do not decide.
func (b *batch) newChain(table string, hook Hook, priority int32) {
	b.add(unix.NFT_MSG_NEWCHAIN, create, func(a *netlink.Attrs) {
		a.String(unix.NFTA_CHAIN_TABLE, table)
		a.String(unix.NFTA_CHAIN_NAME, hook.String())
		a.String(unix.NFTA_CHAIN_TYPE, "filter")
		a.Nest(unix.NFTA_CHAIN_HOOK, func(in *netlink.Attrs) {
			in.BE32(unix.NFTA_HOOK_HOOKNUM, uint32(hook)) // Hook counts as the kernel's NF_INET_ hooks do
			in.BE32(unix.NFTA_HOOK_PRIORITY, uint32(priority))
		})
	})
}

func (b *batch) flush(table string, hook Hook) {
	b.add(unix.NFT_MSG_DELRULE, acked, func(a *netlink.Attrs) {
		a.String(unix.NFTA_RULE_TABLE, table)
		a.String(unix.NFTA_RULE_CHAIN, hook.String())
	})
}

func (b *batch) newRule(table, chain string, build func(e *exprs)) {
	b.add(unix.NFT_MSG_NEWRULE, add, func(a *netlink.Attrs) {
		a.String(unix.NFTA_RULE_TABLE, table)
		a.String(unix.NFTA_RULE_CHAIN, chain)
		a.Nest(unix.NFTA_RULE_EXPRESSIONS, func(in *netlink.Attrs) { build((*exprs)(in)) })
	})
}

const dumpTries = 100 // each that fails means that somebody else changed something

// dump asks for a list until it was told one that did not change meanwhile. begin forgets what was told before.
func dump(c *netlink.Conn, m netlink.Message, begin func(), f func(m netlink.Message) error) (err error) {
	m.Flags |= unix.NLM_F_DUMP
	for range dumpTries {
		begin()
		if err = c.Query(m, f); !errors.Is(err, netlink.ErrInterrupted) {
			return err
		}
	}
	return err
}

// generation is the number of transactions that the namespace has seen, as the kernel counts: never 0.
func generation(c *netlink.Conn) (gen uint32, err error) {
	err = c.Query(nft(unix.NFT_MSG_GETGEN, 0, func(*netlink.Attrs) {}), func(m netlink.Message) error {
		return each(m, func(typ uint16, v []byte) error {
			if typ == unix.NFTA_GEN_ID && len(v) == 4 {
				gen = binary.BigEndian.Uint32(v)
			}
			return nil
		})
	})
	if err == nil && gen == 0 {
		err = errors.New("the kernel told no generation")
	}
	return gen, err
}

// each reads the attributes of an nf_tables message.
func each(m netlink.Message, f func(typ uint16, v []byte) error) error {
	if len(m.Body) < 4 {
		return fmt.Errorf("an answer of %d bytes", len(m.Body))
	}
	return netlink.Each(m.Body[4:], f)
}
