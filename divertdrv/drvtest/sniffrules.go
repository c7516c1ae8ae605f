package drvtest

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

var sniffRules = []Rule{
	{"sniff/the-packet-goes-on-at-once", "WinDivert 5.4, WINDIVERT_FLAG_SNIFF", []need{needSniff}, sniffGoesOn},
	{"sniff/only-copies-say-so", "WinDivert 5.3, Sniffed", []need{needSniff}, sniffMarked},
	{"sniff/what-becomes-of-a-copy-is-nothing", "divertdrv.Sniff", []need{needSniff}, sniffVoid},
	{"sniff/a-copy-may-be-held", "divertdrv.Sniff, Batch.Hold", []need{needSniff, needHold}, sniffHeld},
	{"sniff/several", "WinDivert 5.4, WINDIVERT_FLAG_SNIFF", []need{needSniff}, sniffSeveral},
	{"sniff/with-recv-only", "WinDivert 5.4, WINDIVERT_FLAG_RECV_ONLY: capture", []need{needSniff, needRecvOnly}, sniffRecvOnly},
	{"sniff/unread-copies-end-with-the-handle", "WinDivert 5.10", []need{needSniff}, sniffUnread},
}

func sniffGoesOn(p *probe) {
	h := p.open(0, divertdrv.Sniff)
	sent := p.sendAs(spec{n: 1, badSum: true})
	p.send(2)
	if d := differ(p.hasLeft(1, 2)[0].Data, sent); d != "" {
		p.Errorf("the packet that was copied was changed: %s", d)
	}
	if d := differ(p.rest(h, 1, 2)[0].Data, sent); d != "" {
		p.Errorf("the copy is not the packet: %s", d)
	}
	p.hasLeft()
}

func sniffMarked(p *probe) {
	copies := p.open(1, divertdrv.Sniff)
	h := p.open(0, 0)
	p.send(1)
	if !p.pass(copies, 1)[0].Addr.Sniffed() {
		p.Errorf("a copy does not say that it is one")
	}
	if p.pass(h, 1)[0].Addr.Sniffed() {
		p.Errorf("the packet itself says that it is a copy")
	}
	p.hasLeft(1)
}

// Neither a drop nor a pass nor a change of a copy has an effect on the packet.
func sniffVoid(p *probe) {
	h := p.open(0, divertdrv.Sniff)
	sent := p.sendAs(spec{n: 1})
	p.send(2, 3)
	p.take(h, func(b *divertdrv.Batch, i, n int) {
		pk := &b.Packets()[i]
		pk.Edit()[len(pk.Data)-1]++
		if n != 2 {
			pk.Set(divertdrv.Pass, 0)
		}
	}, 1, 2, 3)
	if d := differ(p.hasLeft(1, 2, 3)[0].Data, sent); d != "" {
		p.Errorf("a change of the copy changed the packet: %s", d)
	}
}

func sniffHeld(p *probe) {
	h := p.open(0, divertdrv.Sniff)
	p.send(1)
	p.hasLeft(1)
	hd := p.hold(h, 0, divertdrv.Drop, 1)[0]
	p.isErr("Release of a copy", hd.Release(divertdrv.Pass, 0), nil)
	p.hasLeft()
}

// Each copies for itself, above and below a handle that drops.
func sniffSeveral(p *probe) {
	above, same := p.open(2, divertdrv.Sniff), p.open(2, divertdrv.Sniff)
	h, below := p.open(1, 0), p.open(0, divertdrv.Sniff)
	p.send(1, 2)
	p.rest(above, 1, 2)
	p.rest(same, 1, 2)
	p.take(h, func(b *divertdrv.Batch, i, n int) {
		if n == 1 {
			b.Packets()[i].Set(divertdrv.Pass, 0)
		} else {
			b.Packets()[i].Set(divertdrv.Drop, reason.Filter)
		}
	}, 1, 2)
	p.rest(below, 1)
	p.hasLeft(1)
}

// What only watches says that it will not send, too.
func sniffRecvOnly(p *probe) {
	h := p.open(0, divertdrv.Sniff|divertdrv.RecvOnly)
	p.send(1, 2)
	p.hasLeft(1, 2)
	p.rest(h, 1, 2)
	p.hasLeft()
}

// A packet whose copy nobody read is not sent a second time.
func sniffUnread(p *probe) {
	h := p.open(0, divertdrv.Sniff)
	p.send(1, 2)
	p.hasLeft(1, 2)
	p.isErr("Close", h.Close(), nil)
	p.hasLeft()
}
