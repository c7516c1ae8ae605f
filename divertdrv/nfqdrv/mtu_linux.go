package nfqdrv

import (
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
)

// MTU is asked by divertdrv.Handle: that of the interface which the Address names. 0: it names none, as that of a packet does which
// the kernel will route.
func (c *conn) MTU(p *divertdrv.Packet) int {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if p.Addr.IfIdx() == 0 || c.out.closed {
		return 0
	}
	if bytes := c.out.mtus.of(p.Addr.IfIdx()); bytes < math.MaxInt32 {
		return bytes
	}
	return 0
}

// mtus remembers the MTU of interfaces for a while. It is asked for packets that were changed only.
type mtus struct {
	fd    int // any socket of the namespace; negative: none, and everything fits
	known map[uint32]mtu
}

type mtu struct {
	bytes int
	until time.Time
}

// Bounds of what is remembered.
const (
	mtuTime  = time.Second
	mtuCount = 1024
)

// of is an interface's MTU in bytes, or as much as one can be where it is not known.
func (m *mtus) of(ifIdx uint32) int {
	now := time.Now()
	if k, ok := m.known[ifIdx]; ok && now.Before(k.until) {
		return k.bytes
	}
	if m.known == nil || len(m.known) >= mtuCount {
		m.known = make(map[uint32]mtu)
	}
	bytes := math.MaxInt32
	if v, err := askMTU(m.fd, ifIdx); err == nil {
		bytes = v
	}
	m.known[ifIdx] = mtu{bytes, now.Add(mtuTime)}
	return bytes
}

// askMTU asks the kernel: for the interface's name first, then by it.
func askMTU(fd int, ifIdx uint32) (int, error) {
	r, err := unix.NewIfreq("")
	if err != nil {
		return 0, err
	}
	r.SetUint32(ifIdx)
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFNAME, r); err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFMTU, r); err != nil {
		return 0, err
	}
	return int(r.Uint32()), nil
}
