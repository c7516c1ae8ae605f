package rules

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

// exprs is the list of expressions of a rule. Each either goes on to the next, or ends the rule.
type exprs netlink.Attrs

func (e *exprs) add(name string, data func(a *netlink.Attrs)) {
	(*netlink.Attrs)(e).Nest(unix.NFTA_LIST_ELEM, func(in *netlink.Attrs) {
		in.String(unix.NFTA_EXPR_NAME, name)
		in.Nest(unix.NFTA_EXPR_DATA, data)
	})
}

// device goes on if the interface (key NFT_META_IIF or NFT_META_OIF) is as wished.
func (e *exprs) device(key uint32, d Device) {
	if d.Index == 0 {
		return
	}
	e.add("meta", func(a *netlink.Attrs) {
		a.BE32(unix.NFTA_META_DREG, unix.NFT_REG_1)
		a.BE32(unix.NFTA_META_KEY, key)
	})
	op := uint32(unix.NFT_CMP_EQ)
	if d.Not {
		op = unix.NFT_CMP_NEQ
	}
	e.add("cmp", func(a *netlink.Attrs) {
		a.BE32(unix.NFTA_CMP_SREG, unix.NFT_REG_1)
		a.BE32(unix.NFTA_CMP_OP, op)
		a.Nest(unix.NFTA_CMP_DATA, func(in *netlink.Attrs) { in.U32(unix.NFTA_DATA_VALUE, d.Index) })
	})
}

// struct xt_bpf_info_v1 of linux/netfilter/xt_bpf.h: mode, length and descriptor, 512 bytes of instructions or path that a
// descriptor does not need, and a pointer of the kernel's.
const (
	xtBPFInfo = 8 + 512 + 8
	xtBPFMode = 2 // XT_BPF_MODE_FD_ELF: a descriptor, nothing pinned
)

// bpf goes on if the program answers anything but 0. The kernel resolves the descriptor when it takes the rule.
func (e *exprs) bpf(fd int) {
	info := make([]byte, xtBPFInfo)
	binary.NativeEndian.PutUint16(info, xtBPFMode)
	binary.NativeEndian.PutUint32(info[4:], uint32(fd))
	e.add("match", func(a *netlink.Attrs) {
		a.String(unix.NFTA_MATCH_NAME, "bpf")
		a.BE32(unix.NFTA_MATCH_REV, 1)
		a.Bytes(unix.NFTA_MATCH_INFO, info)
	})
}

// What linux/netfilter/nf_tables.h has and x/sys has not, of the expression fib.
const (
	fibDestReg, fibResult, fibFlags = 1, 2, 3 // attributes
	fibAddressType                  = 3       // NFT_FIB_RESULT_ADDRTYPE
	fibDestination                  = 2       // NFTA_FIB_F_DADDR
)

// local goes on if the routing table says that the destination is local, broadcast, anycast or multicast: types 2 to 5 (enum in
// linux/rtnetlink.h), which are compared as bytes, so the order of bytes does not matter for such small numbers.
func (e *exprs) local() {
	e.add("fib", func(a *netlink.Attrs) {
		a.BE32(fibDestReg, unix.NFT_REG_1)
		a.BE32(fibResult, fibAddressType)
		a.BE32(fibFlags, fibDestination)
	})
	for _, bound := range [][2]uint32{{unix.NFT_CMP_GTE, unix.RTN_LOCAL}, {unix.NFT_CMP_LTE, unix.RTN_MULTICAST}} {
		e.add("cmp", func(a *netlink.Attrs) {
			a.BE32(unix.NFTA_CMP_SREG, unix.NFT_REG_1)
			a.BE32(unix.NFTA_CMP_OP, bound[0])
			a.Nest(unix.NFTA_CMP_DATA, func(in *netlink.Attrs) { in.U32(unix.NFTA_DATA_VALUE, bound[1]) })
		})
	}
}

func (e *exprs) counter() { e.add("counter", func(*netlink.Attrs) {}) }

// verdict ends the rule: unix.NF_ACCEPT or NF_DROP.
func (e *exprs) verdict(code uint32) {
	e.add("immediate", func(a *netlink.Attrs) {
		a.BE32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT)
		a.Nest(unix.NFTA_IMMEDIATE_DATA, func(in *netlink.Attrs) {
			in.Nest(unix.NFTA_DATA_VERDICT, func(in *netlink.Attrs) { in.BE32(unix.NFTA_VERDICT_CODE, code) })
		})
	})
}

func (t To) flags() (flags uint16) {
	if t.Bypass {
		flags |= unix.NFT_QUEUE_FLAG_BYPASS // xt NFQUEUE has the same number (NFQ_FLAG_BYPASS)
	}
	return flags
}

// queueNative ends the rule by nf_tables' own statement (CONFIG_NFT_QUEUE).
func (e *exprs) queueNative(t To) {
	e.add("queue", func(a *netlink.Attrs) {
		a.BE16(unix.NFTA_QUEUE_NUM, t.Queue)
		a.BE16(unix.NFTA_QUEUE_TOTAL, max(t.Count, 1))
		a.BE16(unix.NFTA_QUEUE_FLAGS, t.flags())
	})
}

// queueTarget ends the rule by xtables' NFQUEUE target, revision 3 (struct xt_NFQ_info_v3).
func (e *exprs) queueTarget(t To) {
	info := binary.NativeEndian.AppendUint16(nil, t.Queue)
	info = binary.NativeEndian.AppendUint16(info, max(t.Count, 1))
	info = binary.NativeEndian.AppendUint16(info, t.flags())
	e.add("target", func(a *netlink.Attrs) {
		a.String(unix.NFTA_TARGET_NAME, "NFQUEUE")
		a.BE32(unix.NFTA_TARGET_REV, 3)
		a.Bytes(unix.NFTA_TARGET_INFO, info)
	})
}

// rule is all of a rule's expressions; native: the kernel has the queue statement.
func (e *exprs) rule(r *Rule, native bool) {
	e.device(unix.NFT_META_IIF, r.In)
	e.device(unix.NFT_META_OIF, r.Out)
	if r.Match != nil {
		e.bpf(r.Match.FD())
	}
	if r.Local {
		e.local() // behind the filter, since it asks the routing table
	}
	if r.Count {
		e.counter()
	}
	switch {
	case r.Action == Drop:
		e.verdict(verdictDrop)
	case r.Action == Pass:
		e.verdict(verdictAccept)
	case native:
		e.queueNative(r.To)
	default:
		e.queueTarget(r.To)
	}
}

const verdictDrop, verdictAccept = 0, 1 // NF_DROP, NF_ACCEPT of linux/netfilter.h
