package divertdrv_test

import (
	"bytes"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// one passes one packet through the handle after change, and returns what leaves.
func (x *host) one(sent []byte, change func(p *divertdrv.Packet)) []byte {
	x.t.Helper()
	if err := x.Send(sent); err != nil {
		x.t.Fatal(err)
	}
	b := divertdrv.NewBatch(4, 1<<17)
	if err := x.h.Recv(b); err != nil {
		x.t.Fatal(err)
	}
	p := &b.Packets()[0]
	change(p)
	p.Set(divertdrv.Pass, 0)
	x.complete(b)
	return x.wire[len(x.wire)-1]
}

func corrupt(data []byte) []byte {
	data[10] ^= 0x40 // IP checksum
	data[30] ^= 0x11 // payload
	return data
}

func TestUnmodifiedPassChangesNoByte(t *testing.T) {
	for _, offload := range []bool{false, true} {
		x := newHost(t, simdrv.Config{Offload: offload})
		for _, sent := range [][]byte{datagram(1, 100), corrupt(datagram(2, 33)), append(datagram(1, 3), "trailer"...)} {
			got := x.one(bytes.Clone(sent), func(p *divertdrv.Packet) {
				p.Headers()
				if p.Changed() {
					t.Error("Changed before a change")
				}
			})
			if !bytes.Equal(got, sent) {
				t.Errorf("sent %x\nleft %x", sent, got)
			}
		}
	}
}

func TestChangesAreRepaired(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	for name, change := range map[string]func(p *divertdrv.Packet){
		"edit": func(p *divertdrv.Packet) { p.Edit()[40] = 99 },
		"dirty": func(p *divertdrv.Packet) {
			p.Data[40] = 99
			p.SetDirty()
		},
		"addresses": func(p *divertdrv.Packet) { copy(p.Edit()[12:], []byte{203, 0, 113, 7}) },
		"shorter":   func(p *divertdrv.Packet) { _ = p.Resize(30) },
		"longer":    func(p *divertdrv.Packet) { _ = p.Resize(900) },
		"edited and resliced": func(p *divertdrv.Packet) {
			p.Edit()
			p.Data = p.Data[:50]
		},
		"resliced": func(p *divertdrv.Packet) { p.Data = p.Data[:50] },
		"another of another length, resliced to the length that it had": func(p *divertdrv.Packet) {
			was := len(p.Data)
			_ = p.Resize(was + 8)
			copy(p.Edit(), datagram(8, 64+8))
			p.Data = p.Data[:was]
		},
	} {
		t.Run(name, func(t *testing.T) { wantGood(t, x.one(datagram(7, 64), change)) })
	}
}

// An extension header must not move where the length of UDP is written, and a fragment keeps that of the whole datagram.
func TestLengthsOfIPv6AndFragments(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	v6 := append([]byte{0x60, 0, 0, 0, 0, 36, 60, 64}, make([]byte, 32)...)
	v6 = append(v6, wire.ProtoUDP, 0, 1, 4, 0, 0, 0, 0) // destination options
	v6 = append(v6, 0x12, 0x34, 0, 53, 0, 28, 0, 0)
	v6 = append(v6, make([]byte, 20)...)
	wire.CalcChecksums(v6, 0)
	got := x.one(v6, func(p *divertdrv.Packet) { p.Data = p.Data[:66] })
	if got[5] != 26 || got[53] != 18 {
		t.Errorf("lengths: IPv6 %d, UDP %d", got[5], got[53])
	}
	if _, transport := sums(got); transport != wire.SumGood {
		t.Errorf("checksum is %v", transport)
	}
	first := datagram(1, 64)
	first[6] = 0x20 // more fragments
	wire.CalcChecksums(first, wire.NoUDP)
	got = x.one(bytes.Clone(first), func(p *divertdrv.Packet) { _ = p.Resize(60) })
	if got[3] != 60 || !bytes.Equal(got[20:60], first[20:60]) {
		t.Errorf("left: %x", got)
	}
	if ip, _ := sums(got); ip != wire.SumGood {
		t.Errorf("IP checksum is %v", ip)
	}
}

// RFC 1624: a checksum that was wrong stays wrong by as much, so corruption is not laundered; SetDirty does not know of it.
func TestEditKeepsWrongWrong(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	got := x.one(corrupt(datagram(7, 64)), func(p *divertdrv.Packet) {
		p.Edit()[41] = 99
		p.Edit()[42] = 98
		if w := p.Wrong(); w.IP == 0 || w.Transport == 0 {
			t.Errorf("Wrong: %+v", w)
		}
	})
	if ip, transport := sums(got); ip != wire.SumBad || transport != wire.SumBad {
		t.Errorf("checksums: IP %v, transport %v", ip, transport)
	}
	wantGood(t, x.one(corrupt(datagram(7, 64)), func(p *divertdrv.Packet) {
		p.Data[41] = 99
		p.SetDirty()
	}))
}

// A checksum that the interface was to fill in is computed when the packet is changed: it is not "wrong".
func TestOwedChecksumsAreComputedOnChange(t *testing.T) {
	x := newHost(t, simdrv.Config{Offload: true})
	sent := datagram(7, 64)
	sent[10], sent[11], sent[26], sent[27] = 0, 0, 0x12, 0x34
	wantGood(t, x.one(sent, func(p *divertdrv.Packet) {
		p.Edit()[50]++
		if p.Wrong() != (wire.Wrong{}) {
			t.Errorf("Wrong: %+v", p.Wrong())
		}
	}))
}

func TestHeadersFollowChanges(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	x.one(datagram(7, 64), func(p *divertdrv.Packet) {
		if h := p.Headers(); h.Transport != wire.UDP {
			t.Fatalf("transport %v", h.Transport)
		}
		p.Edit()[9] = wire.ProtoTCP
		p.Data[32] = 5 << 4
		if h := p.Headers(); h.Transport != wire.TCP {
			t.Errorf("transport %v after the change", h.Transport)
		}
	})
}

func TestResize(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	for range 2 {
		if err := x.Send(datagram(1, 32)); err != nil {
			t.Fatal(err)
		}
	}
	b := divertdrv.NewBatch(4, 2*64+200)
	if err := x.h.Recv(b); err != nil {
		t.Fatal(err)
	}
	p, q := &b.Packets()[0], &b.Packets()[1]
	wantErr(t, "over MTUMax", p.Resize(divertdrv.MTUMax+1), divertdrv.ErrTooBig)
	wantErr(t, "below 0", p.Resize(-1), divertdrv.ErrTooBig)
	wantErr(t, "over the block", p.Resize(500), divertdrv.ErrNoRoom)
	if p.Changed() || len(p.Data) != 60 {
		t.Error("a refused Resize changed the packet")
	}
	steps := []int{40, 60, 100, 50, 100, 150}
	for _, n := range steps { // 150: there is no room for 100 and 150 in what is left
		err := p.Resize(n)
		if n == 150 {
			wantErr(t, "150", err, divertdrv.ErrNoRoom)
		} else if err != nil || len(p.Data) != n {
			t.Fatalf("Resize(%d): %v, %d bytes", n, err, len(p.Data))
		}
	}
	for i := 28; i < 40; i++ {
		if p.Data[i] != 1 {
			t.Fatalf("byte %d was lost in growing", i)
		}
	}
	if q.Data[28] != 1 || len(q.Data) != 60 {
		t.Error("growing one packet damaged the next")
	}
	x.passAll(b)
	wantGood(t, x.wire[0])
}

// Data may be shortened by reslicing, at the front too; growing afterwards must not reach what is not the packet's.
func TestResizeAfterReslicing(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	inner := datagram(3, 16)
	got := x.one(append(datagram(9, 0), inner...), func(p *divertdrv.Packet) {
		p.Edit()
		p.Data = p.Data[28:]
		if err := p.Resize(len(inner) + 20); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(p.Data[28:len(inner)], inner[28:]) {
			t.Error("bytes were lost")
		}
	})
	wantGood(t, got)
}

func TestMove(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	room := make([]byte, 200)
	got := x.one(datagram(5, 32), func(p *divertdrv.Packet) {
		p.Move(room)
		if &p.Data[0] != &room[0] || p.Changed() {
			t.Error("Move did not move, or changed the packet")
		}
		p.Edit()[29] = 1
	})
	if got[29] != 1 {
		t.Error("the change was lost")
	}
	wantGood(t, got)
}

func TestCloneIsFree(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	var c *divertdrv.Packet
	x.one(datagram(5, 32), func(p *divertdrv.Packet) {
		p.Edit()[29] = 8
		c = p.Clone()
		p.Edit()[29] = 9
	})
	if c.Data[29] != 8 || !c.Changed() || !c.Addr.Outbound() {
		t.Error("the copy differs")
	}
	if n, err := x.h.Inject([]divertdrv.Packet{*c}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if got := x.wire[1]; got[29] != 8 {
		t.Errorf("injected %x", got)
	}
	wantGood(t, x.wire[1])
}
