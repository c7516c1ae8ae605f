package reinject

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/nettest"
)

// Inbound packets arrive at sockets as if the interface had received them, on each of two, whatever their size.
func TestInboundArrivesOnItsInterface(t *testing.T) {
	needs(t)
	here := nettest.NewNamespace(t)
	a, b := nettest.Pair(t, here, nettest.NewNamespace(t))
	c, d := nettest.Pair(t, here, nettest.NewNamespace(t))
	in := openIn(t, here, Config{Inbound: true})
	for _, f := range families {
		l := listen(t, here, familyOf(f.like), 5000)
		for _, pair := range [][2]*nettest.Link{{a, b}, {c, d}, {a, b}} {
			var ps []divertdrv.Packet
			sizes := []int{0, 1, 100, 1472, 9000, 65487} // the last: 65,535 bytes of IPv6
			for _, size := range sizes {
				ps = append(ps, packets(inboundOn(pair[0].Index), udp(t, pair[1].Addr(f.like), pair[0].Addr(f.like), 5000, make([]byte, size)))...)
			}
			mustInject(t, in, ps)
			for _, size := range sizes {
				if got, index, err := l.receive(); err != nil || len(got) != size || index != pair[0].Index {
					t.Errorf("%s: %d bytes of %d on %d, want %d: %v", f.name, len(got), size, index, pair[0].Index, err)
				}
			}
		}
	}
}

// The stack answers what was injected: a ping and a TCP segment of nobody's connection.
func TestInboundIsAnswered(t *testing.T) {
	needs(t)
	a, b := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	in := openIn(t, a.NS, Config{Inbound: true})
	for _, f := range families {
		mine, peer := a.Addr(f.like), b.Addr(f.like)
		seen := sniff(t, b)
		mustInject(t, in, packets(inboundOn(a.Index), echo(t, peer, mine), tcp(t, peer, mine)))
		for _, want := range []gopacket.LayerType{layers.LayerTypeTCP, replyOf(f.like)} {
			if ip, _ := seen.next(arriveTime, func(ip []byte) bool { return has(ip, want) }); ip == nil {
				t.Errorf("%s: no answer with a layer %v", f.name, want)
			}
			seen = sniff(t, b)
			mustInject(t, in, packets(inboundOn(a.Index), echo(t, peer, mine)))
		}
	}
}

func replyOf(like netip.Addr) gopacket.LayerType {
	if like.Is4() {
		return layers.LayerTypeICMPv4
	}
	return layers.LayerTypeICMPv6Echo
}

func has(ip []byte, want gopacket.LayerType) bool {
	first := layers.LayerTypeIPv4
	if ip[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	return gopacket.NewPacket(ip, first, gopacket.Default).Layer(want) != nil
}

// On the interface the packet is unchanged, and its frame has the source that the injector was given; an impostor lost a hop.
func TestInboundFrame(t *testing.T) {
	needs(t)
	a, b := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	in := openIn(t, a.NS, Config{Inbound: true})
	for _, f := range families {
		seen := sniff(t, a)
		given := hops(t, b.Addr(f.like), a.Addr(f.like), 9)
		mustInject(t, in, packets(inboundOn(a.Index), given))
		ip, from := seen.next(arriveTime, func(ip []byte) bool { return string(ip) == string(given) })
		if ip == nil || [6]byte(from) != source {
			t.Errorf("%s: % x from % x", f.name, head(ip), from)
		}
		mustInject(t, in, packets(func(ad *divertdrv.Address) { inboundOn(a.Index)(ad); ad.SetImpostor(true) }, given))
		seen.expect(hops(t, b.Addr(f.like), a.Addr(f.like), 8))
	}
}

// spy attaches to a socket a program that notes what it sees of each packet: tc_index, hash, mark, and the frame's source.
func spy(t *testing.T, fd int) *ebpf.Map {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 24, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	const mark = 8
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, License: "Apache-2.0", Instructions: asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, m.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.LoadMem(asm.R1, asm.R6, skbTCIndex, asm.Word),
		asm.StoreMem(asm.R7, 0, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R6, 68, asm.Word),
		asm.StoreMem(asm.R7, 4, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R6, mark, asm.Word),
		asm.StoreMem(asm.R7, 8, asm.R1, asm.Word),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, macSource),
		asm.Mov.Reg(asm.R3, asm.R7),
		asm.Add.Imm(asm.R3, 12),
		asm.Mov.Imm(asm.R4, 6),
		asm.Mov.Imm(asm.R5, 0),
		asm.FnSkbLoadBytesRelative.Call(),
		asm.Mov.Imm(asm.R0, -1).WithSymbol("out"),
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(); prog.Close() })
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, prog.FD()); err != nil {
		t.Fatal(err)
	}
	return m
}

type sight struct {
	Index, Hash, Mark uint32
	Source            [6]byte
	_                 [6]byte
}

// A program behind INPUT can still tell who injected: by the frame, or, on a device without addresses, by the tag. Nothing else
// of the socket buffer is touched where there is a frame, and the mark nowhere.
func TestInboundIsKnown(t *testing.T) {
	needs(t)
	here := nettest.NewNamespace(t)
	a, b := nettest.Pair(t, here, nettest.NewNamespace(t))
	tun := nettest.Tun(t, here)
	in := openIn(t, here, Config{Inbound: true})
	for _, f := range families {
		l := listen(t, here, familyOf(f.like), 5000)
		seen := spy(t, l.fd)
		for _, c := range []struct {
			name  string
			index int
			ok    func(s sight) bool
		}{
			{"veth", a.Index, func(s sight) bool { return s.Source == source && s.Index == 0 }},
			{"tun", tun, func(s sight) bool { return s.Index == uint32(TagIndex(source)) && s.Hash == TagHash(source) }},
		} {
			src := b.Addr(f.like)
			mustInject(t, in, packets(inboundOn(c.index), udp(t, src, a.Addr(f.like), 5000, []byte("who"))))
			if _, index, err := l.receive(); err != nil || index != c.index {
				t.Fatalf("%s %s: on %d, want %d: %v", f.name, c.name, index, c.index, err)
			}
			var s sight
			if err := seen.Lookup(uint32(0), &s); err != nil {
				t.Fatal(err)
			}
			if !c.ok(s) || s.Mark != 0 {
				t.Errorf("%s %s: %+v", f.name, c.name, s)
			}
		}
	}
}

func TestInboundErrors(t *testing.T) {
	needs(t)
	nettest.Need(t, nettest.Program("ip", "iproute2"))
	a, b := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	in := openIn(t, a.NS, Config{Inbound: true})
	good := udp(t, b.V4, a.V4, 5000, []byte("good"))
	a.NS.Command("ip", "link", "add", "down0", "type", "veth", "peer", "name", "down1")
	long := udp(t, b.V6, a.V6, 5000, make([]byte, 65488))
	for name, c := range map[string]struct {
		index int
		data  []byte
		want  error
	}{
		"no index":                 {0, good, divertdrv.ErrInvalid},
		"nobody's index":           {9999, good, divertdrv.ErrInvalid},
		"an index beyond all":      {1<<32 - 1, good, divertdrv.ErrInvalid},
		"loopback":                 {1, good, divertdrv.ErrUnreachable},
		"down":                     {linkNamed(t, a.NS, "down0").index, good, divertdrv.ErrUnreachable},
		"over 65,535 bytes":        {a.Index, long, divertdrv.ErrTooBig},
		"not as long as it claims": {a.Index, good[:27], divertdrv.ErrMalformed},
	} {
		ps := append(packets(inboundOn(a.Index), good, good), packets(inboundOn(c.index), c.data)...)
		if n, err := in.Inject(ps); n != 2 || !errors.Is(err, c.want) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	if in, err := Open(Config{Inbound: true, Namespace: a.NS.FD()}); !errors.Is(err, divertdrv.ErrInvalid) {
		in.Close()
		t.Errorf("a source that is no local unicast address: %v", err)
	}
}

// What was known of an interface is forgotten when it changes: its address, its state, its being there.
func TestInboundAfterChange(t *testing.T) {
	needs(t)
	nettest.Need(t, nettest.Program("ip", "iproute2"))
	a, b := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	in := openIn(t, a.NS, Config{Inbound: true})
	l := listen(t, a.NS, unix.AF_INET, 5000)
	ps := packets(inboundOn(a.Index), udp(t, b.V4, a.V4, 5000, []byte("still here")))
	for _, change := range []string{"mtu 1400", "address 02:00:00:00:00:42", "down", "up"} {
		a.NS.Command("sh", "-c", "ip link set "+a.Name+" "+change)
		if _, err := in.Inject(ps); change == "down" {
			if !errors.Is(err, divertdrv.ErrUnreachable) {
				t.Errorf("down: %v", err)
			}
			continue
		} else if err != nil {
			t.Errorf("after %s: %v", change, err)
		}
		if _, index, err := l.receive(); err != nil || index != a.Index {
			t.Errorf("after %s: on %d, %v", change, index, err)
		}
	}
	a.NS.Command("ip", "link", "del", a.Name)
	if _, err := in.Inject(ps); !errors.Is(err, divertdrv.ErrInvalid) {
		t.Errorf("after its end: %v", err)
	}
}

// Several packets of different ways in one call: each goes its way, in order.
func TestMixedWays(t *testing.T) {
	needs(t)
	a, b := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	in := openIn(t, a.NS, Config{Inbound: true})
	l4, l6 := listen(t, a.NS, unix.AF_INET, 5000), listen(t, a.NS, unix.AF_INET6, 5000)
	seen := sniff(t, b)
	for _, f := range families { // until the neighbour is known, the kernel keeps few packets
		first := udp(t, a.Addr(f.like), b.Addr(f.like), 6000, []byte("first"))
		mustInject(t, in, packets(nil, first))
		seen.expect(first)
	}
	var ps []divertdrv.Packet
	const rounds = 200
	for i := range rounds {
		mark := []byte{byte(i)}
		ps = append(ps, packets(nil, udp(t, a.V4, b.V4, 6000, mark), udp(t, a.V6, b.V6, 6000, mark))...)
		ps = append(ps, packets(inboundOn(a.Index), udp(t, b.V4, a.V4, 5000, mark), udp(t, b.V6, a.V6, 5000, mark))...)
	}
	mustInject(t, in, ps)
	for i := range rounds {
		for _, l := range []*listener{l4, l6} {
			if got, _, err := l.receive(); err != nil || string(got) != string([]byte{byte(i)}) {
				t.Fatalf("inbound %d: % x, %v", i, got, err)
			}
		}
		seen.expect(udp(t, a.V4, b.V4, 6000, []byte{byte(i)}))
		seen.expect(udp(t, a.V6, b.V6, 6000, []byte{byte(i)}))
	}
}
