package drvtest

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

var directionRules = []Rule{
	{"drop-all/drops", "WinDivert 5.4, WINDIVERT_FLAG_DROP", []need{needDropAll}, dropAllDrops},
	{"drop-all/is-counted", "divertdrv.Stats, reason.DropHandle", []need{needDropAll, needLossCounted}, dropAllCounts},
	{"drop-all/the-rest-passes", "WinDivert 5.4, WINDIVERT_FLAG_DROP", []need{needDropAll}, dropAllRest},
	{"recv-only/cannot-pass", "WinDivert 5.4, WINDIVERT_FLAG_RECV_ONLY: block or capture, not inject", []need{needRecvOnly}, recvOnlyPass},
	{"recv-only/cannot-inject", "WinDivert 5.4, WINDIVERT_FLAG_RECV_ONLY", []need{needRecvOnly}, recvOnlyInject},
	{"send-only/takes-nothing", "WinDivert 5.4, WINDIVERT_FLAG_SEND_ONLY", []need{needSendOnly}, sendOnlyTakes},
	{"send-only/cannot-receive", "WinDivert 5.4, WINDIVERT_FLAG_SEND_ONLY", []need{needSendOnly}, sendOnlyRecv},
	{"send-only/injects", "WinDivert 5.4, WINDIVERT_FLAG_SEND_ONLY", []need{needSendOnly, needInject}, sendOnlyInjects},
}

func dropAllDrops(p *probe) {
	above, h, below := p.open(1, 0), p.open(0, divertdrv.DropAll), p.open(-1, 0)
	p.send(1, 2)
	p.pass(above, 1, 2)
	p.rest(h) // nothing is to be read
	p.rest(below)
	p.hasLeft()
}

func dropAllCounts(p *probe) {
	h := p.open(0, divertdrv.DropAll)
	p.send(1, 2, 3)
	st := h.Stats()
	p.is("received", st.Received, 3)
	p.is("dropped by the handle", st.Dropped[reason.DropHandle], 3)
}

func dropAllRest(p *probe) {
	p.openAt(filterAll+" and ipv6", divertdrv.Network, divertdrv.Options{Flags: divertdrv.DropAll})
	p.sendAs(spec{n: 1})
	p.sendAs(spec{n: 2, ipv6: true})
	p.send(3)
	p.hasLeft(1, 3)
}

// What is received goes nowhere, whatever its mark; that it could not go on is counted.
func recvOnlyPass(p *probe) {
	h, below := p.open(0, divertdrv.RecvOnly), p.open(-1, 0)
	p.send(1)
	p.pass(h, 1)
	p.rest(below)
	p.hasLeft()
	st := h.Stats()
	p.is("passed", st.Passed, 0)
	p.is("send failed", st.Dropped[reason.SendFailed], 1)
}

func recvOnlyInject(p *probe) {
	h := p.open(0, divertdrv.RecvOnly)
	n, err := h.Inject([]divertdrv.Packet{*p.free(spec{n: 1})})
	p.isErr("Inject", err, divertdrv.ErrUnsupported)
	st := h.Stats()
	p.is("injected", uint64(n)+st.Completed, 0)
	p.is("failed", st.Failed, 1)
	p.hasLeft()
}

func sendOnlyTakes(p *probe) {
	p.open(0, divertdrv.SendOnly)
	p.send(1, 2)
	p.hasLeft(1, 2)
}

func sendOnlyRecv(p *probe) {
	h := p.open(0, divertdrv.SendOnly)
	p.isErr("Recv", p.recv(h, newBatch()), divertdrv.ErrUnsupported)
}

func sendOnlyInjects(p *probe) {
	above, h, below := p.open(1, 0), p.open(0, divertdrv.SendOnly), p.open(-1, 0)
	p.inject(h, p.free(spec{n: 1}))
	p.rest(above)
	p.rest(below, 1)
	p.hasLeft(1)
}
