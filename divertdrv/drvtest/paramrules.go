package drvtest

import (
	"errors"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

var paramRules = []Rule{
	{"param/defaults", "WinDivert 5.11, default values", nil, paramDefaults},
	{"param/set-is-read-back", "WinDivert 5.12", nil, paramSet},
	{"param/bounds", "WinDivert 5.11, minimum and maximum values", nil, paramBounds},
	{"param/read-only-and-unknown", "WinDivert 5.11, ERROR_INVALID_PARAMETER", nil, paramReadOnly},
	{"param/version", "WinDivert 5.12, WINDIVERT_PARAM_VERSION_MAJOR", nil, paramVersion},
	{"param/each-handle-has-its-own", "WinDivert 5.11", []need{needQueueLength}, paramOwn},
}

var statsRules = []Rule{
	{"stats/the-law-holds-at-every-step", "divertdrv.Stats", []need{needHold}, statsLaw},
	{"stats/a-driver-counts-what-the-handle-cannot", "divertdrv.Conn", nil, statsBooks},
}

// queueParams are the limits of a queue.
var queueParams = map[divertdrv.Param]need{
	addr.QueueLength: needQueueLength, addr.QueueTime: needQueueTime, addr.QueueSize: needQueueSize,
}

// params are those of them that the driver has.
func (p *probe) params() (all []divertdrv.Param) {
	for param, n := range queueParams {
		if p.has[n] {
			all = append(all, param)
		}
	}
	return all
}

func paramDefaults(p *probe) {
	h := p.open(0, 0)
	for _, param := range p.params() {
		_, _, def, _ := param.Range()
		p.is("default", p.get(h, param), def)
	}
}

func paramSet(p *probe) {
	h := p.open(0, 0)
	for _, param := range p.params() {
		lo, hi, def, _ := param.Range()
		for _, v := range []uint64{lo, hi, lo + 1, def} {
			p.set(h, param, v)
			p.is("read back", p.get(h, param), v)
		}
	}
}

// What is refused changes nothing.
func paramBounds(p *probe) {
	h := p.open(0, 0)
	for _, param := range p.params() {
		lo, hi, def, _ := param.Range()
		for _, v := range []uint64{0, lo - 1, hi + 1, 1 << 40} {
			p.isErr("SetParam out of bounds", h.SetParam(param, v), divertdrv.ErrInvalid)
		}
		p.is("unchanged", p.get(h, param), def)
	}
}

func paramReadOnly(p *probe) {
	h := p.open(0, 0)
	for _, param := range []divertdrv.Param{addr.VersionMajor, addr.VersionMinor, addr.VersionMinor + 1, 255} {
		p.isErr("SetParam", h.SetParam(param, 2), divertdrv.ErrInvalid)
	}
	_, err := h.Param(addr.VersionMinor + 1)
	p.isErr("Param that there is not", err, divertdrv.ErrUnsupported)
}

// The version is WinDivert's whose semantics these are, or the driver has none.
func paramVersion(p *probe) {
	h := p.open(0, 0)
	major, err := h.Param(addr.VersionMajor)
	if errors.Is(err, divertdrv.ErrUnsupported) {
		return
	}
	p.isErr("VersionMajor", err, nil)
	p.is("major version", major, 2)
	_, err = h.Param(addr.VersionMinor)
	p.isErr("VersionMinor", err, nil)
}

func paramOwn(p *probe) {
	one, two := p.open(0, 0), p.open(0, 0)
	p.set(one, addr.QueueLength, 77)
	p.is("of this handle", p.get(one, addr.QueueLength), 77)
	p.is("of the other", p.get(two, addr.QueueLength), 4096)
}

// law checks a handle's books in between.
func (p *probe) law(h *handle, received, inBatch, held, passed, dropped uint64) {
	p.Helper()
	st := h.Stats()
	p.isErr("conservation", st.Conserved(), nil)
	got := [...]uint64{st.Received, st.InBatch, st.Held, st.Passed, st.DroppedTotal()}
	if want := [...]uint64{received, inBatch, held, passed, dropped}; got != want {
		p.Errorf("received, in batch, held, passed, dropped: %v, want %v", got, want)
	}
}

func statsLaw(p *probe) {
	h := p.open(0, 0)
	p.law(h, 0, 0, 0, 0, 0)
	p.send(1, 2, 3)
	p.law(h, 0, 0, 0, 0, 0) // what is queued was not received
	b := divertdrv.NewBatch(1, 2000)
	p.fill(h, b)
	p.law(h, 1, 1, 0, 0, 0)
	passAll(b, 0, 1)
	p.complete(h, b)
	p.law(h, 1, 0, 0, 1, 0)
	p.fill(h, b)
	hd, err := b.Hold(0, 0, divertdrv.Drop)
	p.isErr("Hold", err, nil)
	p.law(h, 2, 0, 1, 1, 0)
	p.complete(h, b)
	p.fill(h, b)
	p.complete(h, b)
	p.law(h, 3, 0, 1, 1, 1)
	p.release(hd, divertdrv.Pass, 0)
	p.law(h, 3, 0, 0, 2, 1)
	p.hasLeft(1, 2)
}

// The handle counts what went through it; a driver that counts it again would have it twice.
func statsBooks(p *probe) {
	h := p.open(0, 0)
	p.send(1, 2)
	p.pass(h, 1, 2)
	if p.w.Caps.Inject {
		p.inject(h, p.free(spec{n: 3}))
		st := h.Stats()
		p.is("injected", st.Injected, 1)
		p.is("completed", st.Completed, 1)
	}
	p.gather()
	st := h.Stats()
	p.is("received", st.Received, 2)
	p.is("passed", st.Passed, 2)
	p.is("failed", st.Failed, 0)
	p.is("lost", st.Lost, 0)
}
