package frag

import (
	"time"

	"github.com/weirnet/weir/divertdrv/wire"
)

// key says which packet a fragment is part of: RFC 791 3.2 (with the protocol), RFC 8200 4.5 (without).
type key struct {
	src, dst  [16]byte // IPv4: the first four bytes
	id, scope uint32
	proto     uint16 // IPv4 only
	version   uint16
}

func keyOf(f *fragment, h *wire.Headers, scope uint32) (k key) {
	k.scope, k.version = scope, uint16(h.Version)
	if h.Version == 4 {
		ip := h.IPv4(f.bytes)
		copy(k.src[:], ip[12:16])
		copy(k.dst[:], ip[16:20])
		k.id, k.proto = uint32(ip.ID()), uint16(ip.Protocol())
		return k
	}
	ip := h.IPv6(f.bytes)
	k.src, k.dst = [16]byte(ip[8:24]), [16]byte(ip[24:])
	k.id = h.FragmentHeaderOf(f.bytes).ID()
	return k
}

// packet is one that waits for its rest, or that is refused until its time is up.
type packet struct {
	key          key
	older, newer *packet
	deadline     time.Time
	born         uint64  // counts up: which of two is the older one
	refused      Outcome // why all its fragments are dropped; 0: they are not
	ecn          uint8   // bits of the code points that its fragments had

	first, last *piece // by offset
	pieces      int
	largest     uint32 // fragment, in bytes with its headers
	have        uint32 // bytes of data that are here
	total       uint32 // bytes of data that the packet has; 0: its last fragment has not come
}

// fixed is what counts for the length of the whole besides the data, 0 as long as the first fragment has not come.
func (p *packet) fixed() uint32 {
	switch {
	case p.first == nil || p.first.off != 0:
		return 0
	case p.key.version == 4:
		return p.first.start
	}
	return p.first.start - wire.IPv6HeaderLen - wire.FragmentLen
}

func (p *packet) complete() bool { return p.have == p.total }

// waiting is the packets that wait. There is a list by age for each IP version, since their timeouts differ.
type waiting struct {
	byKey map[key]*packet
	ages  [2]age
	free  *packet // linked by newer
	born  uint64
}

type age struct{ oldest, newest *packet }

func (w *waiting) age(k *key) *age {
	if k.version == 4 {
		return &w.ages[0]
	}
	return &w.ages[1]
}

// find returns the packet with that key; if there is none it makes one, and if there are too many the oldest has to go.
func (r *Reassembler) find(k key, now time.Time) *packet {
	w := &r.waiting
	if p := w.byKey[k]; p != nil {
		return p
	}
	if len(w.byKey) >= r.cfg.Packets {
		r.forget(w.oldestBut(nil), EvictedPackets, nil)
	}
	p := w.free
	if p == nil {
		p = new(packet)
	}
	w.free = p.newer
	w.born++
	*p = packet{key: k, born: w.born, deadline: now.Add(r.timeout(k.version))}
	w.byKey[k] = p
	w.age(&p.key).append(p)
	r.count.packets.Store(int64(len(w.byKey)))
	return p
}

func (r *Reassembler) timeout(version uint16) time.Duration {
	if version == 4 {
		return r.cfg.TimeoutIPv4
	}
	return r.cfg.TimeoutIPv6
}

// oldestBut is the oldest packet that is not p, nil if there is none.
func (w *waiting) oldestBut(p *packet) (oldest *packet) {
	for i := range w.ages {
		q := w.ages[i].oldest
		if q != nil && q == p {
			q = q.newer
		}
		if q != nil && (oldest == nil || q.born < oldest.born) {
			oldest = q
		}
	}
	return oldest
}

// drop releases all pieces of p with that outcome. That of the fragment which is being added, own, has its outcome from done.
func (r *Reassembler) drop(p *packet, o Outcome, own *piece) {
	for at := p.first; at != nil; {
		next := at.next
		if at != own {
			r.count.outcomes[o].Add(1)
			if r.cfg.Release != nil {
				r.cfg.Release(at.token, o)
			}
		}
		r.store.free(at)
		at = next
	}
	r.count.waiting.Add(-int64(p.pieces))
	r.count.bytes.Store(int64(r.store.used * cellSize))
	p.first, p.last, p.pieces = nil, nil, 0
}

// condemn drops what is here of p, and what will come of it until its time is up.
func (r *Reassembler) condemn(p *packet, o Outcome, own *piece) {
	r.drop(p, o, own)
	p.refused = o
}

// forget drops what is here of p; what comes of it later begins anew.
func (r *Reassembler) forget(p *packet, o Outcome, own *piece) {
	r.drop(p, o, own)
	w := &r.waiting
	w.age(&p.key).remove(p)
	delete(w.byKey, p.key)
	p.newer, w.free = w.free, p
	r.count.packets.Store(int64(len(w.byKey)))
}

func (a *age) append(p *packet) {
	if p.older = a.newest; p.older == nil {
		a.oldest = p
	} else {
		p.older.newer = p
	}
	a.newest = p
}

func (a *age) remove(p *packet) {
	if p.older == nil {
		a.oldest = p.newer
	} else {
		p.older.newer = p.newer
	}
	if p.newer == nil {
		a.newest = p.older
	} else {
		p.newer.older = p.older
	}
	p.older, p.newer = nil, nil
}
