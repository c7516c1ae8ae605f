package reinject

import (
	"encoding/binary"
	"errors"

	"github.com/cilium/ebpf"
	bpflink "github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

// attach puts the program on the inlet's egress: by tcx (Linux 6.6), or as a filter of a clsact qdisc, which goes with the device.
func (t *inlet) attach(conn *netlink.Conn, prog *ebpf.Program) error {
	l, err := bpflink.AttachTCX(bpflink.TCXOptions{Interface: t.index, Program: prog, Attach: ebpf.AttachTCXEgress})
	if errors.Is(err, ebpf.ErrNotSupported) {
		return attachFilter(conn, t.index, prog)
	}
	if err != nil {
		return opening("attach the inlet's program (needs CAP_NET_ADMIN)", err)
	}
	t.closer.add(l.Close)
	return nil
}

// Of linux/pkt_sched.h and linux/pkt_cls.h.
const (
	clsact       = 0xfffffff1 // TC_H_CLSACT, the parent of the qdisc
	clsactHandle = 0xffff0000
	clsactEgress = 0xfffffff3 // TC_H_CLSACT with TC_H_MIN_EGRESS, the parent of the filter

	tcaKind         = 1
	tcaOptions      = 2
	bpfFD           = 6 // TCA_BPF_FD
	bpfName         = 7
	bpfFlags        = 8
	bpfDirectAction = 1 // the program's result is the action

	filterPriority = 1
)

func attachFilter(conn *netlink.Conn, index int, prog *ebpf.Program) error {
	qdisc := netlink.Attrs{}
	qdisc.String(tcaKind, "clsact")
	filter := netlink.Attrs{}
	filter.String(tcaKind, "bpf")
	filter.Nest(tcaOptions, func(in *netlink.Attrs) {
		in.U32(bpfFD, uint32(prog.FD()))
		in.String(bpfName, "weir_inlet")
		in.U32(bpfFlags, bpfDirectAction)
	})
	const makeNew = unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_EXCL
	every := uint32(binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})) // in network order
	err := conn.Do(
		netlink.Message{Type: unix.RTM_NEWQDISC, Flags: makeNew, Body: tcBody(index, clsactHandle, clsact, 0, qdisc)},
		netlink.Message{
			Type: unix.RTM_NEWTFILTER, Flags: makeNew, Body: tcBody(index, 0, clsactEgress, filterPriority<<16|every, filter),
		},
	)
	if err != nil {
		return opening("attach the inlet's program by clsact (needs CAP_NET_ADMIN)", err)
	}
	return nil
}

// tcBody is a struct tcmsg with attributes.
func tcBody(index int, handle, parent, info uint32, attrs netlink.Attrs) []byte {
	b := make([]byte, 4, 20+len(attrs))
	for _, v := range [...]uint32{uint32(index), handle, parent, info} {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return append(b, attrs...)
}
