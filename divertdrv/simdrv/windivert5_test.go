package simdrv

import (
	"bytes"
	"errors"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

func TestWinDivertDriver(t *testing.T) {
	runPoints(t, []point{
		{"5 capture: the packet is nobody's until it is put back, and then unchanged", absorbed},
		{"5 injection: longer than the MTU it is cut, or refused if it must not be", injectedMTU},
		{"5 injection: of a fragment only the IP checksum is computed", fragmentChecksum},
		{"5 rule 1: a reassembled packet has a right IP checksum", reassembledChecksum},
	})
}

func absorbed(t *testing.T) {
	x := newBench(t)
	h := x.open("true", 0, 0)
	corrupt := udp4(9)
	corrupt[26] ^= 0x55 // its checksum; corruption is not laundered
	must(t, x.Receive(corrupt))
	must(t, x.Receive(udp4(1)))
	x.left(0, 0)
	b := recv(t, h, 2)
	b.Packets()[0].Set(divertdrv.Pass, 0)
	must(t, h.Complete(b))
	x.left(0, 1)
	if !bytes.Equal(x.host[0].data, corrupt) {
		t.Error("it was changed")
	}
}

func injectedMTU(t *testing.T) {
	x := newBench(t)
	h := x.open("false", 0, 0)
	_, err := h.Inject(outgoing(named(udp4(2000)), true))
	must(t, err)
	x.left(2, 0)
	df := udp4(2000)
	df[6] = 0x40
	wire.CalcChecksums(df, 0)
	if n, err := h.Inject(outgoing(df, true)); n != 0 || !errors.Is(err, divertdrv.ErrTooBig) || h.Stats().Failed != 1 {
		t.Errorf("DF: %d, %v", n, err)
	}
	x.left(2, 0)
}

func fragmentChecksum(t *testing.T) {
	x := newBench(t)
	h := x.open("false", 0, 0)
	for i, p := range pieces(t, whole()) {
		given := bytes.Clone(p)
		given[10] ^= 0xff // the IP checksum
		_, err := h.Inject(outgoing(given, false))
		must(t, err)
		if !bytes.Equal(x.out[i].data, p) {
			t.Errorf("fragment %d: more than its IP checksum was computed", i)
		}
	}
}

func reassembledChecksum(t *testing.T) {
	x := newBench(t)
	h := x.open("true", 0, 0)
	for _, p := range pieces(t, whole()) {
		must(t, x.Receive(p))
	}
	b := recv(t, h, 1)
	p := &b.Packets()[0]
	if ip, udp := wire.Verify(p.Data, p.Headers()); ip != wire.SumGood || udp != wire.SumGood {
		t.Errorf("IP %v, UDP %v", ip, udp)
	}
	pass(t, h, b)
}
