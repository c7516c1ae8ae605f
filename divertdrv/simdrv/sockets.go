package simdrv

import (
	"net/netip"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

// sockets is the host's table of sockets, guarded by the engine's lock.
type sockets struct {
	max    int
	id     uint64 // of the last one made
	byID   map[uint64]*Socket
	byEnds map[ends]*Socket
	port   uint16 // the last one given to who asked for any
}

// ends is what packets name a socket by. The remote end of one that is not connected is the zero value.
type ends struct {
	protocol      uint8
	local, remote netip.AddrPort
}

func newSockets(limit int) sockets {
	return sockets{max: limit, byID: make(map[uint64]*Socket), byEnds: make(map[ends]*Socket), port: ephemeralMax}
}

func endsOf(f *addr.Flow) ends { return ends{f.Protocol, f.Local, f.Remote} }

// choose finds a free port if none is named, and refuses an address that is taken.
func (t *sockets) choose(protocol uint8, local netip.AddrPort) (netip.AddrPort, error) {
	if local.Port() != 0 {
		if t.byEnds[ends{protocol: protocol, local: local}] != nil {
			return local, ErrInUse
		}
		return local, nil
	}
	for range ephemeralMax - ephemeralMin + 1 {
		if t.port++; t.port < ephemeralMin { // it wrapped
			t.port = ephemeralMin
		}
		local = netip.AddrPortFrom(local.Addr(), t.port)
		if t.byEnds[ends{protocol: protocol, local: local}] == nil {
			return local, nil
		}
	}
	return local, divertdrv.ErrNoRoom
}

func (t *sockets) add(k *Socket) {
	t.byID[k.flow.EndpointID] = k
	t.byEnds[endsOf(&k.flow)] = k
}

// move files a socket that was connected under its new ends.
func (t *sockets) move(k *Socket, before addr.Flow) {
	t.unfile(k, &before)
	t.byEnds[endsOf(&k.flow)] = k
}

func (t *sockets) remove(k *Socket) {
	delete(t.byID, k.flow.EndpointID)
	t.unfile(k, &k.flow)
}

// unfile: two sockets may have been connected to the same peer; the later one is found.
func (t *sockets) unfile(k *Socket, f *addr.Flow) {
	if t.byEnds[endsOf(f)] == k {
		delete(t.byEnds, endsOf(f))
	}
}

// own fills in whose a flow is: the socket of both its ends, of its local end, or that of all the host's addresses.
func (t *sockets) own(f *addr.Flow) {
	if len(t.byID) == 0 {
		return
	}
	all := netip.IPv4Unspecified()
	if f.Local.Addr().Is6() {
		all = netip.IPv6Unspecified()
	}
	wide := netip.AddrPortFrom(all, f.Local.Port())
	for _, e := range [...]ends{
		{f.Protocol, f.Local, f.Remote},
		{f.Protocol, wide, f.Remote},
		{f.Protocol, f.Local, netip.AddrPort{}},
		{f.Protocol, wide, netip.AddrPort{}},
	} {
		if k := t.byEnds[e]; k != nil {
			f.EndpointID, f.ParentEndpointID, f.ProcessID = k.flow.EndpointID, k.flow.ParentEndpointID, k.flow.ProcessID
			return
		}
	}
}
