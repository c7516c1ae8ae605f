package drvtest

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/reason"
)

var needsReflect = []need{needLayerReflect}

var reflectRules = []Rule{
	{"reflect/those-that-are-open", "WinDivert 5.1, can also capture events that occurred before", append(needsReflect, needSniff), reflectBefore},
	{"reflect/open-and-close", "WinDivert 5.2, WINDIVERT_EVENT_REFLECT_OPEN", append(needsReflect, needSendOnly), reflectOpenClose},
	{"reflect/what-is-told", "WinDivert 5.3, Reflect", append(needsReflect, needSniff), reflectFields},
	{"reflect/the-filter-is-its-object", "WinDivert 5.1, an object representation of the filter", append(needsReflect, needSendOnly), reflectObject},
	{"reflect/never-each-other", "WinDivert 5.1, cannot capture other REFLECT handles", needsReflect, reflectOthers},
	{"reflect/filter", "WinDivert 7, layer and priority", needsReflect, reflectFilter},
	{"reflect/all-handles-see-all", "WinDivert 5.4, WINDIVERT_FLAG_SNIFF is mandatory", needsReflect, reflectAll},
	{"reflect/events-are-shed-like-packets", "WinDivert 5.11, WINDIVERT_PARAM_QUEUE_LENGTH", append(needsReflect, needQueueLength, needQueueTime), reflectShed},
	{"reflect/other-layers", "WinDivert 5.1", append(needsReflect, needLayerForward), reflectLayers},
}

// Handles of the suite are told from others by their priority.
const (
	reflectPriority = 4711
	filterReflect   = "priority == 4711"
)

func (p *probe) reflected(filter string, f divertdrv.Flags) *handle {
	p.Helper()
	return p.openAt(filter, divertdrv.Network, divertdrv.Options{Priority: reflectPriority, Flags: f})
}

func reflectBefore(p *probe) {
	p.shutClosed(p.reflected("false", 0))
	p.reflected("false", 0)
	p.reflected("tcp", divertdrv.Sniff)
	all := p.happened(p.watch(filterReflect, divertdrv.LayerReflect), addr.EventOpen, addr.EventOpen)
	if all[0].Addr.Reflect().Flags != 0 || all[1].Addr.Reflect().Flags != divertdrv.Sniff {
		p.Errorf("the oldest is not told first")
	}
}

func reflectOpenClose(p *probe) {
	h := p.watch(filterReflect, divertdrv.LayerReflect)
	one := p.reflected("false", 0)
	two := p.reflected("udp", divertdrv.SendOnly)
	p.shutClosed(one)
	p.shutClosed(two)
	p.happened(h, addr.EventOpen, addr.EventOpen, addr.EventClosed, addr.EventClosed)
}

func reflectFields(p *probe) {
	h := p.watch(filterReflect, divertdrv.LayerReflect)
	flags := divertdrv.Sniff | divertdrv.RecvOnly
	p.shutClosed(p.reflected("false", flags))
	all := p.happened(h, addr.EventOpen, addr.EventClosed)
	for _, pk := range all {
		a, r := pk.Addr, pk.Addr.Reflect()
		if r.Layer != divertdrv.Network || r.Flags != flags || r.Priority != reflectPriority {
			p.Errorf("%v: %+v", a.Event(), r)
		}
		if a.Layer() != divertdrv.LayerReflect || !a.Sniffed() || a.Outbound() || a.Loopback() || a.Impostor() || a.IPv6() || a.Timestamp == 0 {
			p.Errorf("%v: layer %v, sniffed %v, outbound %v, loopback %v, impostor %v, IPv6 %v, timestamp %d",
				a.Event(), a.Layer(), a.Sniffed(), a.Outbound(), a.Loopback(), a.Impostor(), a.IPv6(), a.Timestamp)
		}
	}
	opened, closed := all[0].Addr, all[1].Addr
	if o, c := opened.Reflect(), closed.Reflect(); o.Timestamp != c.Timestamp || o.ProcessID != c.ProcessID || o.Timestamp > closed.Timestamp {
		p.Errorf("OPEN says %+v, CLOSE %+v, of one handle", o, c)
	}
}

// The data is text that may be opened again, with a NUL behind it.
func reflectObject(p *probe) {
	h := p.watch(filterReflect+" and event == OPEN", divertdrv.LayerReflect)
	texts := []string{"true", "false", "tcp.DstPort == 80 and ip", "ipv6.SrcAddr == 2001:db8::1 or udp.PayloadLength > 9 or packet[3] == 7"}
	var want []string
	for _, text := range texts {
		object, err := p.reflected(text, divertdrv.SendOnly).Filter().Object()
		p.isErr("Object", err, nil)
		want = append(want, object)
	}
	all := p.events(h)
	if len(all) != len(texts) {
		p.Fatalf("%d events, want %d", len(all), len(texts))
	}
	for i, pk := range all {
		n := len(pk.Data)
		if n == 0 || pk.Data[n-1] != 0 {
			p.Fatalf("%q: the object is %q, without a NUL at its end", texts[i], pk.Data)
		}
		prog, err := filter.Parse(string(pk.Data[:n-1]), divertdrv.Network)
		if err != nil {
			p.Fatalf("%q: the object %q is no filter: %v", texts[i], pk.Data, err)
		}
		if got, err := prog.Object(); err != nil || got != want[i] {
			p.Errorf("%q: the object is %q, %v; want %q", texts[i], got, err, want[i])
		}
	}
}

func reflectOthers(p *probe) {
	h := p.watch("true", divertdrv.LayerReflect)
	other := p.openAt("true", divertdrv.LayerReflect, divertdrv.Options{Priority: reflectPriority, Flags: mandatory(divertdrv.LayerReflect)})
	p.shutClosed(other)
	late := p.watch("layer == REFLECT", divertdrv.LayerReflect)
	for _, pk := range append(p.events(h), p.events(late)...) {
		if r := pk.Addr.Reflect(); r.Layer == divertdrv.LayerReflect {
			p.Errorf("%v of a handle at REFLECT was told", pk.Addr.Event())
		}
	}
}

func reflectFilter(p *probe) {
	ends := p.watch(filterReflect+" and event == CLOSE", divertdrv.LayerReflect)
	lower := p.watch(filterReflect+" and layer == NETWORK and priority < 4711", divertdrv.LayerReflect)
	p.shutClosed(p.reflected("false", 0))
	p.happened(ends, addr.EventClosed)
	p.happened(lower)
}

func reflectAll(p *probe) {
	one := p.openAt(filterReflect, divertdrv.LayerReflect, divertdrv.Options{Priority: 9, Flags: mandatory(divertdrv.LayerReflect)})
	two := p.watch(filterReflect, divertdrv.LayerReflect)
	p.shutClosed(p.reflected("false", 0))
	p.happened(one, addr.EventOpen, addr.EventClosed)
	p.happened(two, addr.EventOpen, addr.EventClosed)
}

func reflectShed(p *probe) {
	h := p.watch(filterReflect, divertdrv.LayerReflect)
	p.set(h, addr.QueueLength, shortest)
	p.set(h, addr.QueueTime, 16000) // a busy machine opens few handles in a second
	for range shortest/2 + 3 {
		p.shutClosed(p.reflected("false", 0))
	}
	if n := len(p.events(h)); n != shortest {
		p.Errorf("%d events in a queue of %d", n, shortest)
	}
	p.lost(h, reason.QueueLength, 6)
}

func reflectLayers(p *probe) {
	h := p.watch(filterReflect+" and layer == NETWORK_FORWARD", divertdrv.LayerReflect)
	p.reflected("false", 0)
	p.shutClosed(p.openAt("false", divertdrv.NetworkForward, divertdrv.Options{Priority: reflectPriority}))
	for _, pk := range p.happened(h, addr.EventOpen, addr.EventClosed) {
		if r := pk.Addr.Reflect(); r.Layer != divertdrv.NetworkForward {
			p.Errorf("layer %v", r.Layer)
		}
	}
}
