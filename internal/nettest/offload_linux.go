package nettest

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offload is work that the stack leaves to a device, by its ethtool command (linux/ethtool.h).
type Offload uint32

// A veth device is made with all of these but GRO.
const (
	RxChecksum    Offload = unix.ETHTOOL_SRXCSUM
	TxChecksum    Offload = unix.ETHTOOL_STXCSUM // off also ends TSO
	ScatterGather Offload = unix.ETHTOOL_SSG
	TSO           Offload = unix.ETHTOOL_STSO
	GSO           Offload = unix.ETHTOOL_SGSO
	GRO           Offload = unix.ETHTOOL_SGRO
)

// Offloads are all that a test may care about.
var Offloads = []Offload{RxChecksum, TxChecksum, ScatterGather, TSO, GSO, GRO}

// SetOffloads switches offloads of this end on or off.
func (l *Link) SetOffloads(on bool, which ...Offload) {
	l.NS.t.Helper()
	for _, o := range which {
		if err := l.ethtool(uint32(o), &on); err != nil {
			l.NS.t.Fatalf("ethtool command %#x on %s: %v", uint32(o), l.Name, err)
		}
	}
}

// Offloaded reports whether an offload is on.
func (l *Link) Offloaded(o Offload) (on bool) {
	l.NS.t.Helper()
	if err := l.ethtool(uint32(o)-1, &on); err != nil { // each GET is the number before its SET
		l.NS.t.Fatalf("ethtool command %#x on %s: %v", uint32(o)-1, l.Name, err)
	}
	return on
}

// ethtool does SIOCETHTOOL with a struct ethtool_value, and puts the value that comes back into on.
func (l *Link) ethtool(command uint32, on *bool) error {
	value := struct{ cmd, data uint32 }{cmd: command}
	if *on {
		value.data = 1
	}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the rest of union ifr_ifru
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:unix.IFNAMSIZ-1], l.Name)
	var err error
	l.NS.Do(func() {
		var fd int
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		defer func() { _ = unix.Close(fd) }()
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
			err = errno
		}
	})
	*on = value.data != 0
	return err
}
